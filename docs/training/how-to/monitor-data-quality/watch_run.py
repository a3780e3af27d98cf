"""Watch a run while it collects: read the growing rollouts and failures, print a line now and then, alert on limits.

    python watch_run.py results/baseline/rollouts.jsonl [--max-failed 0.05] [--max-cut 0.3] [--min-reward 0.1] [--once]

It ends when the run has written its quality summary. A limit is breached only when it lies outside the 99.7 % interval of
what was seen (Wilson), so that the first few rollouts alert nobody; --stall seconds without a new row do.
Exit code: 0 the run finished, or --once found no breach; 1 alert; 2 bad input. So: watch_run.py FILE || kill $PID
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

from measuring import BadInput, beside, loads, look, rows_in
from noise import wilson

HEADER = "    time   done  planned   /min  reward  success   cut  empty  tools  masked  failed"
Z = 3.0


class Tail:
    """The complete rows that a file has gained since the last look."""

    def __init__(self, path: Path) -> None:
        self.path, self.offset, self.restarted = path, 0, False

    def new(self) -> list[dict]:
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return []
        self.restarted = size < self.offset  # a new run without --resume empties the file
        if self.restarted:
            self.offset = 0
        rows = []
        try:
            with self.path.open("rb") as lines:
                lines.seek(self.offset)
                for line in lines:
                    if not line.endswith(b"\n"):  # being written
                        break
                    self.offset += len(line)
                    if line.strip():
                        row = loads(line)
                        if not isinstance(row, dict):
                            raise ValueError("no JSON object")
                        rows.append(row)
        except OSError as error:
            raise BadInput(f"Cannot read {self.path}: {error.strerror}. Check the path.") from None
        except ValueError as error:
            raise BadInput(f"{self.path}: a row before byte {self.offset} is broken: {error}. Is it what gym eval run wrote?") from None
        return rows


class Run:
    """What has been seen of a run so far."""

    SUMMED = ("success_rate", "cut_share", "empty_share", "tool_use_share", "masked_share")

    def __init__(self, path: Path, success: float) -> None:
        self.path, self.success = path, success
        self.rollouts, self.failures = Tail(path), Tail(beside(path, "_failures.jsonl"))
        self.forget()

    def forget(self) -> None:
        self.done = self.failed = self.scored = 0
        self.sums = dict.fromkeys(self.SUMMED, 0.0)
        self.reward = self.squares = 0.0

    def look(self) -> bool:
        """Read what is new. True if there was something."""
        rows = self.rollouts.new()
        if self.rollouts.restarted:
            self.forget()
        for row in rows:
            if not isinstance(row.get("response"), dict):
                raise BadInput(f"{self.path} holds a row that is no rollout. Give the file that gym eval run writes with -o.")
            looked = look(row, self.success)
            self.done += 1
            for name in self.SUMMED:
                self.sums[name] += looked.of(name) or 0.0
            if (reward := looked.of("reward")) is not None:
                self.scored += 1
                self.reward += reward
                self.squares += reward**2
        failed = self.failures.new()
        self.failed += len(failed)
        return bool(rows or failed)

    def planned(self) -> int | None:
        path = beside(self.path, "_materialized_inputs.jsonl")
        return rows_in(path) if path.exists() else None

    def finished(self) -> bool:
        """The health check is the last thing that a run writes; without it, the aggregate metrics are."""
        for path in (self.path.with_name("quality_summary.json"), beside(self.path, "_aggregate_metrics.json")):
            if path.exists() and self.path.exists() and path.stat().st_mtime >= self.path.stat().st_mtime:
                return path.name == "quality_summary.json" or time.time() - path.stat().st_mtime > 10
        return False

    def line(self, seconds: float, planned: int | None) -> str:
        of = lambda part, whole: f"{part / whole:.2f}" if whole else "-"  # noqa: E731
        cells = [
            (8, time.strftime("%H:%M:%S")), (7, self.done), (9, planned or "?"),
            (7, f"{60 * self.done / seconds:.0f}" if seconds >= 1 else "-"), (8, of(self.reward, self.scored)),
            (9, of(self.sums["success_rate"], self.scored)),
            *((width, of(self.sums[name], self.done)) for width, name in
              ((6, "cut_share"), (7, "empty_share"), (7, "tool_use_share"), (8, "masked_share"))),
            (8, self.failed),
        ]
        return "".join(f"{value:>{width}}" for width, value in cells)

    def alerts(self, limits: argparse.Namespace) -> list[str]:
        """The limits that even the noise of few rollouts does not explain."""
        found = []
        counts = {
            "failed": (self.failed, self.done + self.failed, limits.max_failed),
            "cut": (self.sums["cut_share"], self.done, limits.max_cut),
            "empty": (self.sums["empty_share"], self.done, limits.max_empty),
            "masked": (self.sums["masked_share"], self.done, limits.max_masked),
        }
        for name, (count, total, limit) in counts.items():
            if limit is not None and total and wilson(count, total, Z)[0] > limit:
                found.append(f"{name} share is {count / total:.2f} after {total} rollouts, the limit is {limit:g}")
        if limits.min_reward is not None and self.scored > 1:
            centre = self.reward / self.scored
            spread = math.sqrt(max(0.0, self.squares / self.scored - centre**2) / (self.scored - 1))
            # Rewards that are all alike have no spread yet: hold them as shares, whose interval is never empty.
            high = centre + Z * spread if spread else wilson(max(0.0, min(1.0, centre)) * self.scored, self.scored, Z)[1]
            if high < limits.min_reward:
                found.append(f"mean reward is {centre:.2f} after {self.scored} rollouts, the limit is {limits.min_reward:g}")
        return found


def watch(args: argparse.Namespace) -> int:
    run, started, last_news, first_row, shown = Run(args.rollouts, args.success), time.monotonic(), time.monotonic(), None, None
    if args.once and not args.rollouts.exists():
        raise BadInput(f"Cannot read {args.rollouts}: No such file or directory. Check the path.")
    print(HEADER, flush=True)
    while True:
        finished = args.once or run.finished()  # asked before the last look, so that no row is missed
        if run.look():
            last_news = time.monotonic()
            first_row = first_row or last_news
        now = time.monotonic()
        alerts = run.alerts(args)
        if finished or alerts or (run.done and (shown is None or now - shown >= args.every)):
            print(run.line(0 if args.once or first_row is None else now - first_row, run.planned()), flush=True)
            shown = now
        if not (alerts or finished) and now - last_news > args.stall:
            what = "no new row" if run.done or run.failed else f"{args.rollouts} has no row"
            alerts = [f"{what} for {args.stall:g} s"]
        for alert in alerts:
            print(f"ALERT: {alert}", flush=True)
        if alerts:
            return 1
        if finished:
            print(f"{'seen' if args.once else 'finished'}: {run.done} rollouts, {run.failed} failed attempts, no alert")
            return 0
        time.sleep(min(args.every, 0.5))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rollouts", type=Path, metavar="ROLLOUTS.jsonl", help="what gym eval run writes with -o; need not exist yet")
    parser.add_argument("--once", action="store_true", help="look once instead of following, for a cron job")
    parser.add_argument("--every", type=float, default=10, help="seconds between lines (default: %(default)s)")
    parser.add_argument("--stall", type=float, default=600, help="alert after this many seconds without a new row (default: %(default)s)")
    for name, what in (("failed", "attempts that failed"), ("cut", "replies cut off"), ("empty", "empty replies"), ("masked", "masked rollouts")):
        parser.add_argument(f"--max-{name}", type=float, metavar="SHARE", help=f"alert above this share of {what}")
    parser.add_argument("--min-reward", type=float, metavar="REWARD", help="alert below this mean reward")
    parser.add_argument("--success", type=float, default=1.0, help="reward from which a rollout is a success (default: %(default)s)")
    args = parser.parse_args(argv)
    if args.every <= 0 or args.stall <= 0:
        parser.error("--every and --stall must be above 0")
    for name in ("failed", "cut", "empty", "masked"):
        limit = getattr(args, f"max_{name}")
        if limit is not None and not 0 <= limit <= 1:
            parser.error(f"--max-{name} must be between 0 and 1")
    try:
        return watch(args)
    except BadInput as error:
        print(f"watch_run.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
