#!/usr/bin/env python3
"""Each broken plugin is caught by the level that broken.def names, at the op or test it names, and by none below; the replay
line of the failure reproduces it; nothing crashes the checker. What is not broken passes the very same cases.
test_broken.py PLMSCALE BROKEN.def FOLDER_OF_PLUGINS [NAME...]"""
import concurrent.futures
import json
import pathlib
import re
import shlex
import subprocess
import sys
import time

PLMSCALE, TABLE, PLUGINS = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
ROW = re.compile(r'^BROKEN\((\w+), (\d), "([^"]*)", "([^"]+)"\)$', re.M)
ONLY = sys.argv[4:]
CONTROLS = ("unbroken", "unbroken_late")
TRAINING = {"drifts": "evaluate"}  # the test of level 4, where it is not the trajectory of losses
PATIENCE = {"hangs": "5", "count_hangs": "2"}  # seconds until a hang is a hang
WORKERS = 2


class Row:
    """One row of the table, and what went wrong with it."""

    def __init__(self, name, level, culprits, what):
        self.name, self.level, self.culprits, self.what = name, int(level), culprits.split(), what
        self.path, self.failures, self.checks = PLUGINS / f"{name}.so", [], 0
        self.test = TRAINING.get(name, "trajectory") if self.level == 4 else self.culprits[0] if self.culprits else None

    def claim(self, good, text):
        self.checks += 1
        if not good:
            self.failures.append(f"{self.name} ({self.what}): {text}")
        return bool(good)

    def check(self, *arguments):
        """Runs the checker; anything but 0 (all passed) and 1 (some failed) is a failure of its own."""
        done = subprocess.run([PLMSCALE, "check", self.path, "--threads", "1", "--timeout",
                               PATIENCE.get(self.name, "100"), *map(str, arguments)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, errors="replace", timeout=900)
        self.claim(done.returncode in (0, 1), f"the checker ends with {done.returncode}: {done.stderr[-500:]}")
        return done

    def cases(self, *arguments):
        """The exit code and the cases of a check."""
        done = self.check("--json", *arguments)
        try:
            report = json.loads(done.stdout)
        except json.JSONDecodeError:
            self.claim(False, f"no JSON from check {shlex.join(map(str, arguments))}: {done.stderr[-500:]}")
            return done.returncode, []
        self.claim(report["schema"] == "plmscale.check/1", f"schema {report['schema']}")
        self.claim(report["good"] == (done.returncode == 0), "the exit code and the report do not agree")
        return done.returncode, report["cases"]


def failed(cases):
    return [c for c in cases if c["status"] == "failed"]


def titles(cases):
    return [f"{c['level']}/{c['name']}:{c['variant']} {c['text'][:100]}" for c in cases[:5]]


def passes(row, *arguments):
    code, cases = row.cases(*arguments)
    bad = [c for c in cases if c["status"] not in ("passed", "declined")]
    row.claim(code == 0 and not bad, f"{shlex.join(map(str, arguments))} should pass: {titles(bad)}")
    row.claim(any(c["status"] == "passed" for c in cases), f"{shlex.join(map(str, arguments))}: no case passed")


def caught(row):
    """The failures that catch it: at its level, of what the table names."""
    code, cases = row.cases("--level", row.level, "--op", row.test)
    bad = failed(cases)
    row.claim(code == 1 and bad, f"level {row.level} does not catch it at {row.test} ({len(cases)} cases)")
    row.claim(all(c["level"] == row.level and c["name"] == row.test for c in bad), f"others are blamed: {titles(bad)}")
    row.claim(all(c["text"] for c in bad), "a failure has no text")
    return bad


def replayed(row, case):
    """The case alone, as its replay line has it, fails again and prints that very line."""
    line = ["--replay", f"{case['level']}/{case['name']}:{case['variant']}@{case['seed']}"]
    done = row.check(*line)
    row.claim(done.returncode == 1 and f"FAIL {case['level']}/{case['name']}:{case['variant']} " in done.stdout,
              f"{shlex.join(line)} does not reproduce {titles([case])}: code {done.returncode}, {done.stdout[:500]}")
    printed = [shlex.split(text) for text in done.stdout.splitlines() if " --replay " in text]
    row.claim(["plmscale", "check", str(row.path), *line] in printed, f"the line printed for {shlex.join(line)} is {printed}")


def alone(cases):
    """A failure that needs no case before it: not one that only what ran before it in its process explains."""
    fitting = [c for c in cases if "alone it does not fail" not in c["text"]]
    return (fitting or cases)[0]


def try_row(row):
    bad = caught(row)
    if bad:
        replayed(row, alone(bad))
    if row.level > 0:
        passes(row, "--level", f"0-{min(row.level, 2) - 1}")
    for op in row.culprits if row.level == 4 else ():
        passes(row, "--level", "2-3", "--op", op)


def try_control(row, others):
    passes(row, "--level", "0-1")
    for level, test in sorted({(r.level, r.test) for r in others if r.level > 1}):
        passes(row, "--level", level, "--op", test)


def main():
    rows = [Row(*found) for found in ROW.findall(TABLE.read_text()) if not ONLY or found[0] in ONLY]
    broken = [row for row in rows if row.name not in CONTROLS]
    names = {path.stem for path in PLUGINS.glob("*.so")}
    missing = [row.name for row in rows if row.name not in names]
    unnamed = [row.name for row in broken if not row.test]
    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        jobs = [pool.submit(try_control, row, broken) for row in rows if row.name in CONTROLS]
        jobs += [pool.submit(try_row, row) for row in sorted(broken, key=lambda row: -row.level)]
        for job in concurrent.futures.as_completed(jobs):
            job.result()
    failures = [text for row in rows for text in row.failures]
    failures += [f"{name}: not built" for name in missing] + [f"{name}: the table names no test" for name in unnamed]
    if not ONLY and (len(broken) != TABLE.read_text().count("\nBROKEN(") - len(CONTROLS) or len(broken) < 80):
        failures.append(f"only {len(broken)} rows of the table were read")
    for text in failures:
        print(f"FAILED: {text}")
    print(f"{len(broken)} broken plugins, {sum(row.checks for row in rows)} checks, {len(failures)} failed, "
          f"{time.monotonic() - start:.0f} s")
    sys.exit(1 if failures else 0)


main()
