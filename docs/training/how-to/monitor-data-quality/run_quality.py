"""Measure the quality of one run: rewards, lengths, tool use, losses, health, and what speaks against the rewards.

    python run_quality.py results/baseline/rollouts.jsonl [--by FIELD] [--json quality.json]

Reads the rollouts and, where they lie beside them, the materialized inputs (the plan), the failures sidecar, the aggregate
metrics, quality_summary.json and rollout_verdicts.jsonl. What is not there is unknown, not zero.
The standard error (+-) comes from how the repeats of each task differ, so it is the noise of running the same tasks again.
Exit code: 0 done, 2 bad input.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from measuring import METRICS, BadInput, measure
from rollouts import writing


def cell(metric: dict | None) -> str:
    if metric is None:
        return "-"
    digits = 1 if abs(metric["value"]) >= 10 else 3
    return f"{metric['value']:.{digits}f} +-{metric['se']:.{digits}f}" if metric["se"] else f"{metric['value']:.{digits}f}"


def table(quality: dict) -> str:
    """All metrics, for the run and for each group."""
    groups = quality["groups"] if len(quality["groups"]) > 1 else {}
    width = max(16, *(len(name) + 2 for name in groups)) if groups else 16
    lines = [f"{'metric':<20}{'all':<16}" + "".join(f"{name:<{width}}" for name in groups)]
    for name in METRICS:
        if name in quality["metrics"]:
            cells = "".join(f"{cell(metrics.get(name)):<{width}}" for metrics in groups.values())
            lines.append(f"{name:<20}{cell(quality['metrics'][name]):<16}{cells}")
    return "\n".join(line.rstrip() for line in lines)


def intervals(quality: dict) -> str:
    """The mean reward with its 95 % intervals: each rollout counting once, and each task."""
    lines = [f"{'mean reward':<20}{'value':<16}{'these tasks, 95 %':<20}tasks like these, 95 %"]
    for name, found in quality["intervals"].items():
        same, other = ("-" if pair is None else f"[{pair[0]:.3f}, {pair[1]:.3f}]" for pair in (found["same"], found["other"]))
        same, other = same if found["same"] else "needs repeats", other if found["other"] else "needs 20 tasks"
        lines.append(f"{name:<20}{found['value']:<16.3f}{same:<20}{other}")
    return "\n".join(lines)


def headline(quality: dict) -> str:
    lost = "".join(f", {count} failed attempts ({name})" for name, count in quality["failures"].items())
    of = f"{quality['scored']} of {quality['planned']} planned rollouts scored"
    if quality["planned"] is None:
        of = f"{quality['scored']} rollouts scored; how many were planned is unknown"
    return f"{of}, {quality['tasks']} tasks{lost}"


def write(path: Path, text: str, *inputs: Path) -> None:
    """Write a file in one go: whoever reads it sees the old one or the new one. None of the ``inputs`` is overwritten."""
    if not path.parent.is_dir():
        raise BadInput(f"no folder for {path}. Create it first.")
    with writing(path, "w", inputs) as out:
        out.write(text)


def main(argv: list[str] | None = None) -> int:
    meaning = "\n".join(f"  {name:<20}{text}" for name, text in METRICS.items())
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f"metrics:\n{meaning}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rollouts", type=Path, metavar="ROLLOUTS.jsonl", help="what gym eval run wrote with -o")
    parser.add_argument("--by", metavar="FIELD", help="group by this field of the rollouts, such as metadata.family (default: environment)")
    parser.add_argument("--success", type=float, default=1.0, help="reward from which a rollout is a success (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measurement to FILE too")
    args = parser.parse_args(argv)
    try:
        quality = measure(args.rollouts, args.by, args.success)
        if args.json:
            write(args.json, json.dumps(quality, indent=1) + "\n", args.rollouts)
    except BadInput as error:
        print(f"run_quality.py: {error}", file=sys.stderr)
        return 2
    print(headline(quality))
    print("rewards: " + (", ".join(f"{value} x {count}" for value, count in quality["rewards"].items()) or "none"))
    print(table(quality))
    if quality["intervals"]:
        print(intervals(quality))
    if quality["issues"]:
        print("health issues: " + ", ".join(f"{name} {count}" for name, count in quality["issues"].items()))
    for line in [*(f"doubt: {doubt}" for doubt in quality["doubts"]), *(f"note: {note}" for note in quality["notes"])]:
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
