"""What the tests of the author's kit share: the moved installation, commands with a clean environment, counted claims."""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys


class Kit:
    """One test: name is its scratch folder, beside the installation that test_install made."""

    def __init__(self, name):
        parser = argparse.ArgumentParser()
        for option in ("cmake", "ctest", "generator", "cc", "source", "build", "config", "libdir", "scratch"):
            parser.add_argument("--" + option, required=True)
        given = parser.parse_args()
        self.cmake, self.ctest, self.generator, self.cc, self.config = (
            given.cmake, given.ctest, given.generator, given.cc, given.config)
        self.source, self.build = pathlib.Path(given.source), pathlib.Path(given.build)
        scratch = pathlib.Path(given.scratch)
        self.prefix = scratch / "moved"  # no blank: pkg-config escapes it, and $(pkg-config ...) keeps the escape
        self.libdir = self.prefix / given.libdir
        self.plmscale = self.prefix / "bin" / "plmscale"
        self.folder = scratch / name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("PLMSCALE_", "OMP_"))}
        # A sanitized host: what malloc refuses is NULL as it is elsewhere, and freed memory is not kept, which would look like a leak.
        self.environment["ASAN_OPTIONS"] = ":".join(filter(None, [
            os.environ.get("ASAN_OPTIONS"), "allocator_may_return_null=1", "quarantine_size_mb=0",
            "thread_local_quarantine_size_kb=0"]))
        self.environment.update(CC=self.cc, CMAKE_GENERATOR=self.generator,
                                PKG_CONFIG_PATH=str(self.libdir / "pkgconfig"))
        self.checks = self.failures = 0

    def check(self, good, what):
        """Counts a claim; a false one is printed and the test goes on."""
        self.checks += 1
        if not good:
            self.failures += 1
            print(f"FAILED: {what}", flush=True)
        return bool(good)

    def run(self, *command, code=0, cwd=None, stdin=None):
        """Runs a command; another exit code than the one expected ends the test. Returns stdout and stderr."""
        words = [str(word) for word in command]
        print("+", *words, flush=True)
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment,
                              cwd=cwd or self.folder, input=stdin)
        if done.returncode != code:
            sys.exit(f"FAILED: {words[0]} gave exit code {done.returncode}, not {code}\n{done.stdout}{done.stderr}")
        return done.stdout, done.stderr

    def capture(self, words):
        """Runs a command whatever its exit code; stdout and stderr as one, in the order in which they were printed."""
        return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.environment,
                              cwd=self.folder)

    def cmake_build(self, project, *definitions):
        """Configures and builds a project against the installation, warnings as errors; its build folder."""
        folder = pathlib.Path(project) / "build"
        self.run(self.cmake, "-S", project, "-B", folder, f"-DCMAKE_PREFIX_PATH={self.prefix}",
                 "-DCMAKE_C_FLAGS=-Wall -Wextra -pedantic -Werror", *definitions)
        self.run(self.cmake, "--build", folder)
        return folder

    def candidates(self, *paths):
        """What `plmscale backends` says of these files, or of all that it finds, by name."""
        listing = json.loads(self.run(self.plmscale, "backends", "--json", *paths)[0])
        return {candidate["name"]: candidate for candidate in listing["candidates"]}

    def exports(self, plugin):
        lines = self.run("nm", "-D", "--defined-only", plugin)[0].splitlines()
        return [line.split()[-1] for line in lines]

    def end(self):
        print(f"{self.checks} claims checked, {self.failures} failed")
        sys.exit(1 if self.failures or not self.checks else 0)
