"""Runs all tests, several pages at a time: what `make test` does.

Each process has a network of its own (`apart`), so that pages run side by side with the ports that readers use. What they would
fetch is fetched before (`reader`); tests with the mark `network` run meanwhile in the network of the machine. Where the system
allows no such namespaces (macOS, a locked-down container), pages and tests run one after the other.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

import psutil
import reader
from gym_environment import gym_environment
from pages import ROOT

APART = ROOT / "tests" / "support" / "apart"
PYTEST = [sys.executable, "-m", "pytest"]


def apart_works() -> bool:
    return subprocess.run([APART, "-c", ""], capture_output=True).returncode == 0


def processes() -> int:
    """One and a half for each core, because pages wait as well; each takes up to 5 GB."""
    return max(2, min(len(os.sched_getaffinity(0)) * 3 // 2, psutil.virtual_memory().total // 5_000_000_000))


def main(arguments: list[str]) -> int:
    if not apart_works():
        print("No network namespaces here: pages run one after the other.")
        return max(subprocess.run([*PYTEST, part, *arguments]).returncode for part in ("docs", "tests"))
    if code := reader.prefetch(gym_environment()):
        return code
    with tempfile.TemporaryFile() as output:
        others = subprocess.Popen([*PYTEST, "tests", "-m", "network", *arguments], stdout=output, stderr=output)
        try:
            workers = ["--dist", "loadfile", "--no-loadscope-reorder", "--tx", f"{processes()}*popen//python={APART}"]
            result = subprocess.run([*PYTEST, "docs", "tests", "-m", "not network", *workers, *arguments])
            codes = [result.returncode, others.wait()]
        finally:
            others.terminate()
        output.seek(0)
        sys.stdout.buffer.write(output.read())
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
