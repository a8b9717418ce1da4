"""Choosing kernels: wrong and broken implementations are named and never chosen, the fastest right one is, it is kept, and the next
run uses it and says so."""

import e2e_lib

ONE = {"sizes": "1x16x2", "tokens": "1024"}


def tune(test, *arguments, code=0):
    done = test.run("tune", test.broken / "tunable.so", *arguments, "--seconds", "2", code=code)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.out.splitlines() if line.startswith("| ")]
    return done, [row for row in rows if row[0] != "op and shape"]


def by_op(rows):
    """op -> implementation -> (ms, note)"""
    found, op = {}, None
    for name, implementation, ms, _, note in rows:
        op = name or op
        found.setdefault(op, {})[implementation] = (ms, note)
    return found


def check_table(test, rows):
    ops = by_op(rows)
    linear = {op: c for op, c in ops.items() if op.startswith("linear")}
    test.check(len(linear) >= 12, f"every linear op of the programs is there: {len(linear)}")
    for op, candidates in linear.items():
        test.equal(list(candidates), ["patient", "hasty", "steady", "stillborn"], f"{op}: the implementations")
        test.equal(candidates["steady"][1], "chosen", f"{op}: the fastest right one")
        test.equal(candidates["patient"][1], "before", f"{op}: what was taken before")
        test.check(candidates["hasty"][1].startswith("wrong: ") and "the reference has" in candidates["hasty"][1],
                   f"{op}: the wrong one is named: {candidates['hasty']}")
        test.equal(candidates["stillborn"], ("-", 'failed: kernel "stillborn": does not build: error in line 1'), op)
    others = {op: c for op, c in ops.items() if op.startswith("attention")}
    test.check(len(others) >= 2 and all(list(c) == ["plain"] for c in others.values()), f"ops without a choice: {others}")


def run_with(test, name, *arguments):
    test.study(name, grid=ONE)
    test.run("run", name, "--backend", test.broken / "tunable.so", *arguments)
    return e2e_lib.attributes(next(iter(test.results(name).glob("cells/*/run.h5"))))


def kernels(attributes):
    return dict(part.rsplit(": ", 1) for part in attributes["kernels"].split("; "))


def main():
    test = e2e_lib.Test()
    test.corpus()
    test.study("study.ini", grid=ONE)
    done, rows = tune(test, "study.ini", "--dry-run")
    test.check("Nothing is kept (--dry-run)." in done.out and not (test.folder / "tunable.profile").exists(), "a dry run")
    check_table(test, rows)

    done, rows = tune(test, "study.ini", "--profile", test.folder / "kept.profile")
    check_table(test, rows)
    test.check(f"Kept in {test.folder / 'kept.profile'}" in done.out, f"where it is kept: {done.out[-300:]}")
    test.check("with another implementation than before (default)" in done.out, "what changed")
    lines = (test.folder / "kept.profile").read_text().split("\n")[:-1]
    test.check(len(lines) >= 12 and all(line.endswith(" 2") for line in lines), f"only steady is kept: {lines}")

    before = run_with(test, "before.ini")
    test.equal(before["kernels_source"], "default", "where the kernels came from without a profile")
    test.equal({v for k, v in kernels(before).items() if k.startswith("linear")}, {"patient"}, "kernels without a profile")
    test.study("after.ini", grid=ONE, **{"backend tunable": {"profile": "kept.profile"}})
    test.run("run", "after.ini", "--backend", "tunable", PLMSCALE_PLUGIN_PATH=str(test.broken))
    after = e2e_lib.attributes(next(iter(test.results("after.ini").glob("cells/*/run.h5"))))
    test.equal(after["kernels_source"], "kept.profile", "where the kernels came from")
    test.equal({v for k, v in kernels(after).items() if k.startswith("linear")}, {"steady"}, "kernels with a profile")

    done = test.run("bench", test.broken / "tunable.so", "--fasta", test.source / "tests/data/proteins.fasta", "--shape", "1x16x2",
                    "--steps", "1", "--batch-tokens", "256", "--length-max", "128", "--no-peak", "--layer", "time", "--set",
                    f"profile={test.folder / 'kept.profile'}")
    timed = [line for line in done.out.splitlines() if line.startswith("| linear+bias ")]
    test.check(len(timed) >= 3 and any(line.endswith("| steady |") for line in timed), f"time names the kernels: {timed}")

    done, rows = tune(test, "--shape", "1x8x2,2x8x2", "--batch-tokens", "96", "--length-max", "64", "--dry-run")
    test.check(any("15x8x8" in row[0] for row in rows), f"masked rows are what a batch has, not the capacity: {rows[:3]}")
    done = test.run("tune", "cpu", "study.ini", code=2)
    test.check('backend "cpu" has one implementation of every op: there is nothing to tune' in done.err, done.err)
    test.run("tune", "cpu", code=2)
    test.run("tune", "cpu", "study.ini", "--shape", "1x8x2", code=2)
    test.end(40)


main()
