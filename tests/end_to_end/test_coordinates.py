"""muP: training moves models of all widths alike where the standard parametrization does not, and a study at the base width trains
to the bits of the standard one."""

import json

import e2e_lib

WIDTHS = ["--shape", "1x32x2,1x64x4,1x128x8", "--steps", "6", "--tokens", "512", "--threads", "1"]
MUP = {"parametrization": "mup", "base_width": "32"}


def check_coordinates(test):
    test.study("mup.ini", model=MUP, train={"batch_tokens": "512", "lr": "4e-3"})
    done = test.run("coordinates", "mup.ini", *WIDTHS, "--json")
    found = json.loads(done.out)
    test.equal(found["schema"], "plmscale.coordinates/1", "schema")
    standard, mup = found["tables"]
    test.equal((standard["parametrization"], standard["flat"]), ("standard", False), "the standard one is not flat")
    test.equal((mup["parametrization"], mup["flat"], mup["base_width"]), ("mup", True, 32), "muP is")
    slopes = {t["parametrization"]: {c["name"]: c["change_slope"] for c in t["coordinates"]} for t in found["tables"]}
    for name in ("query, key, value", "residual stream", "feed-forward", "head", "logits"):
        test.check(abs(slopes["mup"][name]) < 0.2, f"{name}: flat in muP: {slopes['mup'][name]}")
        test.check(slopes["standard"][name] > 0.4, f"{name}: grows in the standard one: {slopes['standard'][name]}")
    first = [[c["change"][0] for c in t["coordinates"]] for t in found["tables"]]
    test.equal(first[0], first[1], "at the base width the two are one")
    starts = {c["name"]: c["start_slope"] for c in mup["coordinates"]}
    test.check(-0.7 < starts["logits"] < -0.3, f"tied logits begin as 1/sqrt(width): {starts['logits']}")


def check_verdict(test):
    done = test.run("coordinates", "mup.ini", *WIDTHS, "--limit", "1e-6", code=1)
    test.check("mup is not flat: a slope of" in done.err, f"the verdict: {done.err}")
    test.check("moves with width" in done.out and "change of" in done.out, "the table stands before it")
    done = test.run("coordinates", "mup.ini", "--shape", "1x32x2,1x32x4", code=2)
    test.check("widths must grow" in done.err, done.err)
    done = test.run("coordinates", "mup.ini", "--shape", "1x32x2", code=2)
    test.check("at least two models" in done.err, done.err)


def check_base_width(test):
    """A study trained in muP at its base width, and the same in the standard parametrization."""
    grid = {"sizes": "1x32x2", "tokens": "4096"}
    for name, model in (("standard.ini", {}), ("base.ini", MUP)):
        test.study(name, grid=grid, model=model)
        test.run("run", name)
    runs = [e2e_lib.contents(test.results(name)) for name in ("standard.ini", "base.ini")]
    test.check(list(runs[0]) != list(runs[1]), "they are cells of their own")
    (standard,), (base,) = runs[0].values(), runs[1].values()
    for part in standard:
        if part != "content_xxh3":
            test.check(standard[part] == base[part], f"{part} is the same to the bit")
    text = next(test.results("base.ini").glob("cells/*/run.h5"))
    with e2e_lib.h5py.File(text, "r") as file:
        resolved = json.loads(bytes(file["config/resolved_json"][()]))
    test.equal((resolved["model"]["parametrization"], resolved["model"]["base_width"]), ("mup", 32), "what run.h5 says")


def main():
    test = e2e_lib.Test()
    test.corpus()
    check_coordinates(test)
    check_verdict(test)
    check_base_width(test)
    test.end(25)


main()
