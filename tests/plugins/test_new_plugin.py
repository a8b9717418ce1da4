"""plmscale new-plugin: the project builds in both ways and does what it says; what is refused leaves nothing behind."""
import json
import os
import re
import shutil

from kit_lib import Kit

kit = Kit("new_plugin")


def texts(folder):
    return {path.name: path.read_text() for path in sorted(folder.iterdir()) if path.is_file()}


def test_new_plugin__printed_commands_build_it():
    said = kit.run(kit.plmscale, "new-plugin", "mine_2", "my plugin/")[0]
    commands = [line.strip() for line in said.splitlines() if line.startswith("  ")]
    kit.check(len(commands) == 3, f"three commands are printed:\n{said}")
    for command in commands[:2]:
        kit.run("sh", "-c", command)
    plugin = kit.folder / "my plugin/build/mine_2.so"
    kit.check(kit.exports(plugin) == ["plm_plugin_entry_v1"], "one symbol is exported")
    found = kit.candidates(plugin)["mine_2"]
    kit.check(found["outcome"] == "accepted" and found["plugin"] == "mine_2" and len(found["devices"]) == 1, found)
    kit.run(kit.build / "bin/old_host", plugin)
    said = kit.run("sh", "-c", commands[2])[0]
    kit.check("100% tests passed, 0 tests failed out of 1" in said, f"levels 0 and 1 pass:\n{said}")


def test_new_plugin__every_name_is_replaced():
    made = texts(kit.folder / "my plugin")
    for name, text in made.items():
        kit.check("template" not in (name + text).lower(), f"{name} does not mention the template")
    wanted = {name.replace("template", "mine_2"): text.replace("template", "mine_2").replace("TEMPLATE", "MINE_2")
              for name, text in texts(kit.source / "plugins/template").items()}
    kit.check(made == wanted, "the files are those of the template, renamed")


def test_new_plugin__builds_by_the_line_of_its_readme():
    project = kit.folder / "by_hand"
    kit.run(kit.plmscale, "new-plugin", "by_hand", project)
    readme = (project / "README.md").read_text()
    line = re.search(r"^    (cc -O2 (?:.*\\\n)+.*)$", readme, re.M).group(1)
    kit.run("sh", "-c", line.replace("cc -O2", "$CC -std=c99 -Wall -Wextra -pedantic -Werror -O2", 1), cwd=project)
    kit.check(kit.candidates(project / "by_hand.so")["by_hand"]["outcome"] == "accepted", "by_hand.so is accepted")
    kit.run(kit.plmscale, "check", project / "by_hand.so", "--level", "0-1")


def test_new_plugin__what_it_does_is_right_and_the_rest_declined():
    plugin = kit.folder / "my plugin/build/mine_2.so"
    report = json.loads(kit.run(kit.plmscale, "check", plugin, "--level", "2", "--json", code=1)[0])
    ops = {"passed": set(), "failed": set()}
    for case in report["cases"]:
        if case["status"] in ops:
            ops[case["status"]].add(case["name"])
        if case["status"] == "failed":
            kit.check("is not written yet" in case["text"], f"{case['name']} fails because it is not written: {case['text']}")
    kit.check({"fill", "bias", "add"} <= ops["passed"] - ops["failed"], f"fill, bias and add are right: {ops}")
    kit.check("gelu" in ops["failed"] and "linear" in ops["failed"], "what is missing is a failure")


def test_new_plugin__builds_from_the_build_tree_too():
    kit.run(kit.plmscale, "new-plugin", "from_build", "from_build")
    kit.run(kit.cmake, "-S", "from_build", "-B", "from_build/build", f"-DCMAKE_PREFIX_PATH={kit.build}",
            "-DCMAKE_C_FLAGS=-Wall -Wextra -pedantic -Werror")
    kit.run(kit.cmake, "--build", "from_build/build")
    found = kit.candidates(kit.folder / "from_build/build/from_build.so")
    kit.check(found["from_build"]["outcome"] == "accepted", "it is accepted")


