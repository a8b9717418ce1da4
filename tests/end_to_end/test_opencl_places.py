"""Two OpenCL devices train one study at once; a device is chosen by index, by part of its name and by its identity."""

import json
import pathlib

import numpy

from e2e_lib import Test, attributes, dataset

STUDY = dict(grid={"sizes": "1x16x2, 2x16x2", "tokens": "4096, 8192, 12288"}, evaluate={"tokens": "1000", "count": "2"})
CELLS = 6
TOLERANCE = 1e-3
TWO = {"POCL_DEVICES": "pthread basic"}


def devices(test, **environment):
    found = json.loads(test.run("backends", "--json", **environment).out)
    backend = next(b for b in found["candidates"] if b["name"] == "opencl")
    if not test.equal(backend["outcome"], "accepted", f"opencl: {backend['reason']}"):
        test.end(1)
    return backend["devices"]


def runs(test, name):
    return {path.parent.name: path for path in sorted(test.results(name).glob("cells/*/run.h5"))}


def two_at_once(test):
    listed = devices(test, **TWO)
    ids = [d["id"] for d in listed]
    pocl = [i for i, d in enumerate(listed) if "pthread" in d["name"] or "basic" in d["name"]]
    test.equal(len(pocl), 2, f"PoCL's devices in {listed}")
    test.equal(len(set(ids)), len(ids), f"identities are distinct: {ids}")
    study = test.study("two.ini", **STUDY)
    test.run("run", study, "--threads", "1", *(a for i in pocl for a in ("--backend", f"opencl:{i}")), **TWO)
    two = runs(test, "two.ini")
    test.equal(len(two), CELLS, "cells of two devices")
    used = {attributes(path)["device_id"] for path in two.values()}
    test.equal(used, {ids[i] for i in pocl}, "both devices trained")
    test.run("run", test.study("cpu.ini", **STUDY), "--backend", "cpu")
    for cell, path in runs(test, "cpu.ini").items():
        for column in ("curve/loss_mask", "evaluation/loss_mask"):
            apart = numpy.abs(dataset(path, column) - dataset(two[cell], column)).max()
            test.check(apart <= TOLERANCE, f"{column} of {cell}: {apart} apart between cpu and {attributes(two[cell])['device_id']}")


def chosen(test, device, wanted, code=0):
    study = test.study("chosen.ini", grid={"sizes": "1x16x2", "tokens": "1024"})
    done = test.run("run-cell", study, 0, "--backend", f"opencl:{device}", code=code, **TWO)
    if code:
        test.check(wanted in done.err, f"the message about {device!r} names {wanted!r}: {done.err[-300:]}")
        return
    path = next(test.results("chosen.ini").glob("cells/*/run.h5"))
    test.equal(attributes(path)["device_id"], wanted, f"device chosen by {device!r}")
    path.unlink()


def choose(test):
    listed = devices(test, **TWO)
    basic = next(i for i, d in enumerate(listed) if d["name"].startswith("basic"))
    for text in (str(basic), listed[basic]["id"], "basic"):
        chosen(test, text, listed[basic]["id"])
    chosen(test, "no such device", listed[basic]["name"][:20], code=2)
    chosen(test, "99", listed[basic]["name"][:20], code=2)


def shipped_profile(test):
    """The profile that comes with the plugin holds for the kernels of this build, and is taken where it fits."""
    study = test.study("shipped.ini", grid={"sizes": "1x16x2", "tokens": "1024"})
    test.run("run-cell", study, 0, "--backend", "opencl:pthread", XDG_CONFIG_HOME=str(test.folder / "nobody"))
    run = attributes(next(test.results("shipped.ini").glob("cells/*/run.h5")))
    folder = pathlib.Path(run["backend_path"]).parent / "opencl-profiles"
    profiles = {path: json.loads(path.read_text())["devices"][0] for path in sorted(folder.glob("*.json"))}
    test.check(profiles, "a profile is shipped")
    vector = 16 if "avx512" in run["device_name"] else 8
    driver = run["driver"] + " " + run["driver_version"]
    fitting = [path for path, device in profiles.items() if (device["driver"], device["vector"]) == (driver, vector)]
    if fitting:
        test.equal(run["kernels_source"], str(fitting[0]), "where the choice of kernels came from; stale: scripts/default-profile")
    else:
        print(f"skipped: no shipped profile for {run['driver']} {run['driver_version']} on {run['device_name']}")


def none_usable(test):
    """A loader without any implementation: the backend says why, and nothing crashes."""
    empty = test.folder / "vendors"
    empty.mkdir()
    done = test.run("backends", "-v", OCL_ICD_VENDORS=str(empty))
    test.check("opencl" in done.out, f"opencl is listed without devices: {done.out}")
    study = test.study("none.ini", grid={"sizes": "1x16x2", "tokens": "1024"})
    done = test.run("run-cell", study, 0, "--backend", "opencl", code=None, OCL_ICD_VENDORS=str(empty))
    test.check(done.returncode in (1, 2), f"exit code without a device: {done.returncode}")
    test.check("opencl" in done.err and "device" in done.err, f"the reason without a device: {done.err[-300:]}")


def main():
    test = Test()
    if not test.has("opencl"):
        print("skipped: this build has no opencl backend")
        raise SystemExit(77)
    test.corpus()
    two_at_once(test)
    choose(test)
    shipped_profile(test)
    none_usable(test)
    test.end(30)


if __name__ == "__main__":
    main()
