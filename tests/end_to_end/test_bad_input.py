"""Hostile input of every kind, through the command line: one clear line, the right exit code, nothing half-written."""

import gzip
import os
import random
import shutil
import signal

import h5py

from e2e_lib import Test, attributes, contents, files, stamps, temporaries, wait_for

LEAST = 40
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x01\x00\x00\x00\x01\x00\x08\x06\x00\x00\x00\\r\xa8f"
CSV = "N,D,loss\n" + "".join(f"{n}e6,{d}e7,{1.5 + 2 / n + 3 / d:.6f}\n" for n in range(1, 5) for d in range(1, 5))
MEGABYTE = 1 << 20
USAGE, DAMAGED, FAILED = 2, 4, 1


class Cases:
    """Counts what has been thrown at the program, by kind of input."""

    def __init__(self, test):
        self.test, self.counts = test, {}
        self.random = random.Random(1)

    def refuse(self, kind, what, name, arguments, codes, folder=None, lines=1, **environment):
        """The program must end with one of codes and say why in exactly so many error lines that name the input."""
        test = self.test
        self.counts[kind] = self.counts.get(kind, 0) + 1
        label = f"{kind}: {what}"
        before = files(folder or test.folder)
        done = test.run(*arguments, code=None, folder=folder, **environment)
        test.check(done.returncode in codes, f"{label}: exit code {done.returncode}, not {codes}\n{done.err[-1500:]}")
        errors = [line for line in done.err.splitlines() if line.startswith("plmscale: error:")]
        good = len(errors) == lines if lines else len(errors) >= 1
        test.check(good, f"{label}: {len(errors)} error lines\n{done.err[-1500:]}")
        test.check(errors and all(name in line for line in errors), f"{label}: \"{name}\" is not named\n{done.err[-800:]}")
        test.check(all(len(line) < 1200 and line.isprintable() for line in errors), f"{label}: a long or dirty line")
        for word in ("Sanitizer", "runtime error:", "core dumped", "Traceback", "HDF5-DIAG"):
            test.check(word not in done.err, f"{label}: {word}\n{done.err[-1500:]}")
        test.equal(files(folder or test.folder), before, f"{label}: files before and after")
        test.equal(temporaries(test.folder), [], f"{label}: temporaries")
        return done


def flip(data, at, bit=0x10):
    return data[:at] + bytes([data[at] ^ bit]) + data[at + 1:]


def data_offset(path, name):
    """A place in the middle of a dataset's bytes in its file."""
    with h5py.File(path, "r") as file:
        data = file[name]
        if data.chunks is None:
            return data.id.get_offset() + data.nbytes // 2
        chunk = data.id.get_chunk_info(0)
        return chunk.byte_offset + chunk.size // 2


def other_hdf5(path):
    with h5py.File(path, "w") as file:
        file["numbers"] = list(range(1000))
    return path.read_bytes()


def special(path, refuse, fifo=True, folder_codes=(DAMAGED,)):
    """What is at a path without being a file: refuse(what, codes) is called for each."""
    refuse("missing", (FAILED,))
    path.symlink_to(path.name)
    refuse("a link to itself", (FAILED, USAGE, DAMAGED))
    path.unlink()
    path.mkdir()
    refuse("a folder", folder_codes)
    path.rmdir()
    if fifo:
        os.mkfifo(path)
        refuse("a fifo", (DAMAGED,))
        path.unlink()
    if os.geteuid() != 0:
        path.write_bytes(b"x")
        path.chmod(0)
        refuse("unreadable", (FAILED,))
        path.unlink()


