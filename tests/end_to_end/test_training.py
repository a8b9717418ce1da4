"""How a cell is trained: every schedule against its formula, accumulation, and what becomes of a run that diverges."""

import json
import math

import numpy

from e2e_lib import Test, attributes, dataset, stamps

STEPS, PEAK = 40, 3e-3


def factor(schedule, step):
    """docs/options.md and core/train/schedule.h in one more hand: warm-up 10 %, lr_final 0.1, cooldown 20 %."""
    warm, cool = 4, 8
    if step < warm:
        return (step + 1) / warm
    passed = (step - warm) / (STEPS - warm)
    if schedule == "linear":
        return 1 - 0.9 * passed
    if schedule == "cosine":
        return 0.1 + 0.9 * (1 + math.cos(math.pi * passed)) / 2
    if schedule == "wsd":
        return 1 if step < STEPS - cool else 1 - math.sqrt((step - STEPS + cool) / cool)
    return 1


def train(test, name, **changes):
    study = test.study(name + ".ini", grid={"sizes": "1x16x2", "tokens": str(256 * STEPS)},
                       **{**changes, "train": {"batch_tokens": "256", "lr": PEAK, **changes.get("train", {})}})
    test.run("run", study)
    return study, next(test.results(name + ".ini").glob("cells/*/run.h5"))


def schedules(test):
    losses = {}
    for schedule in ("constant", "linear", "cosine", "wsd"):
        _, run = train(test, schedule, train={"schedule": schedule})
        rate, expected = dataset(run, "curve/learning_rate"), [PEAK * factor(schedule, i) for i in range(STEPS)]
        test.check(len(rate) == STEPS and numpy.allclose(rate, expected, rtol=1e-12), f"{schedule}: {rate} is not {expected}")
        losses[schedule] = dataset(run, "curve/loss_all")
        test.check(losses[schedule][-8:].mean() < losses[schedule][:4].mean() - 0.05, f"{schedule}: the loss falls")
    test.check((losses["constant"][:6] == losses["wsd"][:6]).all(), "before they part, constant and wsd are one run")
    test.check((losses["constant"][-5:] != losses["wsd"][-5:]).any(), "then they are not")


def accumulation(test):
    """The split into micro-batches is arithmetic's, not training's: the same batches, the same losses to rounding."""
    _, whole = train(test, "whole", train={"batch_tokens": "512"}, run={"micro_tokens": "512"})
    _, split = train(test, "split", train={"batch_tokens": "512"}, run={"micro_tokens": "128"})
    test.equal([attributes(p)["micro_tokens"] for p in (whole, split)], [512.0, 128.0], "micro-batches used")
    for column in ("tokens", "selected", "masked"):
        test.check((dataset(whole, f"curve/{column}") == dataset(split, f"curve/{column}")).all(), f"{column} of both")
    apart = numpy.abs(dataset(whole, "curve/loss_all") - dataset(split, "curve/loss_all")).max()
    test.check(0 < apart < 1e-4, f"losses of whole and split batches are {apart} apart")
    test.check(attributes(whole)["flops_exact"] == attributes(split)["flops_exact"], "and cost the same")


def divergence(test):
    # Decay 10 at learning rate 10 multiplies the matrices by -99 in a step.
    study, run = train(test, "wild", train={"lr": "10", "weight_decay": "10", "warmup": "0"})
    end = attributes(run)
    test.equal(end["status"], "diverged", "status of a run that blows up")
    test.check(0 <= end["diverged_step"] < STEPS, f"it diverged at step {end['diverged_step']}")
    weights = [dataset(run, f"weights/{name}") for name in ("embed.weight", "head.bias")]
    test.check(all(numpy.isfinite(w).all() for w in weights), "its last good weights are kept")
    state = json.loads(test.run("status", study, "--json").out)
    test.equal(state["cells"][0]["state"], "diverged", "state told by status")
    before = stamps(test.results("wild.ini"))
    test.run("run", study)
    test.equal(stamps(test.results("wild.ini")), before, "a diverged cell is not trained again")
    fit = test.run("fit", study, "--json", code=1)
    left_out = json.loads(fit.out)["points_left_out"]
    test.equal([item["rule"] for item in left_out], ["diverged"], "what fit left out, and why")


def main():
    test = Test()
    test.corpus()
    schedules(test)
    accumulation(test)
    divergence(test)
    test.end(least=20)


main()
