"""lr = sweep: every size tries its rates in small runs, the best one trains its other cells, and nothing else decides: not the order,
not a kill, not a second try. What cannot have a rate says so."""

import json
import math
import time

import e2e_lib

GRID = {"sizes": "1x16x2, 1x32x2", "tokens": "8192, 16384"}
SWEEP = {"lr": "sweep", "sweep_factors": "0.3, 1, 3", "sweep_tokens": "0.5", "lr_at_1m": "4e-3", "schedule": "wsd",
         "warmup_steps": "2"}


def plan(test, name):
    return json.loads(test.run("plan", name, "--no-measure", "--json").out)


def split(cells):
    return [c for c in cells if c["role"] == "sweep"], [c for c in cells if c["role"] == "point"]


def check_plan(test):
    found = plan(test, "study.ini")
    runs, points = split(found["cells"])
    test.equal((len(runs), len(points)), (6, 4), "three rates for two sizes, and the points")
    test.check(all(c["tokens"] == 4096 for c in runs), "a sweep run is half as long as the shortest cell")
    test.check(all(c["lr"] is None for c in points), "points have no rate before their sweep")
    for width in (16, 32):
        rates = sorted(c["lr"] for c in runs if c["width"] == width)
        middle = 4e-3 * (next(c["n_layers_only"] for c in runs if c["width"] == width) / 1e6) ** -0.2
        test.check(all(math.isclose(r, middle * f, rel_tol=1e-12) for r, f in zip(rates, (0.3, 1, 3))), "about the rule")
    totals = found["totals"]
    test.equal(totals["sweep_cells"], 6, "counted apart")
    test.check(math.isclose(totals["sweep_flops_6nd"], sum(c["flops_6nd"] for c in runs)), "and their FLOPs")
    text = test.run("plan", "study.ini", "--no-measure").out
    test.check("by sweep" in text and "6 of them are runs of learning-rate sweeps" in text, "the table says so")
    return runs, points


def check_runs(test, runs, points):
    """Every point has the rate of its size's best run, and its file says which."""
    folder = test.results() / "cells"
    losses = {}
    for cell in runs:
        a = e2e_lib.attributes(folder / cell["id"] / "run.h5")
        test.equal((a["role"], a["sweep"], a["lr"]), ("sweep", "", cell["lr"]), "a run of the sweep")
        losses.setdefault(cell["width"], []).append((float(a["valid_loss_mask"]), cell["lr"], cell["id"]))
    for cell in points:
        a = e2e_lib.attributes(folder / cell["id"] / "run.h5")
        loss, rate, winner = min(losses[cell["width"]])
        record = json.loads(a["sweep"])
        test.equal((a["role"], a["lr"]), ("point", rate), "the winner's rate")
        test.equal((record["winner"], record["lr"], record["loss"]), (winner, rate, loss), "which won")
        test.equal(sorted((r["loss"], r["lr"], r["cell"]) for r in record["runs"]), sorted(losses[cell["width"]]), "all tried")
        rates = sorted(r["lr"] for r in record["runs"])
        test.equal(record["edge"], {0: "lowest", 2: "highest"}.get(rates.index(rate), "none"), "where it lies")
        test.check(math.isclose(e2e_lib.dataset(folder / cell["id"] / "run.h5", "curve/learning_rate").max(), rate), "and trained at it")


def check_order(test, done):
    """No point was begun before its size's runs were done."""
    first = {16: None, 32: None}
    for line in done.err.splitlines():
        for width in first:
            if f" 1x{width}x2," in line and "valid loss" in line:
                if "sweep at a rate" in line:
                    test.check(first[width] is None, f"no run of the sweep after a point: {line}")
                else:
                    first[width] = line
    test.check(all(first.values()), "points were told")


def check_study(test):
    runs, points = check_plan(test)
    point = points[0]
    early = test.run("run-cell", "study.ini", point["id"], code=3)
    test.check("0 of 3 runs of its learning-rate sweep are done" in early.err, f"a point alone waits: {early.err}")
    done = test.run("run", "study.ini", "--backend", "cpu", "--backend", "cpu")
    test.check(done.err.count(" wins the sweep of 3 rates with loss") == 2, f"winners are told: {done.err}")
    check_order(test, done)
    check_runs(test, runs, points)
    after = plan(test, "study.ini")
    test.equal([c["id"] for c in after["cells"]], [c["id"] for c in plan_cells(test)], "ids do not depend on the outcome")
    test.check(all(c["lr"] for c in after["cells"]), "all rates are known now")
    status = json.loads(test.run("status", "study.ini", "--json").out)
    test.equal(sorted(c["role"] for c in status["cells"]), ["point"] * 4 + ["sweep"] * 6, "status marks them")
    test.check("(sweep, rate" in test.run("status", "study.ini").out, "in the table too")
    return e2e_lib.contents(test.results())


def plan_cells(test):
    """The plan of the same study in a fresh folder."""
    test.study("fresh.ini", grid=GRID, train=SWEEP)
    return plan(test, "fresh.ini")["cells"]


