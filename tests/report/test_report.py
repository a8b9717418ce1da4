"""Reports of whole studies, as files and as a browser shows them."""

import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "end_to_end"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from browser import Browser
from e2e_lib import Test, files, temporaries

HOSTILE = "<script>alert(1)</script> & \" ' `touch EVIL` $(touch EVIL) _^{@} ü ∑"
RICH = dict(grid={"mode": "isoflop", "compute": "1e12, 3e12, 1e13", "sizes": "1x16x1, 1x32x2, 2x32x2, 2x64x4, 4x64x4, 4x96x4",
                  "tokens": None}, train={"batch_tokens": "1024"}, evaluate={"count": "10"})
FIGURES = ["isoflop", "params", "tokens", "surface", "curves", "why", "holdout", "speed"]


def write_study(test, name, study):
    """As Test.study, without the keys that are None."""
    path = test.study(name, **study)
    path.write_text("".join(line + "\n" for line in path.read_text().splitlines() if not line.endswith("= None")))
    return path


def filled(test, name, *how, **study):
    """A study with runs that nobody trained, on a known surface."""
    path = write_study(test, name, {**RICH, **study})
    subprocess.run([test.plmscale.parent / "report_runs", path, *how], check=True, cwd=test.folder, stdout=subprocess.DEVNULL)
    return path


def check_page(test, page, what, figures):
    test.equal(page["console"], [], f"console of {what}")
    test.equal(page["requests"], [], f"requests of {what}")
    test.equal((page["scripts"], page["loaded"]), (0, 0), f"scripts and loaded elements of {what}")
    test.equal(page["wide"], False, f"{what} is wider than its window")
    test.equal(len(page["svgs"]), figures, f"figures of {what}")
    test.equal([i for i in page["ids"] if page["ids"].count(i) > 1], [], f"ids that {what} has twice")
    for svg in page["svgs"]:
        test.check(svg["box"][0] > 300 and svg["box"][1] > 150 and svg["marks"] > 10, f"a figure of {what} is drawn: {svg}")
        test.check(svg["title"] or svg["name"], f"a figure of {what} has a name for those who cannot see it")
        test.equal(svg["clipped"], [], f"labels of {what} that leave their figure")


def rich(test, browser):
    """Everything there: all figures, their files, the known exponent."""
    study = filled(test, "rich.ini")
    said = test.run("report", study, "-o", "rich report.html").out
    test.check("8 figures, 18 of 18 cells" in said, f"what report says: {said}")
    page = browser.look(test.folder / "rich report.html")
    check_page(test, page, "a rich report", 8)
    names = sorted(p.name for p in (test.folder / "rich report.figures").iterdir())
    test.equal(names, sorted(f"{f}.{e}" for f in FIGURES for e in ("gp", "svg", "tsv")), "files of the figures")
    a = float(re.search(r"a = (-?\d\.\d+) \(95 %", page["text"]).group(1))
    test.check(abs(a - 0.5) < 0.1, f"the exponent of the surface, 0.5, in the answer: {a}")
    test.check("How far to trust it" in page["text"] and "plmscale run" in page["text"], "trust, and how to do it again")
    test.equal(temporaries(test.folder), [], "temporaries")
    drawn = (test.folder / "rich report.figures/isoflop.svg").read_bytes()
    subprocess.run(["gnuplot", "isoflop.gp"], cwd=test.folder / "rich report.figures", check=True)
    test.equal((test.folder / "rich report.figures/isoflop.svg").read_bytes(), drawn, "a figure drawn again by its script")
    test.run("report", study)
    test.check((test.results("rich.ini") / "report.html").exists(), "where a report goes when nobody says")


