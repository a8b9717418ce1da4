"""Shared trunks: the same bytes as separate runs, whatever happens to the files in between, and what plan says they save."""

import json
import shutil

from e2e_lib import Test, attributes, contents

STUDY = dict(grid={"sizes": "1x16x2, 2x16x2", "tokens": "6000, 20000, 50000"}, train={"schedule": "wsd"},
             evaluate={"tokens": "2000", "count": "4"})


def study(test, name, tokens, **run):
    return test.study(name, **{**STUDY, "grid": {**STUDY["grid"], "tokens": tokens}, "run": {"self_check": "no", **run}})


def runs(results):
    """The attributes of every run, by shape and tokens asked for."""
    found = [attributes(path) for path in results.glob("cells/*/run.h5")]
    return {(a["shape"], int(a["tokens_planned"])): a for a in found}


def branches(results):
    return sorted(path.parent.name for path in results.glob("cells/*/branch.h5"))


def equal_to_separate(test):
    """Trunks shared, by two cells at a time: every file as without; steps done once are recorded with whose they were."""
    alone, shared = study(test, "alone.ini", "6000, 20000, 50000", trunks="no"), study(test, "shared.ini", "6000, 20000, 50000",
                                                                                      devices="cpu, cpu")
    test.run("run", alone)
    test.run("run", shared)
    wanted = contents(test.results("alone.ini"))
    test.equal(len(wanted), 6, "cells of the study")
    test.check(contents(test.results("shared.ini")) == wanted, "shared trunks give the bytes of separate runs")
    separate, found = runs(test.results("alone.ini")), runs(test.results("shared.ini"))
    test.equal(branches(test.results("alone.ini")), [], "branches without trunks")
    test.equal(branches(test.results("shared.ini")), sorted(a["cell_id"] for k, a in found.items() if k[1] == 50000),
               "only the longest cells keep their branch")
    for shape in ("1x16x2", "2x16x2"):
        test.equal([found[shape, t]["trunk"] for t in (6000, 20000, 50000)],
                   ["", found[shape, 6000]["cell_id"], found[shape, 20000]["cell_id"]], "whose trunk")
        test.equal([found[shape, t]["trunk_steps"] for t in (6000, 20000, 50000)], [0, 12 - 2, 40 - 8], "shared steps")
        for tokens in (6000, 20000, 50000):
            a, b = found[shape, tokens], separate[shape, tokens]
            test.equal(b["trunk"], "", "a separate run has no trunk")
            same = "steps tokens residues tokens_selected tokens_masked flops_exact flops_6nd valid_loss_mask warmup_steps"
            test.equal([a[k] for k in same.split()], [b[k] for k in same.split()], "figures count shared steps in")
            test.check(a["trunk_seconds"] < a["seconds"], "a cell has seconds of its own")
    return wanted


def saved_as_planned(test):
    """plan: the steps shared, their FLOPs, and a forecast for the rest only."""
    plan = json.loads(test.run("plan", "shared.ini", "--json", "--no-measure").out)
    ids = {cell["id"]: cell for cell in plan["cells"]}
    saved = 0
    for cell in plan["cells"]:
        parent = ids.get(cell["parent"])
        steps = parent["steps"] - round(0.2 * parent["steps"]) if parent else 0
        test.equal(cell["steps_shared"], steps, "steps of the parent's trunk")
        saved += cell["flops_6nd"] * steps / cell["steps"]
    test.check(saved > 0 and abs(plan["totals"]["flops_6nd_saved"] / saved - 1) < 1e-12, "FLOPs saved")
    test.equal(json.loads(test.run("plan", "alone.ini", "--json", "--no-measure").out)["totals"]["flops_6nd_saved"], 0,
               "nothing is saved without trunks")
    test.check("Shared trunks save" in test.run("plan", "shared.ini", "--no-measure").out, "plan says so")


