#!/usr/bin/env python3
"""The road: a folder of core includes only what stands before it, and base; backends and plugins include the public
headers alone; file names are unique; sizes stay readable. Prints every breach; exits 1 when there is one or nothing was checked."""
import pathlib
import re
import sys

ROAD = ["base", "study", "data", "model", "runtime", "check", "train", "law", "report", "cli"]
PUBLIC = ["plmscale/backend.h", "plmscale/kernels.h", "plmscale/op_rules.h"]
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def check_core(root, breaches):
    checked = 0
    for path in sorted((root / "core").rglob("*.[ch]")):
        folder = path.relative_to(root / "core").parts[0]
        if folder == "include":
            continue
        for target in INCLUDE.findall(path.read_text()):
            checked += 1
            first = target.split("/")[0]
            if first == "plmscale":
                continue
            if "/" not in target or first not in ROAD:
                breaches.append(f"{path}: includes \"{target}\", not a path from core/")
            elif not (root / "core" / target).is_file():
                breaches.append(f"{path}: includes \"{target}\", which is not there")
            elif ROAD.index(first) > ROAD.index(folder):
                breaches.append(f"{path}: {folder} includes {first}, which stands behind it on the road")
    return checked


def check_backends(root, breaches):
    checked = 0
    for top in ("backends", "plugins"):
        for path in sorted((root / top).rglob("*.[ch]")) if (root / top).is_dir() else []:
            for target in INCLUDE.findall(path.read_text()):
                checked += 1
                if target not in PUBLIC and not (path.parent / target).is_file():
                    breaches.append(f"{path}: includes \"{target}\": a backend sees the public headers and its own folder only")
    return checked


def check_names(root, breaches):
    seen = {}
    skip = {"CMakeLists.txt", "README.md"}
    for top in ("core", "backends", "plugins", "kernels", "tests"):
        for path in sorted((root / top).rglob("*")) if (root / top).is_dir() else []:
            if path.is_file() and path.suffix in (".c", ".h", ".cc", ".cl", ".py", ".sh") and path.name not in skip:
                if path.name in seen:
                    breaches.append(f"{path}: the name is taken by {seen[path.name]}")
                seen[path.name] = path
                if path.suffix in (".c", ".h", ".cl") and len(path.read_text().splitlines()) > 800:
                    breaches.append(f"{path}: over 800 lines")
    return len(seen)


def check_self(breaches):
    """The rules catch what they should: a planted breach each."""
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in (("core/base/a.c", '#include "cli/b.h"\n'), ("core/cli/b.h", ""),
                           ("backends/x/y.c", '#include "base/a.h"\n'), ("tests/a.c", "")):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        for check in (check_core, check_backends, check_names):
            found = []
            check(root, found)
            if not found:
                breaches.append(f"{check.__name__} does not see a planted breach")


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    breaches = []
    counts = [check_core(root, breaches), check_backends(root, breaches), check_names(root, breaches)]
    check_self(breaches)
    for breach in breaches:
        print(breach)
    print(f"{counts[0]} includes of core, {counts[1]} of backends, {counts[2]} file names checked, {len(breaches)} breaches")
    return 1 if breaches or not all(counts) else 0


if __name__ == "__main__":
    sys.exit(main())
