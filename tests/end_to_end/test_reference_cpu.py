"""The same cell on the reference and on the cpu backend: one run in two arithmetics."""

import signal

import numpy

from e2e_lib import Test, attributes, dataset, wait_for

STEPS = 100
TOLERANCE = 1e-3
COLUMNS = ("loss_all", "loss_mask")
STUDY = dict(grid={"sizes": "2x16x2", "tokens": str(256 * STEPS)}, train={"batch_tokens": "256"},
             evaluate={"tokens": "1000", "count": "4"})


def train(test, name, backend):
    study = test.study(name + ".ini", **STUDY)
    test.run("run-cell", study, 0, "--backend", backend)
    return next(test.results(name + ".ini").glob("cells/*/run.h5"))


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


def move(test, reference, cpu):
    """Stopped on the reference, continued on the cpu."""
    study = test.study("moved.ini", **STUDY)
    results = test.results("moved.ini")
    process = test.start("run-cell", study, 0, "--backend", "reference")
    wait_for(lambda: any(results.glob("cells/*/checkpoint.h5")), what="a checkpoint of the reference backend")
    process.send_signal(signal.SIGTERM)
    test.equal(process.wait(timeout=60), 75, "exit code after SIGTERM")
    stopped = attributes(next(results.glob("cells/*/checkpoint.h5")))
    test.equal(stopped["backend"], "reference", "backend of the checkpoint")
    test.check(0 < stopped["steps"] < STEPS, f"stopped on the way, at step {stopped['steps']}")
    test.run("run-cell", study, 0, "--backend", "cpu")
    moved = next(results.glob("cells/*/run.h5"))
    end = attributes(moved)
    test.equal((end["backend"], end["resumes"]), ("cpu", 1), "backend and resumes at the end")
    first = int(stopped["steps"])
    for column in COLUMNS:
        before = dataset(moved, f"curve/{column}")[:first]
        test.check((before == dataset(reference, f"curve/{column}")[:first]).all(), "up to the move: the reference's own bits")
    compare(test, moved, cpu, "moved and cpu")
    compare(test, moved, reference, "moved and reference")


def main():
    test = Test()
    test.corpus()
    reference, cpu = train(test, "reference", "reference"), train(test, "cpu", "cpu")
    a, b = attributes(reference), attributes(cpu)
    test.equal((a["backend"], b["backend"]), ("reference", "cpu"), "backends of the runs")
    test.equal(a["cell_id"], b["cell_id"], "the cell")
    test.check(dataset(cpu, "curve/loss_mask")[-10:].mean() < dataset(cpu, "curve/loss_mask")[0] - 0.2, "it learns")
    compare(test, reference, cpu, "reference and cpu")
    different = (dataset(reference, "weights/embed.weight") != dataset(cpu, "weights/embed.weight")).any()
    test.check(different, "two backends, not one under two names")
    move(test, reference, cpu)
    test.end(20)


if __name__ == "__main__":
    main()
