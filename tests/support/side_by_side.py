"""Runs all tests, several pages at a time: what `make test` does.

Each process has a network of its own (`apart`), so that pages run side by side with the ports that readers use. What they would
fetch is fetched before (`reader`); tests with the mark `network` run meanwhile in the network of the machine. What fails is run once
more, alone, and counts as failed only if it fails again. Where the system
allows no such namespaces (macOS, a locked-down container), pages and tests run one after the other.
"""

from __future__ import annotations

import json
import os
import shutil
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
    """One for each core, two at least; each takes up to 5 GB. With more, servers miss the time that Ray gives them to start."""
    return max(2, min(len(os.sched_getaffinity(0)), psutil.virtual_memory().total // 5_000_000_000))


def memory(name: str) -> list[str]:
    """Where a run remembers what failed: each has a place of its own, empty at the start."""
    shutil.rmtree(ROOT / "build" / f"pytest-{name}", ignore_errors=True)
    return ["-o", f"cache_dir={ROOT / 'build' / f'pytest-{name}'}"]


def failed(name: str) -> list[str]:
    """What failed in a run: tests by their ids, pages whole, because their blocks build on each other."""
    path = ROOT / "build" / f"pytest-{name}" / "v" / "cache" / "lastfailed"
    ids = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return sorted({id.partition("::")[0] if ".md::" in id else id for id in ids})


def again(name: str, code: int, python: list[str], arguments: list[str]) -> int:
    """Two at a time on a slow machine, servers may start too late for each other. What fails alone as well has failed."""
    if code != 1 or not (names := failed(name)):
        return code
    print(f"Once more, alone: {', '.join(names)}", flush=True)
    return subprocess.run([*python, "-m", "pytest", *names, *arguments]).returncode


def main(arguments: list[str]) -> int:
    if not apart_works():
        print("No network namespaces here: pages run one after the other.")
        return max(subprocess.run([*PYTEST, part, *arguments]).returncode for part in ("docs", "tests"))
    if code := reader.prefetch(gym_environment()):
        return code
    with tempfile.TemporaryFile() as output:
        others = subprocess.Popen([*PYTEST, "tests", "-m", "network", *memory("network"), *arguments], stdout=output, stderr=output)
        try:
            workers = ["--dist", "loadfile", "--no-loadscope-reorder", "--tx", f"{processes()}*popen//python={APART}"]
            main = subprocess.run([*PYTEST, "docs", "tests", "-m", "not network", *workers, *memory("main"), *arguments]).returncode
            network = others.wait()
        finally:
            others.terminate()
        output.seek(0)
        sys.stdout.buffer.write(output.read())
        sys.stdout.flush()
    return max(again("main", main, [str(APART)], arguments), again("network", network, [sys.executable], arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
