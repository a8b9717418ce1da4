"""Several devices at once give the same bytes as one; a device that crashes costs its own cells and no others."""

import json
import subprocess

from e2e_lib import Test, attributes, contents, stamps, temporaries

CRASHES = 2  # so many in a row, and a device counts as lost
STUDY = dict(grid={"sizes": "1x16x2, 2x16x2", "tokens": "4096, 8192, 12288"}, study={"seeds": "1, 2"})
CELLS = 12


def run_on(test, name, *backends):
    study = test.study(name, **STUDY)
    test.run("run", study, "--threads", "1", *(a for b in backends for a in ("--backend", b)))
    return contents(test.results(name))


def same_bytes(test):
    one = run_on(test, "one.ini", "cpu")
    test.equal(len(one), CELLS, "cells")
    for name, backends in (("two.ini", ("cpu", "cpu")), ("comma.ini", ("cpu, cpu:0",))):
        two = run_on(test, name, *backends)
        test.equal(sorted(two), sorted(one), f"cells of {name}")
        for cell in one:
            different = [n for n in one[cell] if two[cell].get(n) != one[cell][n]]
            test.equal(different, [], f"datasets of {cell} that differ between one device and {name}")
    first, second = (one[c]["content_xxh3"] for c in sorted(one)[:2])
    test.check(first != second, "cells differ from each other")
    return one


def compile_crasher(test):
    folder = test.folder / "plugins"
    folder.mkdir()
    library = folder / "crasher.so"
    subprocess.run([test.cc, "-std=gnu11", "-O1", "-shared", "-fPIC", "-fvisibility=hidden", "-I",
                    test.source / "core/include", "-o", library, test.source / "tests/end_to_end/crasher.c"], check=True)
    folder.chmod(0o755)
    library.chmod(0o755)
    return library


def check_failure(test, results, cell):
    failure = json.loads((results / "cells" / cell / "failure.json").read_text())
    test.equal(failure["schema"], "plmscale.failure/1", "schema of the failure")
    test.equal((failure["cell"], failure["kind"]), (cell, "crashed"), "what failed")
    test.check("crasher" in failure["device"], "the failure names the device")
    test.check("SIGILL" in failure["text"], f"the failure names the signal: {failure['text']}")


def crash(test, wanted):
    library = compile_crasher(test)
    study, results = test.study("crash.ini", **STUDY), test.results("crash.ini")
    done = test.run("run", study, "--threads", "1", "--backend", "cpu", "--backend", library, code=3)
    test.check("lost" in done.err, "the crashing device is taken out of use")
    failed = sorted(p.parent.name for p in results.glob("cells/*/failure.json"))
    test.equal(len(failed), CRASHES, "cells that the crash cost")
    for cell in failed:
        check_failure(test, results, cell)
        test.check(cell in done.err, f"the failure of {cell} is shown")
    got = contents(results)
    test.equal(sorted([*got, *failed]), sorted(wanted), "every cell is done or failed")
    test.check(all(got[c] == wanted[c] for c in got), "the other device's cells are what they should be")
    backends = {attributes(p)["backend"] for p in results.glob("cells/*/run.h5")}
    test.equal(backends, {"cpu"}, "backends of the done cells")
    status = json.loads(test.run("status", study, "--json").out)
    test.equal((status["totals"]["failed"], status["totals"]["done"]), (CRASHES, CELLS - CRASHES), "the status")
    test.equal(temporaries(results), [], "temporaries")

    before = stamps(results)
    test.run("run", study, "--threads", "1")
    now = stamps(results)
    test.equal({k: now.get(k) for k in before}, before, "done cells are not trained again")
    test.check(contents(results) == wanted, "run again on a good device, the failed cells are done too")
    test.equal(list(results.glob("cells/*/failure.json")), [], "failures of cells that are done")


def only_crasher(test):
    """No device is left: the study ends, says so, and keeps nothing half-done."""
    study, results = test.study("alone.ini", **STUDY), test.results("alone.ini")
    done = test.run("run", study, "--backend", test.folder / "plugins/crasher.so", code=3)
    test.check("no usable device is left" in done.err, f"the end without devices: {done.err[-300:]}")
    test.equal(len(list(results.glob("cells/*/failure.json"))), CRASHES, "failures")
    test.equal(list(results.glob("cells/*/*.h5")), [], "files of cells that never ran")
    cell = sorted(p.parent.name for p in results.glob("cells/*/failure.json"))[0]
    check_failure(test, results, cell)


def main():
    test = Test()
    test.corpus()
    wanted = same_bytes(test)
    crash(test, wanted)
    only_crasher(test)
    test.end(50)


if __name__ == "__main__":
    main()
