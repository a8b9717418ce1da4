"""The self-check before a run: a device that computes its matrix ops wrong is refused with everything needed to look again, and
what was checked is on record."""

import json

import e2e_lib
import h5py

# Widths that are no multiple of a tile.
ONE = {"sizes": "1x20x2", "tokens": "4096"}


def run_of(test, name):
    path = next(iter(test.results(name).glob("cells/*/run.h5")), None)
    return e2e_lib.attributes(path) if path else None


def check_record(test):
    test.study("good.ini", grid=ONE)
    test.run("run", "good.ini")
    run = run_of(test, "good.ini")
    words = run["self_check"].split()
    test.check(words[0] == "passed" and int(words[1]) >= 20, f"what was checked is on record: {run['self_check']}")
    test.check(0 < float(words[5]) <= 1, f"the largest error is within what is allowed: {run['self_check']}")
    said = test.run("status", "good.ini").out
    test.check("1 trained by cpu on " in said and "self-check: passed" in said, f"status says who trained it: {said[-300:]}")
    cell = json.loads(test.run("status", "good.ini", "--json").out)["cells"][0]
    test.equal([cell["backend"], cell["self_check"], cell["kernels_source"]], ["cpu", run["self_check"], ""], "status --json")
    test.study("off.ini", grid=ONE, run={"self_check": "no"})
    test.run("run", "off.ini")
    test.equal(run_of(test, "off.ini")["self_check"], "off", "a self-check that was off")
    test.study("oracle.ini", grid=ONE, run={"devices": "reference"})
    test.run("run", "oracle.ini")
    test.equal(run_of(test, "oracle.ini")["self_check"], "none: this is the reference", "the reference checks nothing")
    same = [e2e_lib.content(next(iter(test.results(n).glob("cells/*/run.h5")))) for n in ("good.ini", "off.ini")]
    test.equal(same[0], same[1], "results with and without a self-check")


def check_older(test):
    """A run file as it was before there were these texts: read, merged, and not trained again."""
    test.study("older.ini", grid=ONE)
    test.run("run", "older.ini")
    path = next(iter(test.results("older.ini").glob("cells/*/run.h5")))
    with h5py.File(path, "r+") as file:
        for name in ("backend_layers", "self_check", "kernels", "kernels_source"):
            del file.attrs[name]
        file.attrs["format_version"] = file.attrs["format_version"] * 0 + 1
    before = e2e_lib.stamps(test.results("older.ini"))
    test.check("1 done" in test.run("status", "older.ini").out, "an older run file is done")
    test.run("run", "older.ini")
    test.equal(e2e_lib.stamps(test.results("older.ini")), before, "an older run file is left as it is")
    with h5py.File(test.results("older.ini") / "study.h5", "r") as file:
        test.equal(file["summary/self_check"][0], b"", "an older run in the merged file")
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = file.attrs["format_version"] * 0 + 2
    test.check("damaged" in test.run("status", "older.ini").out, "a newer run file without them is damaged")


def check_wrong(test, plugin, op):
    """op: what the message must name."""
    name = f"{plugin}.ini"
    backend = test.broken / f"{plugin}.so"
    test.study(name, grid=ONE)
    done = test.run("run", name, "--backend", backend, code=1)
    test.check(f'self-check: "{backend}" computes wrong and is not used: {op}' in done.err, f"{plugin}: {done.err[-700:]}")
    test.check("the reference has" in done.err and "allowed error" in done.err, f"{plugin}: values are given")
    kept = next(iter(test.results(name).glob("cells/*/self_check.h5")), None)
    line = done.err.split("replay: ", 1)[-1].split()
    test.equal(line[:4], ["plmscale", "check", str(backend), "--replay"], f"{plugin}: the line that replays it")
    test.check(kept is not None and line[4].endswith(kept.name) and kept.stat().st_size > 1000, f"{plugin}: inputs are kept")
    test.check(run_of(test, name) is None, f"{plugin}: nothing was trained")
    test.run(*line[1:5], code=1)
    test.run("check", "cpu", *line[3:5], code=0)
    test.check("waiting" in test.run("status", name).out, f"{plugin}: the cell waits for another device")
    test.run("run", name)
    test.equal(run_of(test, name)["backend"], "cpu", f"{plugin}: another device trains it then")


def check_next_device(test):
    """A wrong device beside a good one: the good one trains all."""
    wrong = test.broken / "linear_edge.so"
    test.study("two.ini", grid={"sizes": "1x20x2, 2x20x2", "tokens": "4096"})
    done = test.run("run", "two.ini", "--backend", wrong, "--backend", "cpu")
    test.check("cannot be used: self-check:" in done.err, f"the wrong device is taken out of use: {done.err[-700:]}")
    backends = {e2e_lib.attributes(p)["backend"] for p in test.results("two.ini").glob("cells/*/run.h5")}
    test.equal(backends, {"cpu"}, "who trained")


def main():
    test = e2e_lib.Test()
    test.corpus()
    check_record(test)
    check_older(test)
    check_wrong(test, "linear_edge", "linear")
    check_wrong(test, "rotary_ignored", "attention+rotary")
    check_next_device(test)
    test.end(20)


main()
