"""What the end-to-end tests share: a scratch folder, the program, studies, and their results as an outsider reads them."""

import argparse
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import h5py
import numpy

TIMEOUT = 120
LOCKS = {"lock"}

# What is counted: every one of these is an attribute of run.h5.
FIGURES = """layers width heads n_layers_only n_with_head n_total budget tokens_planned tokens residues tokens_selected
tokens_masked tokens_unique epochs flops_6nd flops_exact steps_planned steps seed lr train_loss_all train_loss_mask valid_loss_all
valid_loss_all_error valid_loss_mask valid_loss_mask_error valid_rows_all valid_rows_mask seconds tokens_per_second micro_tokens
threads deterministic resumes diverged_step warmup_steps trunk_steps trunk_seconds""".split()
TEXTS = """cell_id content_xxh3 status shape corpus_digest precision backend backend_version backend_path backend_sha256 device_id
device_name driver driver_version host_name lowered_ops backend_layers trunk format tool_version created_utc""".split()

STUDY = {
    "study": {"corpus": "corpus.h5"},
    "grid": {"mode": "grid", "sizes": "1x16x2, 2x16x2", "tokens": "4096, 8192"},
    "data": {"length_max": "128"},
    "train": {"batch_tokens": "512"},
    "evaluate": {"tokens": "2000", "count": "3"},
    "run": {"devices": "cpu", "threads": "1", "checkpoint_seconds": "0.1", "record_every": "4"},
}


class Test:
    """One test program: what it was given, and a count of what it has checked."""

    def __init__(self):
        parser = argparse.ArgumentParser()
        for name in ("plmscale", "source", "cc", "scratch"):
            parser.add_argument("--" + name, required=True, type=pathlib.Path)
        parser.add_argument("--broken", type=pathlib.Path, help="the folder of the broken plugins")
        given = parser.parse_args()
        self.plmscale, self.source, self.cc = given.plmscale, given.source, given.cc
        self.folder, self.broken = given.scratch, given.broken
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.checks = self.failures = 0
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("PLMSCALE_", "OMP_"))}

    def check(self, good, what):
        """Counts a claim; a false one is printed and the test goes on."""
        self.checks += 1
        if not good:
            self.failures += 1
            print(f"FAILED: {what}", flush=True)
        return bool(good)

    def equal(self, got, wanted, what):
        return self.check(got == wanted, f"{what}: {got!r} is not {wanted!r}")

    def end(self, least):
        """Fails unless at least so many claims were checked: none of none is no success."""
        print(f"{self.checks} checks, {self.failures} failed")
        sys.exit(1 if self.failures or self.checks < least else 0)

    def has(self, backend):
        """Whether this build has a backend; what its driver says is another matter."""
        return any(self.plmscale.resolve().parents[1].rglob(f"backends/{backend}.so"))

    def start(self, *arguments, folder=None, **environment):
        """The program in a process group of its own, output captured in a file."""
        folder = folder or self.folder
        return subprocess.Popen([self.plmscale, *map(str, arguments)], cwd=folder, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=open(folder / "stderr.txt", "wb"),
                                env={**self.environment, **environment}, start_new_session=True)

    def run(self, *arguments, code=0, folder=None, **environment):
        """Runs the program to its end; code None: any."""
        done = subprocess.run([self.plmscale, *map(str, arguments)], cwd=folder or self.folder, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT,
                              env={**self.environment, **environment})
        done.out, done.err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        if code is not None and not self.equal(done.returncode, code, "exit code of " + shown(arguments)):
            print(done.out[-2000:], done.err[-4000:], sep="\n")
        return done

    def corpus(self, path="corpus.h5", *arguments):
        """The corpus of the committed proteins."""
        self.run("data", "build", self.source / "tests/data/proteins.fasta", "-o", path, "--valid", "0.1", "--test",
                 "0.05", *arguments)
        return self.folder / path

    def study(self, name="study.ini", **changes):
        """Writes a study file: STUDY with sections changed, e.g. grid={"sizes": "1x16x2"}."""
        lines = []
        for section in {**STUDY, **changes}:
            lines.append(f"[{section}]")
            lines += [f"{key} = {value}" for key, value in {**STUDY.get(section, {}), **changes.get(section, {})}.items()]
        path = self.folder / name
        path.write_text("\n".join(lines) + "\n")
        return path

    def results(self, name="study.ini"):
        """The results folder of a study file."""
        return self.folder / (name.removesuffix(".ini") + ".study")


def shown(arguments):
    return "plmscale " + " ".join(str(a) if len(str(a)) < 60 else str(a)[:60] + ".." for a in arguments)


def attributes(path):
    with h5py.File(path, "r") as file:
        return {k: v.decode() if isinstance(v, bytes) else v for k, v in file.attrs.items()}


def content(path):
    """All of a run that must not depend on how often it was interrupted: name -> bytes."""
    found = {}
    with h5py.File(path, "r") as file:
        for group in ("curve", "evaluation", "weights"):
            for name, data in file[group].items():
                found[f"{group}/{name}"] = data[...].tobytes()
        found["content_xxh3"] = bytes(file.attrs["content_xxh3"])
    return found


def contents(results):
    return {path.parent.name: content(path) for path in sorted(results.glob("cells/*/run.h5"))}


def dataset(path, name):
    with h5py.File(path, "r") as file:
        return numpy.array(file[name])


def stamps(results):
    """What a file that is written again cannot keep: of every finished run, inode and time of change."""
    found = {}
    for path in sorted(results.glob("cells/*/run.h5")):
        status = path.stat()
        found[path.parent.name] = (status.st_ino, status.st_mtime_ns)
    return found


def files(folder):
    """Every file below a folder, with a digest of its bytes; locks are no output."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in LOCKS:
            found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def temporaries(folder):
    return [str(path) for path in folder.rglob("*.tmp.*")]


def wait_for(condition, seconds=TIMEOUT, what="something"):
    """Polls until condition() is true; a failure is a bug of the test or a hang."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"FAILED: waited {seconds} s in vain for {what}")
        time.sleep(0.003)


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def children(pid):
    """Descendants of a process, the nearest first."""
    found, at = [], [pid]
    while at:
        try:
            at = [int(c) for p in at for task in pathlib.Path(f"/proc/{p}/task").iterdir()
                  for c in (task / "children").read_text().split()]
        except OSError:
            break
        found += at
    return found


def kill_all(process):
    """kill -9 for a process and all that it started, at one moment: it is stopped first, so that it starts no more."""
    os.kill(process.pid, signal.SIGSTOP)
    for child in children(process.pid):
        try:
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.kill()
    process.wait(timeout=TIMEOUT)
