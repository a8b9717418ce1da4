"""Installs the build into a scratch prefix and moves it, for the other tests of this folder; everything promised is there."""
import shutil

from kit_lib import Kit

kit = Kit("install")
shutil.rmtree(kit.prefix, ignore_errors=True)
before = kit.folder / "prefix"
kit.run(kit.cmake, "--install", kit.build, "--prefix", before, *(["--config", kit.config] if kit.config else []))
shutil.move(before, kit.prefix)

for name in ("backend.h", "kernels.h", "op_rules.h"):
    installed, built = kit.prefix / "include/plmscale" / name, kit.build / "include/plmscale" / name
    text = (kit.source / "core/include/plmscale" / name).read_text()
    kit.check(installed.read_text() == text, f"{name} is installed as it is in the tree")
    kit.check(built.read_text() == text, f"{name} lies in the build tree as it does in an installation")
for folder, at in (("template", "template"), ("cblas", "examples/cblas")):
    wanted = sorted(p.name for p in (kit.source / "plugins" / folder).iterdir() if p.is_file())
    found = sorted(p.name for p in (kit.prefix / "share/plmscale" / at).iterdir())
    kit.check(wanted == found, f"share/plmscale/{at} holds {wanted}, not {found}")

for variable, there in (("includedir", "plmscale/backend.h"), ("plugindir", "cpu.so"), ("examplesdir", "cblas/README.md"),
                        ("bindir", "plmscale")):
    value = kit.run("pkg-config", f"--variable={variable}", "plmscale")[0].strip()
    kit.check((kit.folder / value / there).exists(), f"pkg-config's {variable} is {value}, which holds {there}")
    kit.check(str(before) not in value, f"pkg-config's {variable} does not remember where it was: {value}")
kit.check(not [p for p in kit.libdir.rglob("*.cmake") if str(before) in p.read_text()],
          "no file of the CMake package remembers where it was installed")
kit.end()
