"""Turn rollouts into a flat table, one row each, for a table viewer: verdict, reward, lengths, question, answer.

    python rollout_table.py results/baseline/rollouts.jsonl -o rollouts.csv [--where reward=0] [--sample 50 --seed 0]

The health verdicts are joined where `gym eval health-check` has written them. The columns after `findings` are those of the
rollout: what was asked last, what was answered, which tools were called, what the verifier expected.
Exit code: 0 done, 1 no row is left, 2 bad input.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import sys
from pathlib import Path

from run_quality import REPEAT, TASK, BadInput, group_of, health_of, look, rows_of, said, write

COLUMNS = (
    "task", "repeat", "group", "reward", "masked", "verdict", "findings", "output_tokens", "cut", "calls", "question",
    "answer", "tool_calls", "expected",
)


def last_question(row: dict) -> str:
    """The last thing that was asked."""
    asked = (row.get("responses_create_params") or {}).get("input")
    if isinstance(asked, str):
        return asked
    for item in reversed(asked or []):
        content = item.get("content")
        if item.get("role") == "user" and content:
            return content if isinstance(content, str) else "".join(str(part.get("text") or "") for part in content)
    return ""


def flat(row: dict, verdicts: dict) -> dict:
    numbers, (text, calls) = look(row), said(row.get("response") or {})
    verdict = verdicts.get((row.get(TASK), row.get(REPEAT))) or {}
    expected = next((row[key] for key in ("expected_answer", "expected_answers", "ground_truth", "answer") if key in row), "")
    return {
        "task": row.get(TASK), "repeat": row.get(REPEAT), "group": group_of(row, None), "reward": row.get("reward"),
        "masked": int(numbers["masked_share"]), "verdict": verdict.get("verdict", ""),
        "findings": " ".join(finding["check"] for finding in verdict.get("findings") or []),
        "output_tokens": numbers["output_tokens"], "cut": int(numbers["cut_share"]), "calls": len(calls),
        "question": last_question(row), "answer": text,
        "tool_calls": " ".join(f"{name}({arguments})" for name, arguments in calls),
        "expected": expected if isinstance(expected, str) else json.dumps(expected),
    }


def condition(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not equals or column not in COLUMNS:
        raise argparse.ArgumentTypeError(f"must look like COLUMN=VALUE, with one of {', '.join(COLUMNS)}")
    return column, value


def holds(row: dict, column: str, value: str) -> bool:
    try:
        return float(row[column]) == float(value)
    except (TypeError, ValueError):
        return value in str(row[column]).split() or value == str(row[column])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rollouts", type=Path, metavar="ROLLOUTS.jsonl", help="what gym eval run wrote with -o")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.csv")
    parser.add_argument("--where", type=condition, action="append", default=[], metavar="COLUMN=VALUE", help="keep only these rows; may be repeated")
    parser.add_argument("--sample", type=int, metavar="N", help="keep N rows, chosen at random")
    parser.add_argument("--seed", type=int, default=0, help="for --sample (default: %(default)s)")
    args = parser.parse_args(argv)
    if args.sample is not None and args.sample < 1:
        parser.error("--sample must be 1 or more")
    chance, kept, matched = random.Random(args.seed), [], 0
    try:
        verdicts, _ = health_of(args.rollouts)
        for row in rows_of(args.rollouts):
            if TASK not in row:
                raise BadInput(f"{args.rollouts} holds a row that is no rollout. Give the file that gym eval run wrote.")
            entry = flat(row, verdicts)
            if not all(holds(entry, *wanted) for wanted in args.where):
                continue
            matched += 1
            if args.sample is None or len(kept) < args.sample:
                kept.append(entry)
            elif (place := chance.randrange(matched)) < args.sample:
                kept[place] = entry
        if not kept:
            print(f"{args.rollouts}: no row is left. Loosen --where.", file=sys.stderr)
            return 1
        kept.sort(key=lambda entry: (str(entry["task"]).zfill(9), str(entry["repeat"]).zfill(9)))
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
        write(args.output, text.getvalue())
    except BadInput as error:
        print(f"rollout_table.py: {error}", file=sys.stderr)
        return 2
    print(f"{args.output}: {len(kept)} of {matched} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
