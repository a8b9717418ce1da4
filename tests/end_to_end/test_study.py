"""A whole study: FASTA to law, and what every file of it says to a reader that is not ours."""

import json
import math
import struct

import numpy

from e2e_lib import FIGURES, STUDY, TEXTS, Test, attributes, contents, dataset, stamps, temporaries

CURVE = ["tokens", "selected", "masked", "learning_rate", "loss_all", "loss_mask", "grad_norm", "clip_factor"]
EVALUATION = ["step", "tokens", "loss_all", "loss_all_error", "loss_mask", "loss_mask_error"]


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 0x80:
            return value, at


def fields(data):
    """A protobuf message as a list of (field, value)."""
    found, at = [], 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 2:
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
        else:
            size = {1: 8, 5: 4}[key & 7]
            value, at = struct.unpack("<d" if size == 8 else "<f", data[at:at + size])[0], at + size
        found.append((key >> 3, value))
    return found


def records(test, path):
    """The payloads of a TensorBoard event file, both checksums of each checked."""
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        (size,), (crc,) = struct.unpack_from("<Q", data, at), struct.unpack_from("<I", data, at + 8)
        payload = data[at + 12:at + 12 + size]
        (tail,) = struct.unpack_from("<I", data, at + 12 + size)
        if crc != masked(data[at:at + 8]) or tail != masked(payload) or len(payload) != size:
            test.check(False, f"{path}: record at byte {at} has a wrong checksum")
            return found
        found.append(payload)
        at += 16 + size
    test.check(found, f"{path} has records")
    return found


def check_events(test, folder):
    paths = list(folder.glob("events.out.tfevents.*"))
    test.equal(len(paths), 1, f"event files of {folder.name}")
    scalars = {}
    payloads = records(test, paths[0])
    test.check((3, b"brain.Event:2") in fields(payloads[0]), "the first record is the version")
    for payload in payloads[1:]:
        event = dict(fields(payload))
        value = dict(fields(dict(fields(event[5]))[1]))
        scalars.setdefault(value[1].decode(), []).append((event[2], value[2]))
    curve = dataset(folder / "run.h5", "curve/loss_mask")
    wanted = [(i + 1, float(x)) for i, x in enumerate(curve.astype(numpy.float32))]
    test.equal(scalars.get("train/loss_mask"), wanted, "train/loss_mask of the events")
    valid = dataset(folder / "run.h5", "evaluation/loss_mask").astype(numpy.float32)
    steps = dataset(folder / "run.h5", "evaluation/step")
    test.equal(scalars.get("valid/loss_mask"), [(int(s), float(v)) for s, v in zip(steps, valid)], "valid/loss_mask of the events")


def check_run(test, path, cell):
    a = attributes(path)
    for name in FIGURES + TEXTS:
        test.check(name in a, f"{path} has the attribute {name}")
    for name in ("layers", "width", "heads", "n_layers_only", "n_with_head", "n_total"):
        test.equal(a[name], cell[name], f"{name} of {path} and the plan")
    test.equal(a["cell_id"], cell["id"], "id of the cell")
    test.equal(a["status"], "done", "status")
    test.equal(a["steps"], cell["steps"], "steps")
    test.equal(a["flops_6nd"], 6 * a["n_layers_only"] * a["tokens"], "6ND")
    test.check(a["flops_exact"] > a["flops_6nd"], "the exact count holds attention and head too")
    layers, width, vocabulary = int(a["layers"]), int(a["width"]), 33
    test.equal(a["n_layers_only"], layers * (12 * width * width + 13 * width), "layers-only count")
    test.equal(a["n_total"] - a["n_with_head"], vocabulary * width, "the embedding")
    for name in CURVE:
        test.equal(len(dataset(path, f"curve/{name}")), cell["steps"], f"length of curve/{name}")
    warm = max(a["warmup_steps"], 1)
    evaluations = 1 + math.floor(3 * math.log10((cell["steps"] - 1) / warm))  # 3 in every tenfold of a trunk, and the last
    for name in EVALUATION:
        test.equal(len(dataset(path, f"evaluation/{name}")), evaluations, f"length of evaluation/{name}")
    tokens = dataset(path, "curve/tokens")
    test.check((numpy.diff(tokens) > 0).all() and tokens[-1] == a["tokens"], "tokens grow to the total")
    test.equal(dataset(path, "curve/selected").sum(), a["tokens_selected"], "selected rows")
    test.equal(dataset(path, "curve/masked").sum(), a["tokens_masked"], "<mask> rows")
    test.check(a["tokens_masked"] < a["tokens_selected"] < 0.25 * a["residues"] < a["tokens"], "counts are in order")
    test.equal(dataset(path, "evaluation/step")[-1], cell["steps"], "the last evaluation is at the end")
    test.equal(dataset(path, "evaluation/loss_mask")[-1], a["valid_loss_mask"], "the last evaluation is the result")
    loss = dataset(path, "curve/loss_all")
    test.check(abs(loss[0] - numpy.log(vocabulary)) < 0.3, f"an untrained model knows nothing: {loss[0]}")
    test.check(loss[-4:].mean() < loss[:2].mean(), "the loss falls")
    check_weights(test, path, layers, width, vocabulary)


