"""Show how rewards, lengths and pass rates of rollouts are distributed, and name the outliers.

    python describe_rollouts.py ROLLOUTS.jsonl [--by FIELD [--tasks INPUTS.jsonl]] [-o DATA.json]

`plot_distributions.py` draws what -o writes. Standard library only. Exit code: 0 done, 1 no rollout has a valid reward, 2 bad input.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import sys
from collections import Counter, defaultdict
from pathlib import Path

from rollout_to_chat import BadInput, NoChat, answer_of, convert, cut_off, field_of, read_rollouts, task_fields, tokens_of, writing

NEVER, SOMETIMES, ALWAYS = "never solved", "sometimes", "always solved"


def quantile(counts: Counter, share: float) -> float:
    """A quantile of counted values: the smallest one that at least this share reaches."""
    left = share * counts.total()
    for value in sorted(counts):
        left -= counts[value]
        if left <= 1e-9:
            return value
    return max(counts)


def fence(tokens: Counter) -> float:
    """Above it a length is an outlier: third quartile plus one and a half times the distance of the quartiles (Tukey)."""
    first, third = quantile(tokens, 0.25), quantile(tokens, 0.75)
    return third + 1.5 * (third - first)


def measure(path: Path, by: str, fields: dict | None, success: float) -> dict:
    """Counts of one file, by group. Holds counts and one number pair per task, no rollout."""
    groups = defaultdict(lambda: {"rewards": Counter(), "tokens": Counter(), "cut": 0, "longest": []})
    tasks = defaultdict(lambda: {"group": None, "rewards": Counter(), "answers": set()})
    skipped, models = Counter(), Counter()
    for _, row in read_rollouts(path):
        if row.get("mask_sample"):
            skipped["masked"] += 1
            continue
        models[row["response"].get("model")] += 1
        index, tokens = row["_ng_task_index"], tokens_of(row)
        name = str(fields.get(index) if fields is not None else field_of(row, by))
        group, task = groups[name], tasks[index]
        group["rewards"][round(row["reward"], 4)] += 1
        task["group"] = name
        task["rewards"][row["reward"]] += 1
        group["cut"] += cut_off(row) is not None
        if tokens is not None:
            group["tokens"][tokens] += 1
            group["longest"] = sorted([*group["longest"], (-tokens, index, row.get("_ng_rollout_index"))])[:5]
        try:
            task["answers"].add(hash(answer_of(convert(row)[1])))
        except NoChat:
            task["answers"].add(None)
    described = {}
    for name, group in sorted(groups.items()):
        own = [task for _, task in sorted(tasks.items()) if task["group"] == name]
        limit = fence(group["tokens"]) if group["tokens"] else None
        described[name] = {
            "rewards": sorted(group["rewards"].items()),
            "tokens": sorted(group["tokens"].items()),
            "cut_off": group["cut"],
            "fence": limit,
            "outliers": [(task, repeat, -tokens) for tokens, task, repeat in group["longest"] if -tokens > (limit or 0)],
            "pass_rates": [round(sum(n for r, n in t["rewards"].items() if r >= success) / t["rewards"].total(), 4) for t in own],
            "rollouts": [t["rewards"].total() for t in own],
            "equal": sum(len(t["rewards"]) == 1 for t in own),
            "distinct": [len(t["answers"]) for t in own],
        }
    model = max(models, key=models.get, default=None)
    return {"model": model, "tasks": len(tasks), "by": by, "skipped": dict(skipped), "groups": described}


def about() -> dict:
    """Where and when, for the file."""
    try:
        release = f"nemo-gym {importlib.metadata.version('nemo-gym')}"
    except importlib.metadata.PackageNotFoundError:
        release = None
    return {"release": release, "date": datetime.date.today().isoformat(), "hardware": f"{hardware()}, {os.cpu_count()} cores"}


def hardware() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def kind(rate: float) -> str:
    return NEVER if rate == 0 else ALWAYS if rate == 1 else SOMETIMES


def table(data: dict) -> list[str]:
    width = max(len(name) for name in (*data["groups"], data["by"]))
    lines = [f"{data['by']:<{width}}  tasks  rollouts  reward  {NEVER}  {SOMETIMES}  {ALWAYS}  distinct  p50  p95  max  cut off"]
    for name, group in data["groups"].items():
        rollouts, tokens = sum(group["rollouts"]), Counter(dict(group["tokens"]))
        solved = Counter(map(kind, group["pass_rates"]))
        mean = sum(reward * n for reward, n in group["rewards"]) / rollouts
        lengths = [quantile(tokens, share) for share in (0.5, 0.95, 1)] if tokens else ["-"] * 3
        lines.append(
            f"{name:<{width}}{len(group['rollouts']):>7}{rollouts:>10}{mean:>8.2f}{solved[NEVER]:>14}{solved[SOMETIMES]:>11}{solved[ALWAYS]:>15}"
            f"{sum(group['distinct']) / rollouts:>10.0%}{lengths[0]:>5}{lengths[1]:>5}{lengths[2]:>5}{group['cut_off']:>9}"
        )
    return lines


def outliers(data: dict) -> list[str]:
    lines = []
    for name, group in data["groups"].items():
        beyond = sum(n for tokens, n in group["tokens"] if tokens > group["fence"]) if group["tokens"] else 0
        if beyond:
            some = ", ".join(f"{task}-{repeat} ({tokens})" for task, repeat, tokens in group["outliers"])
            lines.append(f"{name}: {beyond} longer than {group['fence']:g} tokens, the longest: {some}")
    return lines


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rollouts", type=Path, metavar="ROLLOUTS.jsonl", help="what gym eval run wrote with -o")
    parser.add_argument("--by", default="task_source", metavar="FIELD", help="group by this field, such as metadata.family (default: %(default)s)")
    parser.add_argument("--tasks", type=Path, metavar="INPUTS.jsonl", help="take the field from *_materialized_inputs.jsonl or *_reward_profiling.jsonl")
    parser.add_argument("--success", type=float, default=1.0, metavar="R", help="a rollout with this reward passed (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path, metavar="DATA.json", help="write the distributions, to draw or to compare")
    args = parser.parse_args(argv)
    try:
        fields = task_fields(args.tasks, args.by) if args.tasks else None
        data = measure(args.rollouts, args.by, fields, args.success)
        if not data["groups"]:
            print(f"describe_rollouts.py: every rollout of {args.rollouts} is masked", file=sys.stderr)
            return 1
        if data["skipped"]:
            print(f"left out: {', '.join(f'{count} {reason}' for reason, count in data['skipped'].items())}")
        print("\n".join(table(data) + outliers(data)))
        print(f"tasks whose rollouts all got the same reward: {sum(g['equal'] for g in data['groups'].values())} of {sum(len(g['rollouts']) for g in data['groups'].values())}")
        if args.output:
            with writing(args.output) as out:
                json.dump({**about(), **data}, out)
                out.write("\n")
            print(f"Wrote {args.output}")
    except BadInput as error:
        print(f"describe_rollouts.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
