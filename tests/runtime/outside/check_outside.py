"""Installs the tree into a scratch prefix and builds a backend against it, by CMake and by hand, as its author would."""
import argparse
import json
import os
import pathlib
import shutil
import subprocess

parser = argparse.ArgumentParser()
for name in ("cmake", "build", "cc", "source", "libdir", "scratch"):
    parser.add_argument("--" + name, required=True)
parser.add_argument("--config", default="")
parser.add_argument("--generator", required=True)
args = parser.parse_args()

scratch = pathlib.Path(args.scratch)
prefix = scratch / "prefix"
moved = scratch / "moved"
project = scratch / "project"
built = scratch / "project-build"
environment = {key: value for key, value in os.environ.items() if not key.startswith("PLMSCALE_")}


def run(*command, **more):
    print("+", *command, flush=True)
    result = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, env=environment, **more)
    if result.returncode:
        raise SystemExit(f"{command[0]}: exit code {result.returncode}\n{result.stdout}")
    return result.stdout


def listing(program, *paths):
    found = json.loads(run(program, "backends", "--json", *paths, cwd="/"))
    return {candidate["name"]: candidate for candidate in found["candidates"]}


def expect(condition, what):
    if not condition:
        raise SystemExit("failed: " + what)


shutil.rmtree(scratch, ignore_errors=True)
project.mkdir(parents=True)
for source in (pathlib.Path(args.source) / "CMakeLists.txt", pathlib.Path(args.source) / "../plugins/null.c",
               pathlib.Path(args.source) / "../plugins/null_backend.h"):
    shutil.copy(source, project)

run(args.cmake, "--install", args.build, "--prefix", prefix, *(["--config", args.config] if args.config else []))
# The author's machine has it somewhere else than where it was built for.
shutil.move(prefix, moved)
program = moved / "bin" / "plmscale"

run(args.cmake, "-G", args.generator, "-S", project, "-B", built, f"-DCMAKE_PREFIX_PATH={moved}", f"-DCMAKE_C_COMPILER={args.cc}")
run(args.cmake, "--build", built)
by_cmake = built / "by_cmake.so"

environment["PKG_CONFIG_PATH"] = str(moved / args.libdir / "pkgconfig")
flags = run("pkg-config", "--cflags", "plmscale").split()
plugin_cflags = run("pkg-config", "--variable=plugin_cflags", "plmscale").split()
plugin_ldflags = run("pkg-config", "--variable=plugin_ldflags", "plmscale").split()
plugindir = pathlib.Path(run("pkg-config", "--variable=plugindir", "plmscale").strip())
by_hand = scratch / "by_hand.so"
expect("-Wl,-z,defs" in plugin_ldflags, "plugin_ldflags have -Wl,-z,defs")
run(args.cc, "-std=c99", *flags, *plugin_cflags, *plugin_ldflags, "-o", by_hand, project / "null.c")
expect(plugindir.resolve() == (moved / args.libdir / "plmscale" / "backends").resolve(), f"plugindir {plugindir}")

for plugin in (by_cmake, by_hand):
    symbols = [line.split()[-1] for line in run("nm", "-D", "--defined-only", plugin).splitlines()]
    expect(symbols == ["plm_plugin_entry_v1"], f"{plugin.name} exports one symbol, not {symbols}")

found = listing(program, by_cmake, by_hand)
expect(set(found) == {"by_cmake", "by_hand"}, f"both are listed, not {sorted(found)}")
for candidate in found.values():
    expect(candidate["outcome"] == "accepted" and len(candidate["devices"]) == 1, json.dumps(candidate))

# Installed by its own build, it is found without being named.
run(args.cmake, "--install", built)
found = listing(program)
expect(found.get("by_cmake", {}).get("outcome") == "accepted", f"by_cmake is found when installed: {found}")
print(f"accepted: {', '.join(sorted(name for name in found if found[name]['outcome'] == 'accepted'))}")
