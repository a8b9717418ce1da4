"""Killed at any moment, run again to the end: the same bytes as a study that nobody disturbed, and no done cell twice."""

import os
import random
import shutil
import signal
import subprocess
import time

from e2e_lib import Test, alive, attributes, children, contents, kill_all, stamps, temporaries, wait_for

KILLS = 20
SEED = 20240607
SECONDS = 1.5  # an undisturbed study takes at least so long, so that there are moments to choose from
# Without the self-check, which would take more of these short runs than training does: kills are to land in training.
STUDY = dict(grid={"sizes": "1x16x2, 2x16x2"}, evaluate={"tokens": "2000", "count": "4"}, run={"self_check": "no"})


def same(test, got, wanted, what):
    """Byte by byte, and which dataset differs when one does."""
    test.equal(sorted(got), sorted(wanted), f"cells {what}")
    for cell in wanted:
        different = [name for name in wanted[cell] if got.get(cell, {}).get(name) != wanted[cell][name]]
        test.equal(different, [], f"datasets of cell {cell} that differ {what}")


def resumes(results):
    return {path.parent.name: int(attributes(path)["resumes"]) for path in results.glob("cells/*/run.h5")}


def checkpointed(results):
    return lambda: any(results.glob("cells/*/checkpoint.h5"))


def undisturbed(test):
    """The study without a disturbance: its content, and how long it takes; on a fast machine with more tokens."""
    tokens, seconds = 10000, 0
    while seconds < SECONDS:
        tokens *= 2
        STUDY["grid"]["tokens"] = f"{tokens}, {2 * tokens}"
        study = test.study("quiet.ini", **STUDY)
        shutil.rmtree(test.results("quiet.ini"), ignore_errors=True)
        started = time.monotonic()
        test.run("run", study)
        seconds = time.monotonic() - started
    wanted = contents(test.results("quiet.ini"))
    test.equal(len(wanted), 4, "cells of the study")
    return wanted, seconds


def finish(test, study, results, wanted, done, what):
    """Runs to the end and compares; cells done before must be the files they were."""
    test.run("run", study)
    now = stamps(results)
    test.equal({k: now.get(k) for k in done}, done, f"no done cell is trained twice {what}")
    same(test, contents(results), wanted, what)
    test.equal(temporaries(results), [], f"temporaries {what}")


def kill_often(test, wanted, seconds):
    """KILLS times kill -9 at random moments. When the study is finished before, it starts anew."""
    moments = random.Random(SEED)
    print(f"seed {SEED}, undisturbed {seconds:.2f} s; killed after", flush=True)
    study, results = test.study("killed.ini", **STUDY), test.results("killed.ini")
    kills = rounds = resumed = 0
    done = {}
    while kills < KILLS:
        after = moments.uniform(0.02, 0.4 * seconds)
        process = test.start("run", study)
        try:
            process.wait(timeout=after)
        except subprocess.TimeoutExpired:
            kill_all(process)
            kills += 1
        now = stamps(results)
        test.equal({k: now.get(k) for k in done}, done, f"no done cell is trained twice (kill {kills})")
        done = now
        if process.returncode == -signal.SIGKILL:
            print(f"  {kills}: {after:.3f} s, {len(done)} cells done, checkpoints "
                  f"{len(list(results.glob('cells/*/checkpoint.h5')))}", flush=True)
            continue
        test.equal(process.returncode, 0, "exit code of the run that was let finish")
        same(test, contents(results), wanted, f"after {kills} kills")
        resumed += sum(resumes(results).values())
        rounds += 1
        shutil.rmtree(results)
        done = {}
    finish(test, study, results, wanted, done, "after the last kill")
    resumed += sum(resumes(results).values())
    test.check(resumed >= 3, f"cells were resumed from checkpoints {resumed} times")
    print(f"{kills} kills, {rounds + 1} times to the end, {resumed} resumes", flush=True)


def terminate(test, wanted, number):
    """SIGTERM and SIGINT: checkpoints, exit code 75, and the next run goes on from there."""
    name = f"signal{number}.ini"
    study, results = test.study(name, **STUDY), test.results(name)
    process = test.start("run", study)
    wait_for(checkpointed(results), what="a checkpoint")
    process.send_signal(number)
    test.equal(process.wait(timeout=60), 75, f"exit code after signal {number}")
    test.check(checkpointed(results)(), "a checkpoint is there")
    status = test.run("status", study, "--json")
    test.check('"checkpoint"' in status.out, "status shows the checkpoint")
    finish(test, study, results, wanted, stamps(results), f"after signal {number}")
    test.check(max(resumes(results).values()) >= 1, "the cell was resumed, not begun again")


def orphan(test, wanted):
    """Only the parent is killed: its children notice, keep a checkpoint and end."""
    study, results = test.study("orphan.ini", **STUDY), test.results("orphan.ini")
    process = test.start("run", study)
    wait_for(checkpointed(results), what="a checkpoint")
    wait_for(lambda: children(process.pid), what="a child")
    left = children(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not any(alive(pid) for pid in left), 30, "the children's end")
    test.check(left, "there were children")
    finish(test, study, results, wanted, stamps(results), "after the parent was killed")


def one_at_a_time(test):
    """A second run of the same study is refused while the first one works."""
    study, results = test.study("twice.ini", **STUDY), test.results("twice.ini")
    process = test.start("run", study)
    wait_for(checkpointed(results), what="a checkpoint")
    second = test.run("run", study, code=1)
    test.check("works on it" in second.err, "the second run says who works on the study")
    kill_all(process)


def main():
    test = Test()
    test.corpus()
    wanted, seconds = undisturbed(test)
    kill_often(test, wanted, seconds)
    terminate(test, wanted, signal.SIGTERM)
    terminate(test, wanted, signal.SIGINT)
    orphan(test, wanted)
    one_at_a_time(test)
    test.end(KILLS + 20)


if __name__ == "__main__":
    main()
