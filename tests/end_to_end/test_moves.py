"""The same cell on two backends: one run in two arithmetics, and one that moves from the first to the second on the way."""

import signal

import numpy

from e2e_lib import Test, attributes, dataset, wait_for

TOLERANCE = 1e-3
COLUMNS = ("loss_all", "loss_mask")
# Small enough for the reference, and long enough that the fast backends write a checkpoint (every 0.1 s) on the way.
SMALL = dict(shape="2x16x2", batch=256, steps=100)
LARGE = dict(shape="2x48x3", batch=1024, steps=400)
PAIRS = (("reference", "cpu", SMALL), ("cpu", "opencl", LARGE), ("opencl", "cpu", LARGE))


def write_study(test, name, cell):
    return test.study(name, grid={"sizes": cell["shape"], "tokens": str(cell["batch"] * cell["steps"])},
                      train={"batch_tokens": str(cell["batch"])}, evaluate={"tokens": "1000", "count": "4"})


def train(test, backend, cell):
    name = f"{backend}_{cell['shape']}.ini"
    test.run("run-cell", write_study(test, name, cell), 0, "--backend", backend)
    path = next(test.results(name).glob("cells/*/run.h5"))
    losses = dataset(path, "curve/loss_mask")
    test.equal(attributes(path)["backend"], backend, "backend of the run")
    test.check(losses[-10:].mean() < losses[0] - 0.2, f"it learns on {backend}")
    return path


def compare(test, path, other, what):
    steps = int(attributes(other)["steps_planned"])
    for column in COLUMNS:
        a, b = dataset(path, f"curve/{column}"), dataset(other, f"curve/{column}")
        test.equal((len(a), len(b)), (steps, steps), f"steps, {what}")
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


def move(test, first, second, cell, runs):
    """Stopped on the first, continued on the second."""
    name = f"{first}_{second}.ini"
    study, results = write_study(test, name, cell), test.results(name)
    process = test.start("run-cell", study, 0, "--backend", first)
    wait_for(lambda: any(results.glob("cells/*/checkpoint.h5")), what=f"a checkpoint of {first}")
    process.send_signal(signal.SIGTERM)
    test.equal(process.wait(timeout=60), 75, "exit code after SIGTERM")
    stopped = attributes(next(results.glob("cells/*/checkpoint.h5")))
    test.equal(stopped["backend"], first, "backend of the checkpoint")
    test.check(0 < stopped["steps"] < cell["steps"], f"stopped on the way, at step {stopped['steps']}")
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
    done = {}
    for first, second, cell in pairs:
        for backend in (first, second):
            if (backend, cell["shape"]) not in done:
                done[backend, cell["shape"]] = train(test, backend, cell)
        runs = {backend: done[backend, cell["shape"]] for backend in (first, second)}
        apart(test, runs[first], runs[second], f"{first} and {second}")
        move(test, first, second, cell, runs)
    test.end(20 * len(pairs))


if __name__ == "__main__":
    main()
