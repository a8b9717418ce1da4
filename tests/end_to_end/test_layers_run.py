"""Layers through the program: every kind of failure is reported as what it is, the checkpoint stays, and the run goes on to the
same bits; the layers that only watch change no bit."""

import json

import e2e_lib
from e2e_lib import content

ONE = {"sizes": "1x16x2", "tokens": "16384"}


def run_path(test, name):
    return next(iter(test.results(name).glob("cells/*/run.h5")), None)


def log_of(test, name):
    return next(iter(test.results(name).glob("cells/*/log.txt"))).read_text()


def failure_of(test, name):
    path = next(iter(test.results(name).glob("cells/*/failure.json")), None)
    return json.loads(path.read_text()) if path else None


def check_watchers(test, wanted):
    """trace, validate and time stand in the way and change nothing."""
    test.study("watch.ini", grid=ONE)
    test.run("run", "watch.ini", "--layer", "time", "--layer", "trace:trace.txt", "--layer", "validate")
    test.equal(content(run_path(test, "watch.ini")), wanted, "results under trace, validate and time")
    log = log_of(test, "watch.ini")
    test.check("| linear+bias " in log and "GFLOP/s" in log, "the table of time is in the cell's log")
    test.check("nothing to complain of" in log, "validate is content, in the cell's log")
    trace = (test.folder / "trace.txt").read_text().splitlines()
    test.check(len(trace) > 1000 and all("->" in line for line in trace), f"a line a call ({len(trace)}) in the trace")
    test.equal(sum(" device_close " in line for line in trace), 1, "the trace goes to the end")


def check_failure(test, wanted, name, fault, kind, text, outcome_code=3):
    """Fails in the middle, keeps its checkpoint, says why, and ends with the same bits without the fault."""
    study = f"{name}.ini"
    test.study(study, grid=ONE, run={"checkpoint_seconds": "0.1", "record_every": "1", "hang_seconds": "2"})
    done = test.run("run", study, "--layer", f"fault:{fault}", code=outcome_code)
    test.check(text in done.err, f"{fault}: \"{text}\" is said: {done.err[-600:]}")
    failure = failure_of(test, study)
    test.check(failure and failure["kind"] == kind and text in failure["text"], f"{fault}: failure.json is {failure}")
    test.check(run_path(test, study) is None, f"{fault}: there is no run file")
    status = test.run("status", study)
    test.check("failed" in status.out, f"{fault}: status says failed")
    test.run("run", study)
    test.equal(content(run_path(test, study)), wanted, f"results after {fault} and resuming")


def check_nan(test):
    """A number that is not finite ends a run as diverged, not as failed."""
    test.study("nan.ini", grid=ONE)
    test.run("run", "nan.ini", "--layer", "fault:op_run@400=nan")
    test.equal(e2e_lib.attributes(run_path(test, "nan.ini"))["status"], "diverged", "status after a NaN")


def check_wrong(test, wanted):
    """One wrong number is not seen by a run, and the run file says what was done to it."""
    test.study("wrong.ini", grid=ONE)
    test.run("run", "wrong.ini", "--layer", "fault:op_run@400=wrong")
    test.check(content(run_path(test, "wrong.ini")) != wanted, "a wrong number changes the results")
    test.equal(e2e_lib.attributes(run_path(test, "wrong.ini"))["backend_layers"], "fault:op_run@400=wrong", "layers on record")


def check_usage(test):
    test.study("usage.ini", grid=ONE)
    for verb in (("run", "usage.ini"), ("run-cell", "usage.ini", "0"), ("bench", "cpu", "--fasta", "x.fasta")):
        done = test.run(*verb, "--layer", "tracer", code=2)
        test.check('layer "tracer": unknown; did you mean "trace"?' in done.err, f"{verb[0]}: {done.err}")
    test.check(not test.results("usage.ini").exists(), "nothing was begun")


def check_bench(test):
    done = test.run("bench", "cpu", "--fasta", test.source / "tests/data/proteins.fasta", "--shape", "1x16x2", "--steps", "2",
                    "--batch-tokens", "256", "--length-max", "128", "--no-peak", "--layer", "time")
    rows = [line for line in done.out.splitlines() if line.startswith("| attention+rotary")]
    test.equal(len(rows), 2, "attention stands in both tables of bench --layer time")
    done = test.run("bench", "cpu", "--fasta", test.source / "tests/data/proteins.fasta", "--shape", "1x16x2", "--steps", "2",
                    "--batch-tokens", "256", "--length-max", "128", "--no-peak", "--layer", "time", "--output", "json")
    test.equal(json.loads(done.out)["schema"], "plmscale.bench/1", "JSON stays JSON")
    test.check("| attention+rotary" in done.err, "the table goes to stderr then")


def main():
    test = e2e_lib.Test()
    test.corpus()
    test.study("plain.ini", grid=ONE)
    test.run("run", "plain.ini")
    wanted = content(run_path(test, "plain.ini"))
    check_usage(test)
    check_watchers(test, wanted)
    check_failure(test, wanted, "lost", "op_run@1002=DEVICE_LOST", "error", "DEVICE_LOST, as the fault layer was asked")
    check_failure(test, wanted, "timeout", "queue_finish@9=TIMEOUT", "error", "queue_finish: TIMEOUT")
    check_failure(test, wanted, "memory", "buffer_create@2=NO_MEMORY", "error", "buffer_create: NO_MEMORY")
    check_failure(test, wanted, "build", "op_query@5=BUILD_FAILED", "error", "BUILD_FAILED")
    check_failure(test, wanted, "crash", "op_run@1001=crash", "crashed", "crashed with SIGILL")
    check_failure(test, wanted, "hang", "op_run@1001=hang", "hung", "hung: no sign of life")
    check_nan(test)
    check_wrong(test, wanted)
    check_bench(test)
    test.end(60)


main()
