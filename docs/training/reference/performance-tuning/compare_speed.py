"""Say whether a change made collection faster: two measurements of find_knee.py, with a confidence interval.

    python compare_speed.py baseline.json candidate.json [--confidence 0.95] [--least 5]

For each concurrency that both measured: the change of rollouts per minute in percent, and the interval that holds the true change
with the given confidence (Welch's t, over the rounds). Faster counts if the whole interval lies above 0 and the change is at least
--least percent. Levels with failures are left out. Needs scipy, which comes with NeMo Gym. Exit code: 0 faster at its best level, 1 slower or no proof, 2 bad input.
"""

import argparse
import json
import sys
from pathlib import Path

from scipy import stats


class BadInput(Exception):
    """Something the reader can put right; shown as one line."""


def rates(path: Path) -> dict[int, list[float]]:
    """The rounds of each level."""
    try:
        return {level["concurrency"]: level["rates"] for level in json.loads(path.read_text(encoding="utf-8"))["levels"] if not level.get("failures")}
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise BadInput(f"{path} is no measurement of find_knee.py") from None


def change(before: list[float], after: list[float], confidence: float) -> tuple[float, float, float]:
    """Percent by which the mean changed, and the ends of the interval."""
    base = sum(before) / len(before)
    if min(len(before), len(after)) < 2 or base <= 0:
        raise BadInput("each level needs two rounds or more that finished: measure with --rounds 3")
    if len(set(before)) == len(set(after)) == 1:  # no spread to estimate from
        exact = 100 * (after[0] / base - 1)
        return exact, exact, exact
    interval = stats.ttest_ind(after, before, equal_var=False).confidence_interval(confidence)
    return 100 * (sum(after) / len(after) / base - 1), 100 * interval.low / base, 100 * interval.high / base


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("baseline", type=Path, help="measurement before the change")
    parser.add_argument("candidate", type=Path, help="measurement after it")
    parser.add_argument("--confidence", type=float, default=0.95, metavar="P", help="of the interval (default: %(default)s)")
    parser.add_argument("--least", type=float, default=5, metavar="PERCENT", help="smaller gains do not count (default: %(default)s)")
    args = parser.parse_args()
    if not 0 < args.confidence < 1:
        parser.error("--confidence must be above 0 and below 1")
    try:
        before, after = rates(args.baseline), rates(args.candidate)
        common = sorted(before.keys() & after.keys())
        if not common:
            raise BadInput("the two measurements have no level in common that is without failures: measure the same --levels")
        print(f"concurrency    before     after   change   {args.confidence:.0%} interval")
        found = {}
        for level in common:
            percent, low, high = found[level] = change(before[level], after[level], args.confidence)
            means = (sum(its) / len(its) for its in (before[level], after[level]))
            print("".join([f"{level:>11}", *(f"{mean:>10.0f}" for mean in means), f"{percent:>+8.0f}%   {low:+.0f}% to {high:+.0f}%"]))
    except BadInput as error:
        print(f"compare_speed.py: {error}", file=sys.stderr)
        return 2
    best = max(common, key=lambda level: sum(after[level]) / len(after[level]))
    percent, low, high = found[best]
    if low > 0 and percent >= args.least:
        print(f"Faster at --concurrency {best}.")
        return 0
    print(f"Slower at --concurrency {best}." if high < 0 else f"No proof of a gain at --concurrency {best}: more --rounds and --rollouts narrow the interval.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