def hostile(test, browser):
    """Names, devices and failures as nobody should write them; cells that diverged, failed, are damaged, or were not run."""
    study = filled(test, "hostile.ini", "hostile", study={"corpus": "corpus.h5", "name": HOSTILE.replace("</", "<")})
    test.run("report", study, "-o", "h`touch EVIL`'\"<b>.html")
    path = test.folder / "h`touch EVIL`'\"<b>.html"
    page = browser.look(path)
    check_page(test, page, "a hostile report", 8)
    test.check(page["title"].startswith(HOSTILE.replace("</", "<")[:30]), f"the title is the name as it stands: {page['title']}")
    for word in ("diverged", "failed", "damaged", "waiting", "touch EVIL"):
        test.check(word in page["text"], f"the page says {word}")
    test.equal([str(p) for p in test.folder.rglob("EVIL*")], [], "files that a name has made")
    test.equal(re.findall(rb"<script|javascript:|\son\w+=", path.read_bytes()), [], "markup that runs something")


def planted(test, browser):
    """The checks above can fail: a script, an image from elsewhere, with the page's policy and without."""
    text = (test.folder / "rich report.html").read_text()
    bad = test.folder / "planted.html"
    bad.write_text(text.replace("</body>", "<script>console.error('planted')</script></body>"))
    test.check(browser.look(bad)["console"], "a planted script is seen in the console: the policy refuses it")
    bad.write_text(text.replace("</body>", "<img src='http://planted.invalid/x.png'></body>"))
    page = browser.look(bad)
    test.check(page["console"] and page["loaded"] == 1, "a planted image is refused, and seen")
    without = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    test.check(without != text, "the page has a policy")
    bad.write_text(without.replace("</body>", "<script>console.error('planted')</script></body>"))
    test.check("planted" in str(browser.look(bad)["console"]), "without it an error is seen")
    bad.write_text(without.replace("</body>", "<img src='http://planted.invalid/x.png'></body>"))
    test.check("http://planted.invalid/x.png" in browser.look(bad)["requests"], "without it a request is seen")


def poor(test, browser):
    """Too little for a law: the report is written, and says so."""
    study = write_study(test, "poor.ini", dict(grid={"sizes": "1x16x2", "tokens": "4096"}))
    test.run("report", study, "-o", "none.html")
    page = browser.look(test.folder / "none.html")
    check_page(test, page, "a report of nothing", 0)
    test.check("There is no law yet" in page["text"], "no runs, no law")
    test.run("run", study)
    test.run("report", study, "-o", "one.html")
    page = browser.look(test.folder / "one.html")
    check_page(test, page, "a report of one run", len(page["svgs"]))
    test.check("There is no law yet" in page["text"] and "1 of 1" in page["text"], "one run, no law")


def refused(test):
    """Bad input: one line, the report that was there stays."""
    before = files(test.folder / "rich report.figures")
    for arguments, code, says in ((("rich.ini", "-o", "."), 2, "is a folder"), (("rich.ini", "-o", "no/such/x.html"), 1, "no/such"),
                                  (("none.ini",), 1, "none.ini"), (("rich.ini", "--bootstrap=-1"), 2, "\"-1\""),
                                  ((), 2, "STUDY.ini")):
        done = test.run("report", *arguments, code=code)
        test.check(says in done.err and done.err.count("\n") == 1, f"report {arguments} says {done.err}")
    os.makedirs(test.folder / "bin", exist_ok=True)
    done = test.run("report", "rich.ini", "-o", "rich report.html", code=1, PATH=str(test.folder / "bin"))
    test.check("gnuplot-nox" in done.err and done.err.count("\n") == 1, f"without gnuplot: {done.err}")
    fake = test.folder / "bin/gnuplot"
    fake.write_text("#!/bin/sh\necho nothing works >&2\nexit 7\n")
    fake.chmod(0o755)
    done = test.run("report", "rich.ini", "-o", "rich report.html", code=1, PATH=f"{test.folder / 'bin'}:/usr/bin:/bin")
    test.check("nothing works" in done.err, f"what gnuplot said is told: {done.err}")
    test.equal(files(test.folder / "rich report.figures"), before, "a failed report leaves the old one")
    test.equal(temporaries(test.folder), [], "temporaries after failures")


def main():
    test = Test()
    test.corpus()
    browser = Browser(test.folder / "profile")
    try:
        rich(test, browser)
        hostile(test, browser)
        planted(test, browser)
        poor(test, browser)
        refused(test)
    finally:
        browser.close()
    test.end(60)


if __name__ == "__main__":
    main()
