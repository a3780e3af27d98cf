"""What the commands of `make_training_sets.py` share."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable

from rollout_to_chat import task_fields
from rollouts import TASK, BadInput, Rollouts, brief, field_of, group_of, lines, task_of


def fail(message: str) -> int:
    print(f"make_training_sets.py: {message}", file=sys.stderr)
    return 1


def listed(run: Rollouts, reasons: Counter) -> str:
    """What was left out of a file, one reason a line."""
    reasons = reasons + Counter(run.others.values())
    notes = [note for note in run.notes() if "left out" not in note]
    return "".join(f"{note}\n" for note in notes) + "".join(f"  {count} left out: {reason}\n" for reason, count in reasons.most_common())


def is_number(value) -> bool:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def group_reader(args) -> Callable[[dict], str]:
    """A function that names the group of a rollout: the values of --by; `difficulty` comes from --profile."""
    sources = {}
    for field in args.by:
        if field == "difficulty":
            if not args.profile:
                raise BadInput("--by difficulty needs --profile *_reward_profiling.jsonl")
            sources[field] = {}
            for number, _, _, row in lines(args.profile):
                if not is_number(row.get("mean/reward")):
                    raise BadInput(f"{args.profile}:{number}: no mean/reward. Give the *_reward_profiling.jsonl of gym eval profile")
                sources[field][str(row.get(TASK))] = next(name for name, bound in (("easy", 0.7), ("medium", 0.3), ("hard", -math.inf)) if row["mean/reward"] >= bound - 1e-9)
        elif args.profile:
            sources[field] = task_fields(args.profile, field)

    def value(row: dict, field: str):
        if field in sources:
            return sources[field].get(str(task_of(row)))
        return group_of(row) if field == "task_source" else field_of(row, field)

    return lambda row: "/".join(brief(value(row, field)) for field in args.by)
