#!/usr/bin/env python3
"""Every kernel once under Oclgrind, which looks for data races, accesses out of bounds and reads of what was never written.

test_oclgrind.py TEST_OPS OPENCL.so POLICY OP...

Oclgrind's exit status is 0 whatever it finds, and its --log file stays empty when the program never unloads its plugin
(21.10), so what it prints is read. A run whose barriers are removed shows that it would find something. Kernels are built
without optimisation, because Oclgrind 21.10 crashes on shuffles with undefined lanes, which optimisers make of sums of
vectors, and without prefetches, which it does not know."""
import re
import shutil
import subprocess
import sys

FINDING = re.compile(r"^(.*data race|Uninitialized|Invalid|Work-group divergence|Work-item|Oclgrind|.*API error).*", re.M)
SKIP = 77


def run(test_ops, plugin, policy, ops, build_options, limit):
    command = ["oclgrind", "--data-races", "--uninitialized", "--check-api", test_ops, plugin, "--set", "cache=no",
               "--set", f"policy={policy}", "--set", f"build_options=-cl-opt-disable -DPLM_NO_PREFETCH {build_options}".strip(),
               "--elements-max", str(limit)] + ops
    return subprocess.run(command, capture_output=True, text=True, timeout=1200)


def main():
    test_ops, plugin, policy, *ops = sys.argv[1:]
    if not shutil.which("oclgrind"):
        print("skipped: oclgrind is not installed")
        return SKIP
    if policy == "gpu":
        control = run(test_ops, plugin, "gpu", ["reduce_sum"], "-Dbarrier=mem_fence", 100)
        if not FINDING.search(control.stderr):
            print("without barriers Oclgrind finds nothing: this test cannot fail\n", control.stdout[-2000:], control.stderr[-2000:])
            return 1
    result = run(test_ops, plugin, policy, ops, "", 1000)
    counts = re.findall(r"^(\w+) +(\d+) passed, (\d+) failed", result.stdout, re.M)
    findings = FINDING.findall(result.stderr)
    print(result.stdout[-4000:], result.stderr[:6000])
    idle = [op for op in ops if not any(name == op and int(passed) for name, passed, _ in counts)]
    if idle:
        print("nothing ran of:", ", ".join(idle))
    print(f"{sum(int(c[1]) for c in counts)} cases of {len(ops)} ops, {len(findings)} findings")
    return 1 if result.returncode or findings or idle else 0


if __name__ == "__main__":
    sys.exit(main())