def grown_later(test, wanted):
    """A budget added to a finished study costs the difference; the cells that were there stay."""
    study(test, "grown.ini", "6000, 20000")
    test.run("run", "grown.ini")
    before = runs(test.results("grown.ini"))
    study(test, "grown.ini", "6000, 20000, 50000")
    test.run("run", "grown.ini")
    after = runs(test.results("grown.ini"))
    test.check(contents(test.results("grown.ini")) == wanted, "a study that grew has the bytes of one that did not")
    test.equal([after[k]["created_utc"] for k in before], [a["created_utc"] for a in before.values()], "old cells stay")
    test.check(all(after[s, 50000]["trunk_steps"] == 32 for s in ("1x16x2", "2x16x2")), "new cells begin at the old branch")


def harmed(test, wanted):
    """A branch that is damaged, missing, or another cell's: said, and the steps are done again."""
    for name, harm in (("cut", lambda p: p.write_bytes(p.read_bytes()[:5000])), ("gone", lambda p: p.unlink()),
                       ("changed", flip_a_weight), ("strange", lambda p: shutil.copy(test.strange, p))):
        study(test, "harmed.ini", "6000, 20000")
        shutil.rmtree(test.results("harmed.ini"), ignore_errors=True)
        test.run("run", "harmed.ini")
        paths = sorted(test.results("harmed.ini").glob("cells/*/branch.h5"))
        test.equal(len(paths), 2, "branches of a finished study")
        test.strange = test.folder / "strange.h5"
        shutil.copy(paths[0], test.strange)
        for path in paths[1:]:
            harm(path)
        study(test, "harmed.ini", "6000, 20000, 50000")
        test.run("run", "harmed.ini")
        test.check(contents(test.results("harmed.ini")) == wanted, f"a branch that is {name} changes no result")
        logs = "".join(p.read_text() for p in test.results("harmed.ini").glob("cells/*/log.txt"))
        test.equal("the trunk is trained again" in logs, name != "gone", f"a branch that is {name} is named in the log")


def flip_a_weight(path):
    import h5py
    with h5py.File(path, "r+") as file:
        file["arena/params"][3] += 1


def alone_where_nothing_is_shared(test):
    """auto means wsd where sizes have several token counts, and cosine where they have one."""
    def schedule(tokens):
        test.study("auto.ini", grid={"sizes": "1x16x2", "tokens": tokens}, run={"self_check": "no"})
        shutil.rmtree(test.results("auto.ini"), ignore_errors=True)
        test.run("run", "auto.ini")
        return sorted({json.loads(resolved(p))["train"]["schedule"] for p in test.results("auto.ini").glob("cells/*/run.h5")})
    test.equal(schedule("4096"), ["cosine"], "schedule of one token count")
    test.equal(schedule("4096, 8192"), ["wsd"], "schedule of two token counts")


def resolved(path):
    import h5py
    with h5py.File(path, "r") as file:
        return bytes(file["config/resolved_json"][()]).decode()


def bad_input(test):
    said = test.run("plan", study(test, "bad.ini", "6000", trunks="perhaps"), code=2).err
    test.check("bad.ini:" in said and "perhaps" in said, "a value that is neither yes nor no")
    test.study("warm.ini", grid={"sizes": "1x16x2", "tokens": "6000, 50000"}, train={"warmup_steps": "20", "schedule": "wsd"})
    refused = [c for c in json.loads(test.run("plan", "warm.ini", "--json", "--no-measure").out)["cells"] if c["refused"]]
    test.equal([c["refused"] for c in refused], ["its 10 steps before the cooldown are fewer than warmup_steps = 20"],
               "a cell that would not get through its warm-up")


def main():
    test = Test()
    test.corpus()
    wanted = equal_to_separate(test)
    saved_as_planned(test)
    grown_later(test, wanted)
    harmed(test, wanted)
    alone_where_nothing_is_shared(test)
    bad_input(test)
    test.end(50)


if __name__ == "__main__":
    main()