def test_new_plugin__installed_it_is_found_by_name():
    kit.run(kit.cmake, "--install", "my plugin/build")
    installed = kit.libdir / "plmscale/backends/mine_2.so"
    kit.check(kit.candidates()["mine_2"]["path"] == str(installed), "it is found where it was installed")
    installed.unlink()


def test_new_plugin__an_empty_folder_is_filled():
    (kit.folder / "empty").mkdir()
    kit.run(kit.plmscale, "new-plugin", "mine", "empty")
    kit.check((kit.folder / "empty/mine.c").is_file(), "the files are in the folder that was there")


def test_new_plugin__refusals_leave_nothing_behind():
    full = kit.folder / "full"
    full.mkdir()
    (full / "notes.txt").write_text("mine")
    (kit.folder / "file").write_text("mine")
    os.symlink("full", kit.folder / "link")
    before = sorted(path for path in kit.folder.rglob("*"))
    for arguments, code, reason in (
            (["mine", "full"], 2, '"full" exists and is not empty'),
            (["mine", "file"], 2, '"file" exists and is not a folder'),
            (["mine", "link"], 2, '"link" exists and is not a folder'),
            (["mine", "."], 2, "current folder"),
            (["mine", "no/such/parent"], 1, "No such file"),
            (["Mine", "new"], 2, 'name "Mine": must be at most 63 lower case letters'),
            (["2mine", "new"], 2, 'name "2mine"'),
            (["mi-ne", "new"], 2, 'name "mi-ne"'),
            (["", "new"], 2, 'name ""'),
            (["m" * 64, "new"], 2, "at most 63"),
            (["test", "new"], 2, 'name "test": CMake keeps this one'),
            (["mine"], 2, "a name and a folder are needed"),
            (["mine", "new", "more"], 2, "")):
        said = kit.run(kit.plmscale, "new-plugin", *arguments, code=code)[1]
        kit.check(reason in said, f"new-plugin {arguments} says {reason!r}: {said}")
    kit.check(sorted(path for path in kit.folder.rglob("*")) == before, "nothing was made")
    kit.check((full / "notes.txt").read_text() == "mine", "what was there is as it was")


def test_new_plugin__a_template_that_is_not_whole_makes_nothing():
    bare = kit.folder / "bare"
    (bare / "bin").mkdir(parents=True)
    program = shutil.copy2(kit.plmscale, bare / "bin")
    place = bare / "share/plmscale/template"
    said = kit.run(program, "new-plugin", "mine", "never", code=1)[1]
    kit.check(str(place) in said and "No such file" in said, said)
    place.mkdir(parents=True)
    said = kit.run(program, "new-plugin", "mine", "never", code=4)[1]
    kit.check(str(place) in said and "empty" in said, said)
    (place / "a.c").write_text("template\n")
    (place / "b.c").mkdir()
    said = kit.run(program, "new-plugin", "mine", "never", code=4)[1]
    kit.check("b.c" in said and "not a regular file" in said, said)
    kit.check(not list(kit.folder.glob("never*")), "nothing was made, not even in part")
    (place / "b.c").rmdir()
    kit.run(program, "new-plugin", "mine", "never")
    kit.check((kit.folder / "never/a.c").read_text() == "mine\n", "what is whole is made")


test_new_plugin__printed_commands_build_it()
test_new_plugin__every_name_is_replaced()
test_new_plugin__builds_by_the_line_of_its_readme()
test_new_plugin__what_it_does_is_right_and_the_rest_declined()
test_new_plugin__builds_from_the_build_tree_too()
test_new_plugin__installed_it_is_found_by_name()
test_new_plugin__an_empty_folder_is_filled()
test_new_plugin__refusals_leave_nothing_behind()
test_new_plugin__a_template_that_is_not_whole_makes_nothing()
kit.end()
