"""The shadow: two backends op by op. Agreement changes nothing; the first op that disagrees is named with its values, its inputs
are kept, and the run ends as with a device that computes wrong."""

import re

import e2e_lib
import h5py

ONE = {"sizes": "1x16x2", "tokens": "1024"}


def cell_file(test, study, name):
    return next(iter(test.results(study).glob(f"cells/*/{name}")), None)


def check_agreement(test):
    test.study("plain.ini", grid=ONE)
    test.run("run", "plain.ini")
    test.study("good.ini", grid=ONE)
    test.run("run", "good.ini", "--shadow", "reference")
    path = cell_file(test, "good.ini", "run.h5")
    test.equal(e2e_lib.content(path), e2e_lib.content(cell_file(test, "plain.ini", "run.h5")), "results in the shadow")
    test.equal(e2e_lib.attributes(path)["backend_layers"], "shadow:reference", "the shadow is on record")
    said = re.search(r"shadow: (\d+) ops compared, largest error ([0-9.]+)",
                     cell_file(test, "good.ini", "log.txt").read_text())
    test.check(said and int(said[1]) > 80 and 0 < float(said[2]) <= 1, f"ops were compared: {said and said[0]}")


def check_disagreement(test, name, backend, op, *layers):
    """op: the one that must be named."""
    study = f"{name}.ini"
    test.study(study, grid=ONE)
    done = test.run("run", study, "--backend", backend, "--shadow", "reference", *layers, code=1)
    line = next((text for text in done.err.splitlines() if "disagree" in text), "")
    test.check(f'shadow: "{backend}" and "reference" disagree at op #' in line and f" {op} " in line,
               f"{name}: the op is named: {done.err[-700:]}")
    test.check(re.search(r"\[\d+\] = \S+, the reference has \S+, allowed error \S+ \(\d+ of \d+ wrong\)", line),
               f"{name}: element and values are given: {line}")
    kept = cell_file(test, study, "shadow.h5")
    test.check(line.endswith(f"replay: plmscale check {backend} --replay {study[:-4]}.study/cells/{kept.parent.name}/shadow.h5"
                             if kept else "no case"), f"{name}: the line that replays it: {line}")
    with h5py.File(kept, "r") as file:
        test.equal(file.attrs["op"].decode(), op.split("+")[0], f"{name}: the op of the kept case")
        test.check(str(backend)[:60] in file.attrs["note"].decode(), f"{name}: the case says where it came from")
    test.check(cell_file(test, study, "run.h5") is None, f"{name}: there is no run file")
    replay = line.split("replay: plmscale ", 1)[-1].split()
    test.run(*replay, code=0 if layers else 1)  # a layer's fault is not the backend's
    test.run("check", "reference", *replay[2:], code=0)


def main():
    test = e2e_lib.Test()
    test.corpus()
    check_agreement(test)
    check_disagreement(test, "fault", "cpu", "linear_grad_input", "--layer", "fault:op_run@30=wrong")
    check_disagreement(test, "nan", "cpu", "layer_norm", "--layer", "fault:op_run@4=nan")
    check_disagreement(test, "norm_tail", test.broken / "norm_tail.so", "layer_norm")
    check_disagreement(test, "adam_bias", test.broken / "adam_bias.so", "adamw")
    test.study("unknown.ini", grid=ONE)
    done = test.run("run", "unknown.ini", "--shadow", "referense", code=2)
    test.check('did you mean "reference"?' in done.err, f"an unknown shadow is found before any work: {done.err}")
    test.end(30)


main()