def bad_hdf5(good, offset, other, run=None):
    """Ruins of an HDF5 file by name."""
    size = len(good)
    cuts = {f"cut at {n} bytes": good[:n] for n in (1, 8, 100, size // 3, size // 2, size - 1)}
    return {"empty": b"", **cuts, "text": b"MKV\n" * 100, "a picture": PNG, "another HDF5 file": other,
            "NUL bytes": bytes(size), "a flipped bit in the data": flip(good, offset),
            "a flipped bit in the first block": flip(good, 20), **({"a run file": run} if run else {})}


def corpora(cases, good, run, other):
    test = cases.test
    path, study = test.folder / "bad.h5", test.study("corpus_bad.ini", study={"corpus": "bad.h5"})

    def refuse(what, codes):
        for verb in (["run", study], ["data", "info", path]):
            cases.refuse("corpus", f"{what} ({verb[0]})", "bad.h5", verb, codes)

    data = good.read_bytes()
    for what, content in bad_hdf5(data, data_offset(good, "train/tokens"), other, run).items():
        path.write_bytes(content)
        refuse(what, (DAMAGED,))
    path.unlink()
    special(path, refuse)
    for what in ("plan", "status", "fit"):
        cases.refuse("corpus", f"missing ({what})", "bad.h5", [what, study], (FAILED,))


def studies(cases):
    test = cases.test
    path = test.folder / "bad.ini"
    good = test.study("good.ini").read_text()
    changed = [
        ("a negative number", good.replace("batch_tokens = 512", "batch_tokens = -512"), 1),
        ("1e400", good.replace("batch_tokens = 512", "batch_tokens = 1e400"), 1),
        ("nan", good.replace("batch_tokens = 512", "clip = nan"), 1),
        ("infinity", good + "[train]\nclip = inf\n", 0),
        ("hexadecimal", good.replace("batch_tokens = 512", "batch_tokens = 0x200"), 1),
        ("an unknown key", good.replace("batch_tokens", "batch_token"), 1),
        ("an unknown section", good.replace("[train]", "[trian]"), 0),
        ("a duplicate key", good.replace("batch_tokens = 512", "batch_tokens = 512\nbatch_tokens = 512"), 1),
        ("three errors at once", good.replace("512", "-1").replace("length_max = 128", "length_max = x\nlr = 3"), 0),
        ("a shape that cannot be", good.replace("2x16x2", "2x16x3"), 1),
        ("a size without bound", good.replace("2x16x2", "99999999x16x2"), 1),
        ("an endless range", good.replace("4096, 8192", "range(1,1e15,1)"), 1),
        ("a megabyte in one line", good + "[train]\nlr = " + "9" * MEGABYTE + "\n", 0),
        ("200 kB in one line", good.replace("512", "5" * 200000), 0),
        ("a long key", good.replace("batch_tokens", "k" * 5000), 0),
        ("no corpus", good.replace("corpus = corpus.h5", ""), 1),
        ("a line without =", good + "nonsense\n", 1),
        ("an open section", good.replace("[train]", "[train"), 0),
        ("empty", "", 0),
        ("cut short", good[:good.index("sizes") + 3], 0),
        ("control characters", good.replace("512", "5\x1b[31m12"), 0),
    ]
    for what, text, lines in changed:
        path.write_text(text)
        cases.refuse("study", what, "bad.ini", ["check" if "corpus" not in what else "run", path], (USAGE, DAMAGED), lines=lines)
    for what, content in {"NUL bytes": good.encode() + b"\0\0\0", "a picture": PNG, "not UTF-8": good.encode() + b"# \xff\xfe\n",
                          "an HDF5 file": (test.folder / "corpus.h5").read_bytes()}.items():
        path.write_bytes(content)
        cases.refuse("study", what, "bad.ini", ["run", path], (USAGE, DAMAGED))
    path.unlink()
    special(path, lambda what, codes: cases.refuse("study", what, "bad.ini", ["run", path], codes))


def fastas(cases):
    test = cases.test
    path, out = test.folder / "bad.fasta", test.folder / "out.h5"
    protein = b"MLTLENVSKTYKGGKKAVNNVNLKIAKGEFICFIGPSGCGKTTTMKMINRLIEPSAGKIFIDGENIMDQDPVELRRKIGY"
    whole = gzip.compress((test.source / "tests/data/proteins.fasta").read_bytes(), mtime=0)
    contents_by_name = {
        "empty": b"", "only blank lines": b"\n\n\n", "no header": protein + b"\n", "digits": b">a\nMKV1234LLLLLLLLLLLL\n",
        "NUL bytes": b">a\n" + protein + b"\0" + protein + b"\n", "a picture": PNG, "an HDF5 file": (test.folder / "corpus.h5").read_bytes(),
        "a megabyte of nonsense in one line": b">a\n" + b"#" * MEGABYTE + b"\n", "gzip cut short": whole[:len(whole) // 2],
        "gzip header alone": whole[:10], "gzip with a flipped bit": flip(whole, len(whole) // 2), "negative numbers": b">a\n-1,-2,1e400\n",
        "nothing long enough": b">a\nMKV\n>b\nMK\n", "control characters in a sequence": b">a\nMKV\x1b[31m" + protein + b"\n",
    }
    for what, content in contents_by_name.items():
        path.write_bytes(content)
        cases.refuse("FASTA", what, "bad.fasta", ["data", "build", path, "-o", out], (USAGE, DAMAGED))
    path.unlink()
    special(path, lambda what, codes: cases.refuse("FASTA", what, "bad.fasta", ["data", "build", path, "-o", out], codes),
            fifo=False, folder_codes=(FAILED, USAGE, DAMAGED))  # a fifo may well be the output of a program
    good = test.source / "tests/data/proteins.fasta"
    cases.refuse("FASTA", "an output that exists", "corpus.h5", ["data", "build", good, "-o", test.folder / "corpus.h5"], (USAGE,))
    cases.refuse("FASTA", "an output in no folder", "no/out.h5", ["data", "build", good, "-o", "no/out.h5"], (FAILED, USAGE))
    clusters = test.folder / "clusters.tsv"
    for what, content in {"no tab": b"nonsense\n", "NUL bytes": b"a\tb\0\n", "a picture": PNG, "empty": b""}.items():
        clusters.write_bytes(content)
        cases.refuse("clusters", what, "clusters.tsv", ["data", "build", good, "-o", out, "--clusters", clusters], (USAGE, DAMAGED))


def tables(cases):
    path = cases.test.folder / "bad.csv"
    lines = CSV.splitlines(keepends=True)
    changed = {
        "empty": "", "header alone": lines[0], "no header": "".join(lines[1:]), "a missing column": CSV.replace("N,D,loss", "N,D,lass"),
        "a column twice": CSV.replace("N,D,loss", "N,N,loss"), "a negative number": CSV + "1e6,-1e7,2\n", "1e400": CSV + "1e6,1e400,2\n",
        "nan": CSV + "1e6,1e7,nan\n", "zero": CSV + "0,1e7,2\n", "too few fields": CSV + "1e6,1e7\n", "too many fields": CSV + "1,2,3,4,5\n",
        "words": CSV + "one,two,three\n", "a megabyte in one line": CSV + "1" * MEGABYTE + "\n", "cut in a number": CSV[:-10],
        "a megabyte of header": "N" * MEGABYTE + "\n1,2,3\n", "NUL bytes": CSV + "1e6,\0,2\n", "an open quote": CSV + '"1e6,1e7,2\n',
    }
    for what, text in changed.items():
        path.write_text(text)
        cases.refuse("CSV", what, "bad.csv", ["fit", path], (USAGE, DAMAGED))
    path.write_bytes(PNG)
    cases.refuse("CSV", "a picture", "bad.csv", ["fit", path], (USAGE, DAMAGED))
    path.unlink()
    special(path, lambda what, codes: cases.refuse("CSV", what, "bad.csv", ["fit", path], codes))


def plugins(cases):
    test = cases.test
    folder = test.folder / "plugins"
    folder.mkdir(mode=0o755)
    path, study = folder / "bad.so", test.study("plugin.ini")
    good = (test.plmscale.parent.parent / "lib/plmscale/backends/reference.so")
    if not good.exists():
        good = next(test.plmscale.parent.parent.rglob("plmscale/backends/reference.so"))
    data = good.read_bytes()
    magic = data.index((0x314E4C5041435350).to_bytes(8, "little"))

    def refuse(what, codes):
        cases.refuse("plugin", f"{what} (run)", "bad", ["run", study, "--backend", path], codes)
        cases.refuse("plugin", f"{what} (by name)", "bad", ["run", study, "--backend", "bad"], codes, PLMSCALE_PLUGIN_PATH=str(folder))

    def write(content):
        path.write_bytes(content)
        path.chmod(0o755)

    for what, content in {"empty": b"", "text": b"not a library\n", "a picture": PNG, "NUL bytes": bytes(4096),
                          **{f"cut at {n} bytes": data[:n] for n in (4, 64, 1000, len(data) // 2, len(data) - 1)},
                          "a wrong magic number": flip(data, magic, 0x01), "a wrong version": flip(data, magic + 16, 0x7F),
                          "an archive": b"!<arch>\n" + data, "a 32-bit header": flip(data, 4, 0x03)}.items():
        write(content)
        refuse(what, (USAGE, DAMAGED))
    path.unlink()
    path.mkdir()
    refuse("a folder", (USAGE, DAMAGED))
    path.rmdir()
    path.symlink_to("bad.so")
    refuse("a link to itself", (USAGE, DAMAGED))
    path.unlink()
    refuse("missing", (USAGE,))
    write(data)
    path.chmod(0o777)
    refuse("a file that anybody may change", (USAGE,))
    path.unlink()
    test.check(not test.results("plugin.ini").exists(), "no results without a backend")


def words(cases):
    """The command line itself."""
    test = cases.test
    study = test.study("good.ini")
    for what, name, arguments in (
            ("an unknown verb", "trian", ["trian"]), ("an escape in a verb", "[31m", ["\x1b[31mrun"]),
            ("an unknown backend", "cpx", ["run", study, "--backend", "cpx"]),
            ("no threads", "0", ["run", study, "--threads", "0"]), ("1e400 threads", "1e400", ["run", study, "--threads", "1e400"]),
            ("negative threads", "-3", ["run", study, "--threads=-3"]), ("an empty device", "cpu,,cpu", ["run", study, "--backend", "cpu,,cpu"]),
            ("a setting without a value", "cpu", ["run", study, "--set", "cpu"]),
            ("a cell that is not there", "ffff", ["run-cell", study, "ffff"]), ("a cell out of range", "99", ["run-cell", study, "99"]),
            ("100 kB of an argument", "xxxx", ["run", study, "--threads", "x" * 100000])):
        cases.refuse("command line", what, name, arguments, (USAGE,))


def undisturbed(test):
    """How many tokens make a cell of so many seconds that it has two checkpoints on the way, and its content."""
    tokens, seconds = 50000, 0
    while seconds < 0.8:
        tokens *= 2
        shutil.rmtree(test.results("quiet.ini"), ignore_errors=True)
        test.run("run", test.study("quiet.ini", grid={"sizes": "1x16x2", "tokens": tokens}))
        wanted = contents(test.results("quiet.ini"))
        seconds = attributes(next(test.results("quiet.ini").glob("cells/*/run.h5")))["seconds"]
    return tokens, wanted


def interrupted(test, name, tokens):
    """A study whose one cell has two generations of checkpoints: (study, results, cell folder)."""
    study, results = test.study(name, grid={"sizes": "1x16x2", "tokens": tokens}), test.results(name)
    process = test.start("run-cell", study, 0)
    wait_for(lambda: any(results.glob("cells/*/checkpoint.previous.h5")), what="a second checkpoint")
    process.send_signal(signal.SIGTERM)
    test.equal(process.wait(timeout=60), 75, "exit code after SIGTERM")
    return study, results, next(results.glob("cells/*"))


def checkpoints(cases, other):
    """Newest damaged: the older one is taken, with a warning. Both: exit code 4, and nothing is removed."""
    test = cases.test
    tokens, wanted = undisturbed(test)
    study, results, cell = interrupted(test, "checkpoint.ini", tokens)
    newest, older = cell / "checkpoint.h5", cell / "checkpoint.previous.h5"
    good, good_older = newest.read_bytes(), older.read_bytes()
    ruins = bad_hdf5(good, data_offset(newest, "arena/moment2"), other)
    for what, content in ruins.items():
        newest.write_bytes(content)
        older.write_bytes(content)
        done = cases.refuse("checkpoint", f"both: {what}", str(cell.name), ["run-cell", study, 0], (DAMAGED,))
        for path in (newest, older):
            test.check(any("warning:" in line and path.name in line for line in done.err.splitlines()),
                       f"both: {what}: a warning names {path.name}\n{done.err}")
    for what in ("empty", "a flipped bit in the data", f"cut at {len(good) // 2} bytes", "another HDF5 file"):
        newest.write_bytes(ruins[what])
        older.write_bytes(good_older)
        saved = test.folder / "saved"
        shutil.copytree(results, saved)
        done = test.run("run-cell", study, 0)
        cases.counts["checkpoint"] += 1
        test.check("warning:" in done.err and "older checkpoint" in done.err, f"newest {what}: a warning\n{done.err}")
        test.check(contents(results) == wanted, f"newest {what}: the same bytes from the older checkpoint")
        test.equal(temporaries(results), [], "temporaries")
        shutil.rmtree(results)
        saved.rename(results)
    newest.write_bytes(b"")
    older.write_bytes(b"")
    done = test.run("run", study, code=3)
    test.check("no checkpoint" in done.err and cell.name in done.err, f"run says which cell failed and why\n{done.err}")
    cases.counts["checkpoint"] += 1


def run_files(cases, other):
    """A run.h5 that does not verify is set aside, and the cell is trained again to the same bytes."""
    test = cases.test
    study, results = test.study("runs.ini", grid={"sizes": "1x16x2", "tokens": "1024, 2048"}), test.results("runs.ini")
    test.run("run", study)
    wanted, before = contents(results), stamps(results)
    victim, neighbour = (results / "cells" / name / "run.h5" for name in sorted(wanted)[:2])
    good = victim.read_bytes()
    ruins = {**bad_hdf5(good, data_offset(victim, "weights/embed.weight"), other), "another cell's": neighbour.read_bytes()}
    for what, content in ruins.items():
        victim.write_bytes(content)
        cases.refuse("run file", f"{what} (fit)", "run.h5", ["fit", study], (DAMAGED,))
        status = test.run("status", study)
        test.check("damaged" in status.out, f"{what}: status says damaged")
        done = test.run("run", study)
        cases.counts["run file"] += 1
        test.check("run.damaged.h5" in done.err, f"{what}: the damaged file is set aside, and that is said\n{done.err}")
        aside = victim.with_name("run.damaged.h5")
        test.check(aside.exists() and aside.read_bytes() == content, f"{what}: the damaged file is kept")
        test.check(contents(results) == wanted, f"{what}: trained again to the same bytes")
        now = stamps(results)
        test.equal({k: v for k, v in now.items() if k != victim.parent.name},
                   {k: v for k, v in before.items() if k != victim.parent.name}, f"{what}: other cells are left alone")
        test.equal(temporaries(results), [], f"{what}: temporaries")
        aside.unlink(missing_ok=True)
    test.equal(attributes(victim)["status"], "done", "the victim at last")


def main():
    test = Test()
    cases = Cases(test)
    corpus = test.corpus()
    other = other_hdf5(test.folder / "other.h5")
    small = test.study("small.ini", grid={"sizes": "1x16x2", "tokens": "1024"})
    test.run("run", small)
    run = next(test.results("small.ini").glob("cells/*/run.h5")).read_bytes()
    corpora(cases, corpus, run, other)
    studies(cases)
    fastas(cases)
    tables(cases)
    plugins(cases)
    words(cases)
    checkpoints(cases, other)
    run_files(cases, other)
    total = sum(cases.counts.values())
    print(f"{total} cases:", ", ".join(f"{count} {kind}" for kind, count in cases.counts.items()))
    for kind in ("corpus", "study", "FASTA", "clusters", "CSV", "plugin", "command line", "checkpoint", "run file"):
        test.check(cases.counts.get(kind, 0) > 0, f"there are cases of {kind}")
    test.check(total >= LEAST, f"{total} cases, at least {LEAST}")
    test.end(5 * LEAST)


if __name__ == "__main__":
    main()
