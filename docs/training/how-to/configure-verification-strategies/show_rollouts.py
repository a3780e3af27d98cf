"""Print rollouts to read them: what was asked last, what was answered, and the reward.

    python show_rollouts.py ROLLOUTS.jsonl [--reward 0] [--limit 20] [--field expected_answer ...]

Where there are more than --limit, it draws them at random, the same ones each time. Exit code: 0 done, 1 no rollout has this
reward, 2 bad input.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path

from rollouts import REPEAT, TASK, BadInput, Rollouts, prompt_of, said, text_in
from what_landed import place_of, readable


def asked(row: dict) -> str:
    """The last user message; examples and instructions that come before it are left out."""
    texts = [text_in(item.get("content")) for item in prompt_of(row) if isinstance(item, dict) and item.get("role") == "user"]
    return texts[-1] if texts else ""


def answered(row: dict) -> str:
    """The texts of the model, then its calls."""
    found = said(row)
    return "\n".join([*(f"{call.name}({call.arguments})" for call in found.calls), *found.texts])


def show(row: dict, fields: list[str]) -> str:
    named = {"asked": asked(row), "answered": answered(row), **{field: json.dumps(row.get(field), ensure_ascii=False) for field in fields}}
    shown = [f"--- task {row.get(TASK)}, rollout {row.get(REPEAT)}: {place_of(row)}"]
    return "\n".join(shown + [f"{name}: {readable(text)}" for name, text in named.items()])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rollouts", type=Path, metavar="ROLLOUTS.jsonl", help="what gym eval run wrote with -o")
    parser.add_argument("--reward", type=float, help="only rollouts with this reward (default: all)")
    parser.add_argument("--limit", type=int, default=20, help="how many at most (default: 20)")
    parser.add_argument("--field", action="append", default=[], help="print this field of the rollout as well; may be repeated")
    args = parser.parse_args(argv)
    sys.stdout.reconfigure(errors="backslashreplace")  # half of a surrogate pair, which a model may write
    if args.limit < 1:
        parser.error("--limit: at least 1")
    run, chance, kept, matched = Rollouts(args.rollouts), random.Random(0), [], 0
    try:
        for _, _, _, row in run:
            reward = row.get("reward")  # a row without a reward is no zero
            if args.reward is not None and not (type(reward) in (int, float) and args.reward - 1e-6 < reward < args.reward + 1e-6):
                continue
            matched += 1
            if len(kept) < args.limit:
                kept.append((matched, row))
            elif (place := chance.randrange(matched)) < args.limit:
                kept[place] = matched, row
    except BadInput as error:
        print(f"show_rollouts.py: {error}", file=sys.stderr)
        return 2
    for _, row in sorted(kept, key=lambda entry: entry[0]):
        print(show(row, args.field))
    print(f"{len(kept)} shown, of {matched} {'' if args.reward is None else f'with reward {args.reward:g} '}among {run.count} rollouts")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
