"""How long the targets take at two commits, side by side. `make bench BASE=COMMIT` runs it; leave the machine alone meanwhile.

    python tests/support/bench.py BASE [--runs 3] [--targets build check test]

Each commit is a worktree of its own below build/bench, with its own environments, which are built before the clock starts. The
runs alternate, so that a slow hour meets both. Prints each time, and for each target the medians, the spread and the ratio.

Exit code: 0 when all runs passed, 1 if one failed (its log is named; its time counts for nothing), 2 for bad input.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "bench"
TARGETS = {"build": "html", "check": "check", "test": "test"}


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def make(folder: Path, *targets: str, log: Path) -> tuple[float, bool]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    with log.open("w") as output:
        began = time.monotonic()
        result = subprocess.run(["make", *targets], cwd=folder, env=environment, stdout=output, stderr=output)
        return time.monotonic() - began, result.returncode == 0


def worktree(commit: str) -> Path:
    folder = FOLDER / commit
    if not folder.exists():
        git("worktree", "prune")
        git("worktree", "add", "--detach", str(folder), commit)
    _, ready = make(folder, "html", ".venv/test", "gym", "trainers", "browser", log=FOLDER / f"{commit}-environments.log")
    if not ready:
        sys.exit(f"the environments of {commit} cannot be built: see {FOLDER / f'{commit}-environments.log'}")
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help="the commit to compare with")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS), help="default: all")
    arguments = parser.parse_args()
    try:
        base, now = (git("rev-parse", "--short", "--verify", f"{commit}^{{commit}}") for commit in (arguments.base, "HEAD"))
    except subprocess.CalledProcessError:
        parser.error(f"there is no commit {arguments.base}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    folders = {commit: worktree(commit) for commit in (base, now)}
    times: dict[str, dict[str, list[float]]] = {target: {base: [], now: []} for target in arguments.targets}
    failed = False
    for target in arguments.targets:
        for run in range(1, arguments.runs + 1):
            for commit, folder in folders.items():
                if target == "build":
                    shutil.rmtree(folder / "build" / "html", ignore_errors=True)
                log = FOLDER / f"{commit}-{target}-{run}.log"
                seconds, passed = make(folder, TARGETS[target], log=log)
                print(f"{target:6} {commit} run {run}: {seconds:7.1f} s{'' if passed else f'  FAILED, see {log}'}", flush=True)
                failed = failed or not passed
                if passed:
                    times[target][commit].append(seconds)
    print(f"\n{'':6} {base:>24} {now:>24}  ratio of medians")
    for target, its in times.items():
        if all(its.values()):
            told = [f"{statistics.median(all_):.1f} s ({min(all_):.1f}-{max(all_):.1f})" for all_ in its.values()]
            print(f"{target:6} {told[0]:>24} {told[1]:>24}  {statistics.median(its[now]) / statistics.median(its[base]):.2f}")
    (FOLDER / "times.json").write_text(json.dumps(times, indent=1) + "\n", encoding="utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
