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

from rollout_filters import Tasks
from rollouts import (
    REPEAT, BadInput, Rollouts, Seen, answer_key, brief, cut_off, field_of, group_of, said, task_of, tokens_of, unanswered, unmeasured, writing,
)
from rollout_to_chat import task_fields

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


def measure(path: Path, by: str | None, fields: dict | None, success: float) -> dict:
    """Counts of one file, by group. Holds counts and some 150 bytes per task, no rollout."""
    groups = defaultdict(lambda: {"rewards": Counter(), "tokens": Counter(), "cut": 0, "longest": []})
    run, seen, tasks = Rollouts(path), Seen(path), Tasks()
    # Of each task: its number, its group, eight bytes of each of its answers, how many were not cut off.
    labels, names, answers, uncut = [], [], [], []
    skipped, models = Counter(), Counter()
    for line, _, _, row in run:
        task, why = seen.add(line, row), unmeasured(row)
        tasks.add(task, None if why else row["reward"], success)
        if task == len(names):
            labels.append(task_of(row))
            value = fields.get(str(labels[-1])) if fields is not None else field_of(row, by) if by else group_of(row)
            names.append(brief(value))
            answers.append(b"")
            uncut.append(0)
        if why:
            skipped[why] += 1
            continue
        models[str(row["response"].get("model"))] += 1
        group, tokens, cut = groups[names[task]], tokens_of(row), cut_off(row) is not None
        group["rewards"][round(row["reward"], 4)] += 1
        group["cut"] += cut
        uncut[task] += not cut
        if tokens is not None:
            group["tokens"][tokens] += 1
            if len(group["longest"]) < 5 or tokens > -group["longest"][-1][0]:
                group["longest"] = sorted([*group["longest"], (-tokens, line, labels[task], row.get(REPEAT))])[:5]
        key = (0 if unanswered(row) else answer_key(said(row))).to_bytes(8, "big", signed=True)
        own = answers[task]
        if all(own[at:at + 8] != key for at in range(0, len(own), 8)):
            answers[task] = own + key
    described = {}
    order = sorted((task for task in range(len(names)) if tasks.rollouts[task]), key=lambda task: (isinstance(labels[task], str), labels[task]))
    for name, group in sorted(groups.items()):
        own = [task for task in order if names[task] == name]
        limit = fence(group["tokens"]) if group["tokens"] else None
        described[name] = {
            "rewards": sorted(group["rewards"].items()),
            "tokens": sorted(group["tokens"].items()),
            "cut_off": group["cut"],
            "fence": limit,
            "outliers": [(task, repeat, -tokens) for tokens, _, task, repeat in group["longest"] if -tokens > (limit or 0)],
            "pass_rates": [round(tasks.passed[task] / tasks.rollouts[task], 4) for task in own],
            "rollouts": [tasks.rollouts[task] for task in own],
            "equal": sum(tasks.low[task] == tasks.high[task] for task in own),
            "distinct": [len(answers[task]) // 8 for task in own],
        }
    idle = defaultdict(list)
    for task in order:
        if why := teaches_nothing(tasks, task, len(answers[task]) // 8, uncut[task]):
            idle[why].append(labels[task])
    for task in range(len(names)):
        if not tasks.rollouts[task]:
            idle["no rollout with a valid reward"].append(labels[task])
    model = max(models, key=models.get, default=None)
    return {"model": model, "tasks": len(order), "by": by or "task_source", "skipped": dict(skipped), "groups": described,
            "teach_nothing": {why: idle[why] for why in sorted(idle, key=lambda why: -len(idle[why]))}, "notes": run.notes()}


def teaches_nothing(tasks: Tasks, task: int, answers: int, uncut: int) -> str | None:
    """Why GRPO gets no gradient and DPO no pair from a task, or None."""
    if tasks.rollouts[task] == 1:
        return "only one rollout"
    if tasks.low[task] == tasks.high[task]:
        return f"every rollout got {tasks.low[task]:g}"
    if answers == 1:
        return "the same answer got different rewards: look at the verifier"
    return None if uncut else "every rollout is cut off"


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
    lines = [f"{data['by']:<{width}}  tasks  rollouts  mean  never  some  always  unique  p50 p95 max cut"]
    for name, group in data["groups"].items():
        rollouts, tokens = sum(group["rollouts"]), Counter(dict(group["tokens"]))
        solved = Counter(map(kind, group["pass_rates"]))
        mean = sum(float(reward) * n for reward, n in group["rewards"]) / rollouts
        lengths = [quantile(tokens, share) for share in (0.5, 0.95, 1)] if tokens else ["-"] * 3
        lines.append(
            f"{name:<{width}}{len(group['rollouts']):>7}{rollouts:>10}{mean:>6.2f}{solved[NEVER]:>7}{solved[SOMETIMES]:>6}{solved[ALWAYS]:>8}"
            f"{sum(group['distinct']) / rollouts:>8.0%}  {lengths[0]:>3} {lengths[1]:>3} {lengths[2]:>3} {group['cut_off']:>3}"
        )
    return lines


def outliers(data: dict) -> list[str]:
    lines = []
    for name, group in data["groups"].items():
        beyond = sum(n for tokens, n in group["tokens"] if tokens > group["fence"]) if group["tokens"] else 0
        if beyond:
            some = ", ".join(f"{task}-{repeat} ({tokens})" for task, repeat, tokens in group["outliers"][:3])
            lines.append(f"{name}: {beyond} longer than {group['fence']:g} tokens, the longest: {some}")
    return lines


def idle(data: dict) -> list[str]:
    """The tasks that teach nothing, with why."""
    found, total = data["teach_nothing"], sum(map(len, data["teach_nothing"].values()))
    lines = [f"tasks that teach nothing to GRPO and DPO: {total} of {data['tasks'] + len(found.get('no rollout with a valid reward', ()))}"]
    for why, tasks in found.items():
        some = ", ".join(map(str, tasks[:8])) + (f" and {len(tasks) - 8} more (-o lists all)" if len(tasks) > 8 else "")
        lines.append(f"  {why}: {len(tasks)} tasks: {some}")
    return lines


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rollouts", type=Path, metavar="ROLLOUTS.jsonl", help="what gym eval run wrote with -o")
    parser.add_argument("--by", metavar="FIELD", help="group by this field, such as metadata.family (default: task_source, else the agent)")
    parser.add_argument("--tasks", type=Path, metavar="INPUTS.jsonl", help="take the field from *_materialized_inputs.jsonl or *_reward_profiling.jsonl")
    parser.add_argument("--success", type=float, default=1.0, metavar="R", help="a rollout with this reward passed (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path, metavar="DATA.json", help="write the distributions, to draw or to compare")
    args = parser.parse_args(argv)
    try:
        fields = task_fields(args.tasks, args.by or "task_source") if args.tasks else None
        data = measure(args.rollouts, args.by, fields, args.success)
        if not data["groups"]:
            said = ", ".join(f"{count} {reason}" for reason, count in data["skipped"].items())
            print(f"describe_rollouts.py: no rollout of {args.rollouts} has a valid reward: {said}", file=sys.stderr)
            return 1
        print("".join(f"{note}\n" for note in data.pop("notes")), end="")
        if data["skipped"]:
            print(f"left out: {', '.join(f'{count} {reason}' for reason, count in data['skipped'].items())}")
        print("\n".join(table(data) + outliers(data)))
        print(f"tasks whose rollouts all got the same reward: {sum(g['equal'] for g in data['groups'].values())} of {sum(len(g['rollouts']) for g in data['groups'].values())}")
        print("\n".join(idle(data)))
        if args.output:
            with writing(args.output, "w", [args.rollouts, args.tasks]) as out:
                json.dump({**about(), **data}, out)
                out.write("\n")
            print(f"Wrote {args.output}")
    except BadInput as error:
        print(f"describe_rollouts.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
