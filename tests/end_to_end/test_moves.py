"""The same cell on two backends: one run in two arithmetics, and one that moves from the first to the second on the way."""

import signal

import numpy

from e2e_lib import Test, attributes, dataset, wait_for

STEPS = 100
TOLERANCE = 1e-3
COLUMNS = ("loss_all", "loss_mask")
STUDY = dict(grid={"sizes": "2x16x2", "tokens": str(256 * STEPS)}, train={"batch_tokens": "256"},
             evaluate={"tokens": "1000", "count": "4"})
PAIRS = (("reference", "cpu"), ("cpu", "opencl"), ("opencl", "cpu"))


def train(test, backend):
    study = test.study(backend + ".ini", **STUDY)
    test.run("run-cell", study, 0, "--backend", backend)
    path = next(test.results(backend + ".ini").glob("cells/*/run.h5"))
    losses = dataset(path, "curve/loss_mask")
    test.equal(attributes(path)["backend"], backend, "backend of the run")
    test.check(losses[-10:].mean() < losses[0] - 0.2, f"it learns on {backend}")
    return path


def compare(test, path, other, what):
    for column in COLUMNS:
        a, b = dataset(path, f"curve/{column}"), dataset(other, f"curve/{column}")
        test.equal((len(a), len(b)), (STEPS, STEPS), f"steps, {what}")
        apart = numpy.abs(a - b).max()
        test.check(apart <= TOLERANCE, f"{column}, {what}: {apart} apart at step {numpy.abs(a - b).argmax()}")
        print(f"{column}, {what}: at most {apart:.2e} apart, from {a[0]:.4f} to {a[-1]:.4f}")
        a, b = dataset(path, f"evaluation/{column}"), dataset(other, f"evaluation/{column}")
        test.check(numpy.abs(a - b).max() <= TOLERANCE, f"evaluation/{column}, {what}: {a} and {b}")
    for column in ("tokens", "selected", "masked", "learning_rate"):
        a, b = dataset(path, f"curve/{column}"), dataset(other, f"curve/{column}")
        test.check((a == b).all(), f"{column} is the host's and does not depend on the backend, {what}")


def apart(test, path, other, what):
    test.equal(attributes(path)["cell_id"], attributes(other)["cell_id"], f"the cell, {what}")
    different = (dataset(path, "weights/embed.weight") != dataset(other, "weights/embed.weight")).any()
    test.check(different, f"two backends, not one under two names: {what}")
    compare(test, path, other, what)


def move(test, first, second, runs):
    """Stopped on the first, continued on the second."""
    name = f"{first}_{second}.ini"
    study, results = test.study(name, **STUDY), test.results(name)
    process = test.start("run-cell", study, 0, "--backend", first)
    wait_for(lambda: any(results.glob("cells/*/checkpoint.h5")), what=f"a checkpoint of {first}")
    process.send_signal(signal.SIGTERM)
    test.equal(process.wait(timeout=60), 75, "exit code after SIGTERM")
    stopped = attributes(next(results.glob("cells/*/checkpoint.h5")))
    test.equal(stopped["backend"], first, "backend of the checkpoint")
    test.check(0 < stopped["steps"] < STEPS, f"stopped on the way, at step {stopped['steps']}")
    test.run("run-cell", study, 0, "--backend", second)
    moved = next(results.glob("cells/*/run.h5"))
    end = attributes(moved)
    test.equal((end["backend"], end["resumes"]), (second, 1), "backend and resumes at the end")
    steps = int(stopped["steps"])
    for column in COLUMNS:
        before, alone = dataset(moved, f"curve/{column}")[:steps], dataset(runs[first], f"curve/{column}")[:steps]
        test.check((before == alone).all(), f"up to the move: the very bits of {first}")
    compare(test, moved, runs[second], f"moved from {first} to {second}, and {second}")
    compare(test, moved, runs[first], f"moved from {first} to {second}, and {first}")


def main():
    test = Test()
    test.corpus()
    pairs = [pair for pair in PAIRS if test.has("opencl") or "opencl" not in pair]
    if len(pairs) < len(PAIRS):
        print(f"skipped: {len(PAIRS) - len(pairs)} pairs, this build has no opencl backend")
    runs = {name: train(test, name) for name in sorted({name for pair in pairs for name in pair})}
    for first, second in pairs:
        apart(test, runs[first], runs[second], f"{first} and {second}")
        move(test, first, second, runs)
    test.end(20 * len(pairs))


if __name__ == "__main__":
    main()
