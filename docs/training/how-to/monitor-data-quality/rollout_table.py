"""Turn rollouts into a flat table, one row each, for a table viewer: verdict, reward, lengths, question, answer.

    python rollout_table.py results/baseline/rollouts.jsonl -o rollouts.db [--where reward=0] [--sample 50 --seed 0]

FILE.db is an SQLite database with the table `rollouts`, FILE.csv a text table. The health verdicts are joined where `gym eval health-check` has written them. The columns after `findings` are those of the
rollout: what was asked last, what was answered, which tools were called, what the verifier expected.
Exit code: 0 done, 1 no row is left, 2 bad input.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

from run_quality import REPEAT, TASK, BadInput, group_of, health_of, look, rows_of, said

COLUMNS = (
    "task", "repeat", "environment", "reward", "masked", "verdict", "findings", "output_tokens", "cut", "calls", "question",
    "answer", "tool_calls", "expected",
)
NUMBERS = {"task", "repeat", "reward", "masked", "output_tokens", "cut", "calls"}


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
        "task": row.get(TASK), "repeat": row.get(REPEAT), "environment": group_of(row, None), "reward": row.get("reward"),
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


def chosen(args: argparse.Namespace) -> Iterator[dict]:
    """The rows that hold all conditions: as they come, or a sample of them."""
    verdicts, _ = health_of(args.rollouts)
    chance, kept, matched = random.Random(args.seed), [], 0
    for row in rows_of(args.rollouts):
        if TASK not in row:
            raise BadInput(f"{args.rollouts} holds a row that is no rollout. Give the file that gym eval run wrote.")
        entry = flat(row, verdicts)
        if not all(holds(entry, *wanted) for wanted in args.where):
            continue
        matched += 1
        if args.sample is None:
            yield entry
        elif len(kept) < args.sample:
            kept.append(entry)
        elif (place := chance.randrange(matched)) < args.sample:
            kept[place] = entry
    yield from kept


def write_csv(rows: Iterator[dict], path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for count, row in enumerate(rows, 1):
            writer.writerow(row)
    return count


def write_database(rows: Iterator[dict], path: Path) -> int:
    path.unlink(missing_ok=True)
    database = sqlite3.connect(path)
    try:
        # Typed, so that a viewer compares numbers as numbers.
        columns = ", ".join(f"{name} {'numeric' if name in NUMBERS else 'text'}" for name in COLUMNS)
        database.execute(f"create table rollouts ({columns})")
        marks = ", ".join("?" * len(COLUMNS))
        values = (tuple(row[column] for column in COLUMNS) for row in rows)
        count = database.executemany(f"insert into rollouts values ({marks})", values).rowcount
        database.commit()
    finally:
        database.close()
    return max(count, 0)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rollouts", type=Path, metavar="ROLLOUTS.jsonl", help="what gym eval run wrote with -o")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="FILE.db or FILE.csv")
    parser.add_argument("--where", type=condition, action="append", default=[], metavar="COLUMN=VALUE", help="keep only these rows; may be repeated")
    parser.add_argument("--sample", type=int, metavar="N", help="keep N rows, chosen at random")
    parser.add_argument("--seed", type=int, default=0, help="for --sample (default: %(default)s)")
    args = parser.parse_args(argv)
    if args.sample is not None and args.sample < 1:
        parser.error("--sample must be 1 or more")
    if args.output.suffix not in (".db", ".csv"):
        parser.error("-o must end in .db or .csv")
    if not args.output.parent.is_dir():
        parser.error(f"no folder for {args.output}. Create it first")
    partial = args.output.with_name(f".{args.output.name}.part")
    try:
        count = (write_database if args.output.suffix == ".db" else write_csv)(chosen(args), partial)
        if count:
            partial.replace(args.output)
    except BadInput as error:
        print(f"rollout_table.py: {error}", file=sys.stderr)
        return 2
    except (OSError, sqlite3.Error) as error:
        print(f"rollout_table.py: Cannot write {args.output}: {error}.", file=sys.stderr)
        return 2
    finally:
        partial.unlink(missing_ok=True)
    if not count:
        print(f"{args.rollouts}: no row is left. Loosen --where.", file=sys.stderr)
        return 1
    print(f"{args.output}: {count} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
