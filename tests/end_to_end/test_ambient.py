"""A backend whose ops change the process around them (flush-to-zero, rounding, locale, signals) is refused at the end of the
step and named; what other devices train beside it stays the same, bit by bit."""

from e2e_lib import Test, attributes, contents

CHANGES = {
    "flushes": "changed the floating-point state",
    "rounds_up": "changed the rounding mode",
    "sets_locale": "changed the locale from",
    "takes_signal": "changed the handler of SIGTERM",
}
CELLS = 4


def alone(test, name, text):
    """No device is left: the study stops before a single cell counts as done."""
    done = test.run("run", test.study(name + ".ini"), "--backend", test.broken / f"{name}.so", code=4)
    lines = [line for line in done.err.splitlines() if text in line]
    test.check(lines, f"{name} alone: says that it {text}: {done.err[-500:]}")
    test.check(all(f'backend "{name}"' in line for line in lines), f"{name} alone: the backend is named")
    test.equal(contents(test.results(name + ".ini")), {}, f"{name} alone: done cells")


def beside(test, name, text, wanted):
    """The other device takes the cells."""
    study = f"{name}_beside.ini"
    done = test.run("run", test.study(study), "--backend", "cpu", "--backend", test.broken / f"{name}.so")
    test.check(any(text in line and "cannot be used" in line for line in done.err.splitlines()),
               f"{name} beside cpu: is taken out of use")
    test.check(contents(test.results(study)) == wanted, f"{name} beside cpu: the cells are those of cpu alone")
    backends = {attributes(p)["backend"] for p in test.results(study).glob("cells/*/run.h5")}
    test.equal(backends, {"cpu"}, f"{name} beside cpu: backends of the cells")


def control(test):
    """The same plugin with nothing wrong trains, so it is the change that is refused."""
    test.run("run", test.study("control.ini", grid={"sizes": "1x16x2", "tokens": "4096"}), "--backend",
             test.broken / "unbroken.so")
    test.equal(len(contents(test.results("control.ini"))), 1, "cells of the control")


def main():
    test = Test()
    test.corpus()
    test.run("run", test.study("cpu.ini"), "--backend", "cpu")
    wanted = contents(test.results("cpu.ini"))
    test.equal(len(wanted), CELLS, "cells")
    control(test)
    for name, text in CHANGES.items():
        alone(test, name, text)
        beside(test, name, text, wanted)
    test.end(least=6 * len(CHANGES))


main()
