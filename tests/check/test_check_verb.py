#!/usr/bin/env python3
"""`plmscale check` as users call it: test_check_verb.py PLMSCALE REFERENCE.so FOLDER_OF_BROKEN_PLUGINS.
Exit codes, the replay line that a failure prints, JSON on stdout, the matrix made of it, studies told from backends."""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

PLMSCALE, REFERENCE, BROKEN = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
failures = []


def check(*arguments):
    return subprocess.run([PLMSCALE, "check", *map(str, arguments)], capture_output=True, text=True, timeout=300)


def expect(what, condition, answer):
    if not condition:
        failures.append(f"{what}: code {answer.returncode}\n{answer.stdout[-2000:]}\n{answer.stderr[-2000:]}")
    return condition


def exit_codes(folder):
    expect("all passed", check(REFERENCE, "--level", "0-1").returncode == 0, check(REFERENCE, "--level", "0-1"))
    answer = check(BROKEN / "does_nothing.so", "--op", "gather_rows")
    expect("some failed is 1", answer.returncode == 1 and "FAIL 2/gather_rows:0" in answer.stdout, answer)
    for bad in (["nosuch_backend"], [REFERENCE, "--level", "6"], [REFERENCE, "--level", "3-2"], [REFERENCE, "--op", "nosuch"],
                [REFERENCE, "--set", "x"], [REFERENCE, "--timeout", "0"], [REFERENCE, "--nosuch"], [], [REFERENCE, REFERENCE],
                [REFERENCE, "--level", "1", "--set", "nosuch=1", "--replay", "nonsense"]):
        answer = check(*bad)
        expect(f"usage is 2: {bad}", answer.returncode == 2 and answer.stderr.count("\n") <= 3, answer)
    text = folder / "text.so"
    text.write_text("not a library")
    expect("no plugin is 4", check(text).returncode == 4, check(text))


def replay():
    answer = check(BROKEN / "gelu_tail.so", "--op", "gelu")
    lines = re.findall(r"plmscale check (\S+) --replay (\S+)", answer.stdout)
    if not expect("a failure prints a replay line", lines, answer):
        return
    again = check(lines[0][0], "--replay", lines[0][1])
    expect("the replay line fails again", again.returncode == 1 and "FAIL " + lines[0][1].split("@")[0] in again.stdout, again)
    expect("the reference passes it", check(REFERENCE, "--replay", lines[0][1]).returncode == 0, again)


def outputs(folder):
    answer = check(REFERENCE, "--level", "1", "--json")
    report = json.loads(answer.stdout)
    expect("json", report["schema"] == "plmscale.check/1" and report["good"] and len(report["plugin"]["sha256"]) == 64 and
           report["plugin"]["abi"] == "1.0" and report["options"]["seed"] == 1 and report["plugin"]["device_id"] and report["plugin"]["driver_version"] and
           len(report["cases"]) > 5 and all(case["status"] in ("passed", "declined") for case in report["cases"]), answer)
    path = folder / "reference.json"
    path.write_text(answer.stdout)
    matrix = check("--matrix", path)
    expect("matrix", matrix.returncode == 0 and "| 1 | sizes | 2 |" in matrix.stdout, matrix)
    expect("a matrix of nonsense is 4", check("--matrix", REFERENCE).returncode == 4, matrix)


def studies(folder):
    study = folder / "a.ini"
    study.write_text("[study]\nnonsense = 1\n")
    answer = check(study)
    expect(".ini is a study", answer.returncode == 2 and "a.ini:2" in answer.stderr, answer)
    other = folder / "study_without_suffix"
    other.write_text("[study]\nnonsense = 1\n")
    answer = check(other)
    expect("a file that is no .so is a study", answer.returncode == 2 and "study_without_suffix:2" in answer.stderr, answer)


with tempfile.TemporaryDirectory() as name:
    exit_codes(pathlib.Path(name))
    replay()
    outputs(pathlib.Path(name))
    studies(pathlib.Path(name))
print("\n".join(failures) if failures else "all as documented")
sys.exit(1 if failures else 0)
