"""plugins/cblas builds from the installed examples alone, and is a good backend."""
import json
import shutil

from kit_lib import Kit

kit = Kit("cblas")
project = kit.folder / "cblas"
shutil.copytree(kit.prefix / "share/plmscale/examples/cblas", project)
plugin = kit.cmake_build(project) / "cblas.so"
kit.check(kit.exports(plugin) == ["plm_plugin_entry_v1"], "one symbol is exported")
found = kit.candidates(plugin)["cblas"]
kit.check(found["outcome"] == "accepted" and len(found["devices"]) == 1, found)
kit.run(kit.build / "bin/old_host", plugin)
lines = sum(len(path.read_text().splitlines()) for path in project.glob("*.[ch]"))
kit.check(lines < 900, f"it can be read in one sitting: {lines} lines")
report = json.loads(kit.run(kit.plmscale, "check", plugin, "--json")[0])
for level in report["levels"]:
    print(json.dumps(level))
    kit.check(level["good"] and level["passed"] > 0 and level["failed"] == level["not_run"] == 0, f"level {level}")
kit.check([level["level"] for level in report["levels"]] == list(range(6)), "every level was run")
for case in report["cases"]:
    if case["status"] == "declined" and case["level"] in (2, 3):
        kit.check("flags 0x" in case["text"], f"only optional forms are declined: {case['name']}: {case['text']}")
said = kit.run(kit.ctest, "--test-dir", plugin.parent, "-N")[0]
kit.check("conformance_cblas" in said, "its own project has the same test")
kit.end()