def check_kill(test, whole):
    """Killed again and again, it comes to the same bits."""
    test.study("killed.ini", grid=GRID, train=SWEEP)
    for delay in (0.3, 0.5, 0.7, 0.9):
        process = test.start("run", "killed.ini", "--backend", "cpu")
        time.sleep(delay)
        e2e_lib.kill_all(process)
    test.run("run", "killed.ini", "--backend", "cpu")
    killed = e2e_lib.contents(test.results("killed.ini"))
    test.equal(sorted(killed), sorted(whole), "the same cells")
    for cell in whole:
        for part in whole[cell]:
            test.check(killed[cell][part] == whole[cell][part], f"{cell} {part}: the same bits")


def check_failed(test):
    """A failed run of a sweep holds its size's points, and only those."""
    test.study("failed.ini", grid=GRID, train=SWEEP)
    runs, points = split(plan(test, "failed.ini")["cells"])
    bad = next(c for c in runs if c["width"] == 32)
    folder = test.results("failed.ini") / "cells" / bad["id"]
    folder.mkdir(parents=True)
    (folder / "checkpoint.h5").write_bytes(b"no checkpoint")
    done = test.run("run", "failed.ini", code=3)
    test.check(f"2 cells have no learning rate, for run {bad['id']} of their sweep is not done" in done.err, done.err[-2000:])
    finished = {p.parent.name for p in test.results("failed.ini").glob("cells/*/run.h5")}
    test.equal(finished & {c["id"] for c in points}, {c["id"] for c in points if c["width"] == 16}, "the others go on")
    held = next(c for c in points if c["width"] == 32)
    alone = test.run("run-cell", "failed.ini", held["id"], code=3)
    test.check(f"2 of 3 runs of its learning-rate sweep are done, cell {bad['id']} is not" in alone.err, alone.err)
    (folder / "checkpoint.h5").unlink()
    test.run("run", "failed.ini")
    test.equal(len(list(test.results("failed.ini").glob("cells/*/run.h5"))), 10, "and all is done the next time")


def check_diverged(test):
    """A diverged run never wins; when all do, there is no rate."""
    test.study("hot.ini", grid={"sizes": "1x16x2", "tokens": "8192"},
               train={**SWEEP, "sweep_factors": "1, 10, 1000", "lr_at_1m": "10", "lr_max": "10", "clip": "0", "schedule": "constant"})
    done = test.run("run", "hot.ini", code=None)
    cells = {p.parent.name: e2e_lib.attributes(p) for p in test.results("hot.ini").glob("cells/*/run.h5")}
    diverged = [a for a in cells.values() if a["status"] == "diverged" and a["role"] == "sweep"]
    test.check(len(diverged) >= 1, f"something diverged: {[(a['lr'], a['status']) for a in cells.values()]}")
    points = [a for a in cells.values() if a["role"] == "point"]
    if len(diverged) == 3:
        test.equal((done.returncode, points), (3, []), "no rate, no point")
        test.check("all 3 runs of their sweep diverged" in done.err, done.err)
    for a in points:
        record = json.loads(a["sweep"])
        test.check(record["winner"] not in [d["cell_id"] for d in diverged], "a diverged run does not win")
        test.check(sum(r["loss"] is None for r in record["runs"]) == len(diverged), "and is on record")
        test.check("LOWEST" in done.err or record["edge"] != "lowest", "an edge is said loudly")


def check_law(test):
    """Runs of a sweep are in no fit and no table of the report, and both say so."""
    test.study("law.ini", grid={"sizes": "1x16x2, 1x32x2, 1x48x2", "tokens": "4096, 8192, 16384"},
               train={"lr": "sweep", "sweep_factors": "0.3, 1, 3"})
    test.run("run", "law.ini", "--backend", "cpu")
    runs = [e2e_lib.attributes(p) for p in test.results("law.ini").glob("cells/*/run.h5")]
    fit = test.run("fit", "law.ini", code=None)
    test.equal((fit.out + fit.err).count(": learning-rate sweep"), 9, f"fit leaves them out by name: {(fit.out + fit.err)[-800:]}")
    report = test.run("report", "law.ini", "-o", "law.html")
    test.check("9 of 9 cells in the fit" in report.out, f"so does the report: {report.out}")
    page = (test.folder / "law.html").read_text()
    test.check("9 small runs of learning-rate sweeps" in page, "and says so")
    test.check(all(r["cell_id"] not in page for r in runs if r["role"] == "sweep"), "none of them is in a table")


def check_refusals(test):
    for factors, text in (("1, 2", "at least 3 are needed"), ("1, 2, 2", "has a factor twice"),
                          ("0, 1, 2", "out of range"), ("1, x, 2", '"x"')):
        path = test.study("bad.ini", grid=GRID, train={**SWEEP, "sweep_factors": factors})
        done = test.run("check", "bad.ini", code=2)
        line = next(i for i, l in enumerate(path.read_text().splitlines(), 1) if l.startswith("sweep_factors"))
        test.check(f"bad.ini:{line}: [train] sweep_factors" in done.err and text in done.err, done.err)
    test.study("bad.ini", grid={**GRID, "run_cap": "8"}, train=SWEEP)
    done = test.run("plan", "bad.ini", "--no-measure", code=2)
    test.check("10 cells with its learning-rate sweeps, more than run_cap = 8" in done.err, done.err)


def main():
    test = e2e_lib.Test()
    test.corpus()
    test.study(grid=GRID, train=SWEEP)
    whole = check_study(test)
    check_kill(test, whole)
    check_failed(test)
    check_diverged(test)
    check_law(test)
    check_refusals(test)
    test.end(100)


main()