def check_weights(test, path, layers, width, vocabulary):
    shapes = {"embed.weight": (vocabulary, width), "head.bias": (vocabulary,), "head.dense.weight": (width, width),
              "final.layer_norm.weight": (width,)}
    for i in range(layers):
        shapes[f"layer.{i}.attention.qkv.weight"] = (3 * width, width)
        shapes[f"layer.{i}.attention.out.weight"] = (width, width)
        shapes[f"layer.{i}.mlp.up.weight"] = (4 * width, width)
        shapes[f"layer.{i}.mlp.down.weight"] = (width, 4 * width)
        shapes[f"layer.{i}.mlp.up.bias"] = (4 * width,)
    for name, shape in shapes.items():
        weight = dataset(path, f"weights/{name}")
        test.equal(weight.shape, shape, f"shape of {name}")
        test.check(numpy.isfinite(weight).all() and weight.std() > 0, f"{name} is finite and not constant")
    total = sum(w.size for w in weights(path).values())
    test.equal(total, attributes(path)["n_total"], "weights in the file")


def weights(path):
    import h5py
    with h5py.File(path, "r") as file:
        return {name: data[...] for name, data in file["weights"].items()}


def check_summary(test, results, cells):
    path = results / "study.h5"
    ids = [i.decode() for i in dataset(path, "summary/cell_id")]
    test.equal(ids, [cell["id"] for cell in cells], "cells of study.h5, in the order of the plan")
    for i, cell in enumerate(ids):
        run = attributes(results / "cells" / cell / "run.h5")
        for name in FIGURES:
            test.equal(dataset(path, f"summary/{name}")[i], run[name], f"{name} of {cell} in study.h5")
        test.equal(dataset(path, "summary/shape")[i].decode(), run["shape"], "shape in study.h5")
        run_curve = dataset(results / "cells" / cell / "run.h5", "curve/loss_mask")
        test.check((dataset(path, f"cells/{cell}/curve/loss_mask") == run_curve).all(), f"curve of {cell} in study.h5")


def check_law(test):
    """At one learning rate the loss of models so small falls with both N and D: a surface can be fitted."""
    study = test.study("law.ini", grid={"sizes": "1x8x2, 1x16x2, 1x32x2", "tokens": "4096, 8192, 16384"}, train={"lr": "4e-3"})
    test.run("run", study)
    fit = json.loads(test.run("fit", study, "--json", "--bootstrap", "0").out)
    test.equal(fit["schema"], "plmscale.fit/2", "schema of the fit")
    laws = {law["estimator"]: law for law in fit["fits"]}
    test.check("vp" in laws, f"a surface is fitted: {fit}")
    law = laws["vp"]
    test.equal(law["points"], 9, "points of the fit")
    test.check(abs(law["a"] + law["b"] - 1) < 1e-9 and 0 < law["a"] < 1, f"exponents: {law['a']} and {law['b']}")
    test.check(law["params"]["A"] > 0 and law["params"]["B"] > 0, "the loss falls with N and with D")
    test.check(law["optimum"], "an optimum for each budget")
    check_prediction(test, study)


