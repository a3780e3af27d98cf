"""Tell how far the shards of a run are, which of them lag behind, and what is missing.

    python watch_shards.py shards results [--every 10] [--stall 600] [--missing] [--shard shard-003]

It reads what run_shard.sh leaves in results/SHARD: rollouts by counting lines, so that it stays quick where they are large.
A shard is ``starting`` until its first rollouts are planned, and ``stalled`` if no row came for --stall seconds since it was started.
With --every it looks again and again until nothing is left to run, and measures rates: a shard that needs more than twice as
long as the median shard, complete ones included, is ``slow``.
A rollout is given up when it failed for good or NEMO_GYM_MAX_ROLLOUT_ATTEMPTS times (3): --resume does not try it again.
Exit code: 0 nothing is left to run, 1 something is, or a watched shard stalls, 2 bad input.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rollouts import REPEAT, TASK, BadInput, lines

BLOCK = 1 << 20  # bytes
HEADER = f"{'shard':<12}{'state':<13}{'done':>9}{'of':>9}{'failures':>10}{'given up':>10}{'idle s':>8}{'/min':>8}{'min left':>10}"


def count_lines(path: Path) -> int:
    """Complete lines; a missing file has none."""
    try:
        with path.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(BLOCK), b""))
    except FileNotFoundError:
        return 0


def keys_of(path: Path) -> Iterator[tuple[tuple[int, int], dict]]:
    """Task and repeat of each complete row of a file that may be growing, and the row. A missing or empty file has none."""
    if not path.exists() or not path.stat().st_size:
        return
    for number, _, _, row in lines(path, torn_end=True):
        if any(type(row.get(part)) is not int for part in (TASK, REPEAT)):
            raise BadInput(f"{path}:{number}: a row without {TASK} or {REPEAT}. Is it what gym eval run wrote?")
        yield (row[TASK], row[REPEAT]), row


@dataclass
class Shard:
    """What the files of one shard say at one moment."""

    name: str
    planned: int  # rollouts, 0 before the shard starts
    done: int
    failures: int  # failed attempts, also of rollouts that are done by now
    given_up: int
    idle: float | None  # seconds since a file changed; None before the shard has any
    seen: float  # when, in seconds

    @property
    def left(self) -> int:
        return self.planned - self.done - self.given_up

    @property
    def complete(self) -> bool:
        return self.planned > 0 and self.left <= 0


def attempts_in(folder: Path) -> tuple[Counter, set[tuple[int, int]]]:
    """Failed attempts of each rollout, and the rollouts that were given up."""
    attempts, final = Counter(), set()
    limit = int(os.environ.get("NEMO_GYM_MAX_ROLLOUT_ATTEMPTS") or 3)
    for key, row in keys_of(folder / "rollouts_failures.jsonl"):
        attempts[key] += 1
        if row.get("_ng_failure_terminal"):
            final.add(key)
    given_up = final | {key for key, count in attempts.items() if count >= limit}
    if given_up:  # one that succeeded in the end is done, not given up
        given_up -= {key for key, _ in keys_of(folder / "rollouts.jsonl")}
    return attempts, given_up


def look(name: str, folder: Path) -> Shard:
    rollouts = folder / "rollouts.jsonl"
    failures = folder / "rollouts_failures.jsonl"
    inputs = folder / "rollouts_materialized_inputs.jsonl"
    attempts, given_up = attempts_in(folder)
    now = time.time()
    # Until there are rollouts, the logs show that servers start; afterwards they would hide that none is finished.
    files = [path for path in (rollouts, failures, inputs) if path.exists()]
    # What run_shard.sh writes once, as it begins: a shard that goes on is not stalled since its last run.
    files = [*files, *filter(Path.exists, (folder / "servers", folder / "pid"))] if files else list(folder.glob("*"))
    idle = now - max(path.stat().st_mtime for path in files) if files else None
    return Shard(name, count_lines(inputs), count_lines(rollouts), attempts.total(), len(given_up), idle, now)


def missing(folder: Path) -> list[tuple[int, int, str]]:
    """Task and repeat of each rollout that has no row, and whether it is "missing", so that a resume runs it, or "given up"."""
    done, given_up = {key for key, _ in keys_of(folder / "rollouts.jsonl")}, attempts_in(folder)[1]
    left = sorted({key for key, _ in keys_of(folder / "rollouts_materialized_inputs.jsonl")} - done)
    return [(*key, "given up" if key in given_up else "missing") for key in left]


def table(shards: list[Shard], before: dict[str, Shard], stall: float) -> tuple[list[str], bool]:
    """The printed lines, and whether a shard that was started stalls."""
    rates: dict[str, float] = {}  # rollouts per minute since the first look
    for shard in shards:
        first = before.get(shard.name)
        if first and shard.seen > first.seen:
            rates[shard.name] = (shard.done - first.done) * 60 / (shard.seen - first.seen)
    minutes = {s.name: s.left / rates[s.name] for s in shards if not s.complete and rates.get(s.name)}
    whole = {s.name: s.planned / rates[s.name] for s in shards if rates.get(s.name)}
    usual = statistics.median_low(whole.values()) if whole else 0
    lines, stalls = [HEADER], False
    for shard in shards:
        if shard.complete:
            state = "complete"
        elif shard.idle is None:
            state = "not started"
        elif shard.idle > stall:
            state, stalls = "stalled", True
        elif not shard.planned:
            state = "starting"
        else:
            state = "slow" if whole.get(shard.name, 0) > 2 * usual else "unfinished"
        rate = "" if shard.complete or shard.name not in rates else f"{rates[shard.name]:.0f}"
        left = f"{minutes[shard.name]:.1f}" if shard.name in minutes else ""
        idle = "" if state in ("complete", "not started") else f"{shard.idle:.0f}"
        lines.append(
            f"{shard.name:<12}{state:<13}{shard.done:>9}{shard.planned or '?':>9}{shard.failures:>10}{shard.given_up:>10}{idle:>8}{rate:>8}{left:>10}".rstrip()
        )
    if len(shards) == 1:
        state = "complete" if shards[0].complete else "not complete"
        return [f"{shards[0].name} {state}: {shards[0].done} of {shards[0].planned or '?'} rollouts, {shards[0].given_up} given up"], stalls
    ready = sum(shard.complete for shard in shards)
    done, planned, lost = (sum(getattr(shard, what) for shard in shards) for what in ("done", "planned", "given_up"))
    more = "" if all(shard.planned for shard in shards) else ", more in shards that have not started"
    lines.append(f"{ready} of {len(shards)} shards complete: {done} of {planned} rollouts{more}, {lost} given up")
    return lines, stalls


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], epilog=__doc__.splitlines()[-1])
    parser.add_argument("shards", type=Path, help="folder that split_tasks.py wrote")
    parser.add_argument("results", type=Path, help="folder with one folder per shard")
    parser.add_argument("--shard", metavar="NAME", help="only this one")
    parser.add_argument("--every", type=float, metavar="S", help="look again every S seconds until all shards are complete")
    parser.add_argument("--stall", type=float, default=600, metavar="S", help="seconds without a change (default: %(default)g); more than your longest rollout takes")
    parser.add_argument("--missing", action="store_true", help="list the rollouts that have no row: missing ones, which a resume runs, and those given up")
    args = parser.parse_args()
    if args.every is not None and args.every <= 0:
        parser.error("--every must be above 0")
    names = sorted(path.stem for path in args.shards.glob(f"{args.shard or 'shard-*'}.jsonl"))
    if not names:
        parser.error(f"no {args.shard or 'shards'} in {args.shards}. Run split_tasks.py first, or check the path")
    before: dict[str, Shard] = {}
    complete: dict[str, Shard] = {}  # as they were seen first: their rates end there
    try:
        while True:
            shards = [complete.get(name) or look(name, args.results / name) for name in names]
            complete |= {shard.name: shard for shard in shards if shard.complete}
            lines, stalls = table(shards, before, args.stall)
            print("\n".join(lines), flush=True)
            if args.missing:
                for name in names:
                    for task, repeat, why in missing(args.results / name):
                        print(f"{why}: {name} task {task} repeat {repeat}")
            if all(shard.complete for shard in shards):
                return 0
            if args.every is None or stalls:
                return 1
            before = {shard.name: shard for shard in shards if shard.planned} | before  # the start of servers is no rate
            time.sleep(args.every)
    except BadInput as error:
        print(f"watch_shards.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
