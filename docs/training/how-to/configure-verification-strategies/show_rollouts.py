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

from what_landed import BadInput, place_of, rows_of


def text_of(content: object) -> str:
    """The text of a message, whose content is a string or a list of parts."""
    if isinstance(content, list):
        return " ".join(str(part.get("text", f"[{part.get('type')}]")) for part in content if isinstance(part, dict))
    return "" if content is None else str(content)


def asked(row: dict) -> str:
    """The last user message; examples and instructions that come before it are left out."""
    messages = (row.get("responses_create_params") or {}).get("input") or ""
    if isinstance(messages, str):
        return messages
    said = [text_of(item.get("content")) for item in messages if isinstance(item, dict) and item.get("role") == "user"]
    return said[-1] if said else ""


def answered(row: dict) -> str:
    """Messages and tool calls of the response, in order."""
    parts = []
    for item in (row.get("response") or {}).get("output") or []:
        if item.get("type") == "message":
            parts.append(text_of(item.get("content")))
        elif item.get("type") == "function_call":
            parts.append(f"{item.get('name')}({item.get('arguments')})")
    return "\n".join(parts)


def show(row: dict, fields: list[str]) -> str:
    named = {"asked": asked(row), "answered": answered(row), **{field: json.dumps(row.get(field), ensure_ascii=False) for field in fields}}
    lines = [f"--- task {row.get('_ng_task_index')}, rollout {row.get('_ng_rollout_index')}: {place_of(row)}"]
    return "\n".join(lines + [f"{name}: {text}" for name, text in named.items()])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rollouts", type=Path, metavar="ROLLOUTS.jsonl", help="what gym eval run wrote with -o")
    parser.add_argument("--reward", type=float, help="only rollouts with this reward (default: all)")
    parser.add_argument("--limit", type=int, default=20, help="how many at most (default: 20)")
    parser.add_argument("--field", action="append", default=[], help="print this field of the rollout as well; may be repeated")
    args = parser.parse_args(argv)
    if args.limit < 1:
        parser.error("--limit: at least 1")
    try:
        rows = [row for _, row in rows_of(args.rollouts)]
        if not rows:
            raise BadInput(f"{args.rollouts} holds no rollouts.")
    except BadInput as error:
        print(f"show_rollouts.py: {error}", file=sys.stderr)
        return 2
    # A row without a reward is no zero.
    chosen = [row for row in rows if args.reward is None or (isinstance(row.get("reward"), (int, float)) and abs(row["reward"] - args.reward) < 1e-6)]
    drawn = sorted(random.Random(0).sample(range(len(chosen)), min(args.limit, len(chosen))))
    for number in drawn:
        print(show(chosen[number], args.field))
    print(f"{len(drawn)} shown, of {len(chosen)} {'' if args.reward is None else f'with reward {args.reward:g} '}among {len(rows)} rollouts")
    return 0 if drawn else 1


if __name__ == "__main__":
    sys.exit(main())