def check_prediction(test, study):
    """Shape, batch and rate of the study, and the time that its own runs took, a token's FLOPs weighed in."""
    said = json.loads(test.run("predict", study, "--params", "3264", "--json", "--bootstrap", "0").out)
    test.equal(said["schema"], "plmscale.predict/1", "schema of the prediction")
    layers, width, _ = map(int, said["shape"].split("x"))
    test.check(abs(6 * layers * (12 * width**2 + 13 * width) * said["shape_tokens"] / said["compute"] - 1) < 1e-9,
               "the shape sees the tokens that the budget leaves it")
    test.equal(said["lr"], 4e-3, "learning rate of the study")
    device = said["devices"][0]
    test.check(device["tokens_per_second"] > 0 and device["basis"] in ("interpolated", "extrapolated"), f"device: {device}")
    test.check(abs(device["seconds"] * device["tokens_per_second"] / said["shape_tokens"] - 1) < 1e-9, "time of the shape")
    asked = json.loads(test.run("predict", study, "--params", "1M", "--json", "--bootstrap", "0", "--sheet",
                                "card=20000,500").out)
    test.check(asked["beyond_measured"] > 10, f"extrapolation: {asked['beyond_measured']}")
    test.equal([d["basis"] for d in asked["devices"][-1:]], ["sheet"], "a device that is not here")
    test.check(asked["devices"][-1]["seconds"] > 0, "its time")


def main():
    test = Test()
    test.corpus()
    study, results = test.study(), test.results()
    plan = json.loads(test.run("plan", study, "--json", "--no-measure").out)
    test.equal(plan["schema"], "plmscale.plan/1", "schema of the plan")
    test.equal(len(plan["cells"]), 4, "cells of the plan")
    test.check(not results.exists(), "plan writes nothing")
    test.run("run", study, "--dry-run")
    test.check(not results.exists(), "a dry run writes nothing")
    test.run("run", study)

    written = json.loads((results / "study.json").read_text())
    test.equal(written["schema"], "plmscale.study/1", "schema of study.json")
    test.equal(written["ini"], study.read_text(), "study.json keeps the INI file")
    test.equal([c["id"] for c in written["cells"]], [c["id"] for c in plan["cells"]], "cells of study.json")
    test.equal(written["options"]["train"]["batch_tokens"], int(STUDY["train"]["batch_tokens"]), "an option in study.json")
    for cell in plan["cells"]:
        check_run(test, results / "cells" / cell["id"] / "run.h5", cell)
        check_events(test, results / "cells" / cell["id"])
        left = [p.name for p in (results / "cells" / cell["id"]).glob("checkpoint*")]
        test.equal(left, [], "checkpoints of a finished cell")
    check_summary(test, results, plan["cells"])
    test.equal(temporaries(results), [], "temporaries")

    status = json.loads(test.run("status", study, "--json").out)
    test.equal(status["schema"], "plmscale.status/1", "schema of the status")
    test.equal(status["totals"]["done"], 4, "cells done")
    losses = {c["id"]: c["valid_loss_mask"] for c in status["cells"]}
    for cell in plan["cells"]:
        run = attributes(results / "cells" / cell["id"] / "run.h5")
        test.equal(losses[cell["id"]], run["valid_loss_mask"], "loss in the status")

    before, bytes_before = stamps(results), contents(results)
    test.run("run", study)
    test.equal(stamps(results), before, "running again trains nothing")
    few = test.run("fit", study, code=1)
    test.check("no law could be fitted" in few.err, "four points are too few for a law, and fit says so")

    # The grid grows: what is done stays.
    study = test.study(grid={"sizes": "1x16x2, 2x16x2, 3x16x2", "tokens": "4096, 8192, 16384"})
    test.run("run", study)
    grown = stamps(results)
    test.equal(len(grown), 9, "cells of the larger grid")
    test.equal({k: grown.get(k) for k in before}, before, "cells done before the grid grew are not trained again")
    test.equal({k: v for k, v in contents(results).items() if k in before}, bytes_before, "nor changed")
    check_law(test)
    test.end(300)


if __name__ == "__main__":
    main()
