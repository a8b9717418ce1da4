"""What no op alone shows: plugins that keep state from call to call pass every case of an op, training says that something is
wrong, and the shadow says at which op. The kept case, run alone, agrees again: that is how state is told from arithmetic."""

import re

import e2e_lib

CULPRITS = {"schedule_captured": "adamw", "update_lost": "adamw", "rows_captured": "linear_grad_weight", "fill_once": "fill"}
EIGHT_STEPS = {"sizes": "1x16x2", "tokens": "4096"}


def check_culprit(test, name, op):
    study, plugin = f"{name}.ini", test.broken / f"{name}.so"
    test.study(study, grid=EIGHT_STEPS)
    done = test.run("run", study, "--backend", plugin, "--shadow", "reference", code=1)
    line = next((text for text in done.err.splitlines() if "disagree" in text), "")
    named = re.search(r"disagree at op #(\d+) (\S+) .*\(op (\d+) of this process\)", line)
    test.check(named and named[2].split("+")[0] == op, f"{name}: the shadow names {op}: {done.err[-700:]}")
    test.check(named and int(named[3]) > 20, f"{name}: not in the first program of the run: {line}")
    replay = line.split("replay: plmscale ", 1)[-1].split()
    if test.equal(replay[:1], ["check"], f"{name}: there is a replay line"):
        test.run(*replay)
    test.run("check", plugin, "--level", "2-3", "--op", op)


def check_drift(test):
    """Too large everywhere by what an op may be off by: no op is named, and the figure says how near it was."""
    test.study("drifts.ini", grid={"sizes": "1x16x2", "tokens": "1024"})
    test.run("run", "drifts.ini", "--backend", test.broken / "drifts.so", "--shadow", "reference")
    log = next(iter(test.results("drifts.ini").glob("cells/*/log.txt"))).read_text()
    said = re.search(r"ops compared, largest error ([0-9.]+)", log)
    test.check(said and 0.3 < float(said[1]) <= 1, f"the largest error is near what is allowed: {said and said[0]}")


def main():
    test = e2e_lib.Test()
    test.corpus()
    for name, op in CULPRITS.items():
        check_culprit(test, name, op)
    check_drift(test)
    test.end(least=6 * len(CULPRITS))


main()
