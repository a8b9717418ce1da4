"""plugins/cblas builds from the installed examples alone, and is a good backend."""
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
print(kit.run(kit.build / "bin/test_ops", plugin)[0][-2000:])
kit.end()
