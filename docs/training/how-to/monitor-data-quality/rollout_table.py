"""Turn rollouts into a flat table, one row each, for a table viewer: verdict, reward, doubts, lengths, question, answer.

    python rollout_table.py results/baseline/rollouts.jsonl -o rollouts.db [--where reward=0] [--sample 50 --seed 0]

FILE.db is an SQLite database with the table `rollouts`, FILE.csv a text table. The health verdicts are joined where
`gym eval health-check` has written them. `doubt` says what speaks against the row: a reward that its own fields contradict,
a tool call left in the text, a response.id that an earlier row has. What a model wrote arrives in a spreadsheet as text:
in FILE.csv an apostrophe stands before a cell that would be a formula.
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

from measuring import BadInput, Rollouts, health_of, key_of, look, named, prompt_of
from rollouts import as_cell, group_of, list_of, text_in

COLUMNS = (
    "task", "repeat", "environment", "reward", "masked", "verdict", "findings", "doubt", "output_tokens", "cut", "calls", "question",
    "answer", "tool_calls", "expected", "response_id",
)
NUMBERS = {"task", "repeat", "reward", "masked", "output_tokens", "cut", "calls"}
EXPECTED = ("expected_answer", "expected_answers", "ground_truth", "answer")


def last_question(row: dict) -> str:
    """The last thing that was asked."""
    for item in reversed(prompt_of(row)):
        if isinstance(item, dict) and item.get("role") == "user" and (text := text_in(item.get("content"))):
            return text
    return ""


def cell_of(value: object) -> object:
    """A value that SQLite and a CSV file can hold: numbers and texts as they are, all else as JSON."""
    if value is None or type(value) in (float, str) or (type(value) is int and abs(value) < 2**63):
        return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value  # no lone surrogates
    return json.dumps(value)


def flat(row: dict, verdicts: dict, ids: set[int] | None = None) -> dict:
    """The columns of one rollout. ``ids`` remembers the response ids of the rows before."""
    looked = look(row)
    _, text, calls, against = looked
    task, repeat = key_of(row)
    reward = row.get("reward") if type(row.get("reward")) in (int, float) and -1e308 < row["reward"] < 1e308 else None  # nothing else is one
    verdict, identity = verdicts.get(named(row), {}), row["response"].get("id")
    doubts = [f"contradicted: {against}"] if against else []
    doubts += ["call in text"] if looked.of("call_in_text_share") else []
    if ids is not None and isinstance(identity, str) and identity:
        doubts += ["response.id again"] if hash(identity) in ids else []
        ids.add(hash(identity))
    entry = {
        "task": task, "repeat": repeat, "environment": group_of(row) or "", "reward": reward, "masked": int(looked.of("masked_share")),
        "verdict": verdict.get("verdict", ""), "findings": " ".join(str(finding.get("check")) for finding in list_of(verdict, "findings")),
        "doubt": "; ".join(doubts), "output_tokens": looked.of("output_tokens"), "cut": int(looked.of("cut_share")), "calls": len(calls),
        "question": last_question(row), "answer": text,
        "tool_calls": " ".join(f"{name}({arguments})" for name, arguments in calls),
        "expected": next((row[key] for key in EXPECTED if key in row), ""), "response_id": identity,
    }
    return {name: cell_of(value) for name, value in entry.items()}


def condition(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not equals or column not in COLUMNS:
        raise argparse.ArgumentTypeError(f"must look like COLUMN=VALUE, with one of {', '.join(COLUMNS)}")
    return column, value


def holds(row: dict, column: str, value: str) -> bool:
    """Whether a cell is this number, this text, or has this word (of `doubt`: begins a doubt with it)."""
    try:
        return float(row[column]) == float(value)
    except (TypeError, ValueError):
        text = str(row[column])
        return value in text.replace(":", " ").split() or value == text


def chosen(args: argparse.Namespace) -> Iterator[dict]:
    """The rows that hold all conditions: as they come, or a sample of them."""
    verdicts, _ = health_of(args.rollouts)
    chance, kept, matched, ids, run = random.Random(args.seed), [], 0, set(), Rollouts(args.rollouts)
    for _, _, _, row in run:
        entry = flat(row, verdicts, ids)
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
    for note in run.notes():
        print(note, file=sys.stderr)


def write_csv(rows: Iterator[dict], path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)  # its line ends make it quote a carriage return as well
        writer.writeheader()
        for count, row in enumerate(rows, 1):
            writer.writerow({name: as_cell(value) for name, value in row.items()})
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
