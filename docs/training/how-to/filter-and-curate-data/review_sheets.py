"""`make_training_sets.py sample` and `merge`: rollouts for people to judge, and their verdicts back.

What a model wrote must not act in a spreadsheet: text that begins like a formula is written with an apostrophe in front,
and read without it.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter, defaultdict
from pathlib import Path

from rollout_to_chat import convert
from rollouts import BadInput, NoChat, Rollouts, Seen, as_cell, cut_off, digest, dumps, key_of, lines, masked, prompt_of, said, text_in, unmeasured, writing
from set_helpers import fail, group_reader, listed

VERDICTS = ("good", "bad", "unsure")
COLUMNS = ("verdict", "note", "task_index", "rollout_index", "group", "reward", "question", "answer", "expected")


def csv_line(values) -> str:
    """A line of CSV. Python's writer before 3.13 leaves a carriage return without quotes, and readers break the line there."""
    texts = ("" if value is None else str(value) for value in values)
    return ",".join(f'"{text.replace(chr(34), chr(34) * 2)}"' if any(sign in text for sign in ',"\r\n') else text for text in texts) + "\n"


def from_cell(text: str) -> str:
    return text[1:] if text.startswith("'") and as_cell(text) != text else text


def review_key(row: dict, number: int) -> tuple[str, str]:
    """Task and repeat as a sheet names them; a rollout without a repeat by its line."""
    task, repeat = key_of(row)
    return key_in(str(task)), str(repeat) if repeat is not None else f"line {number}"


def key_in(text: str) -> str:
    """A number or name of a sheet, without what a spreadsheet or `as_cell` changed of it: 3.0 is 3."""
    text = " ".join(from_cell(text).split())
    return text[:-2] if text.endswith(".0") and text[:-2].isdecimal() else text


def as_number(text: str) -> int | str:
    """A whole number as one, so that a spreadsheet sorts it; all that is no plain number stays text."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 and text == str(int(text)) else text


def asked(row: dict) -> str:
    """The last message of the user."""
    for message in reversed(prompt_of(row)):
        if isinstance(message, dict) and message.get("role") == "user":
            return text_in(message.get("content")) or "(no text)"
    return ""


def shown(row: dict) -> str:
    """All that the model said and called, and what came back, for a person to read."""
    parts = []
    try:
        _, completion, _ = convert(row)
    except NoChat as reason:  # no training row, but a person can judge it all the same
        found = said(row)
        return "\n".join([f"({reason})", *filter(None, found.texts), *(f"{call.name}({call.arguments})" for call in found.calls)])
    for message in completion:
        if message["content"]:
            parts.append(("" if message["role"] == "assistant" else f"{message['role']}: ") + message["content"])
        parts += [f"{call['function']['name']}({json.dumps(call['function']['arguments'], ensure_ascii=False)})" for call in message.get("tool_calls", ())]
    return "\n".join(parts)


def outcome(row: dict, success: float) -> str:
    if why := unmeasured(row):
        return "masked" if masked(row) else why
    return "cut off" if cut_off(row) else "passed" if row["reward"] >= success else "failed"


def shares(sizes: dict[str, int], rows: int) -> dict[str, int]:
    """How many of each group, so that all groups together give ``rows``, as evenly as their sizes allow."""
    taken = dict.fromkeys(sizes, 0)
    while rows > 0 and (open_groups := [name for name in sorted(sizes) if taken[name] < sizes[name]]):
        for name in open_groups[:rows]:
            taken[name] += 1
        rows -= len(open_groups[:rows])
    return taken


def sample(args) -> int:
    # Per group and outcome, the rollouts with the smallest hashes: a random sample that a longer file only adds to.
    group, strata, run = group_reader(args), defaultdict(list), Rollouts(args.rollouts)
    most, seen = args.rows or args.per_group, Seen(args.rollouts)
    for number, _, _, row in run:
        seen.add(number, row)
        key = digest(args.seed, *review_key(row, number))
        entries = strata[f"{group(row)}, {outcome(row, args.success)}"]
        if len(entries) < most or key < entries[-1][0]:
            entries.append((key, number))
            entries.sort()
            del entries[most:]
    if args.rows:
        taken = shares({name: len(entries) for name, entries in strata.items()}, args.rows)
        strata = {name: entries[: taken[name]] for name, entries in strata.items()}
    wanted = {number: name for name, entries in strata.items() for _, number in entries}
    found = []
    for number, _, _, row in Rollouts(args.rollouts):
        if number not in wanted:
            continue
        task, repeat = review_key(row, number)
        expected = row.get("expected_answer", row.get("expected_answers", ""))
        found.append({
            "verdict": "", "note": "", "task_index": as_number(task), "rollout_index": as_number(repeat),
            "group": wanted[number].rpartition(", ")[0] if args.blind else wanted[number], "reward": "" if args.blind else row.get("reward"),
            "question": asked(row), "answer": shown(row),
            "expected": "" if args.blind else expected if isinstance(expected, str) else json.dumps(expected, ensure_ascii=False),
        })
    order = lambda value: (isinstance(value, str), value)  # noqa: E731
    found.sort(key=lambda line: (order(line["task_index"]), order(line["rollout_index"])))  # a run writes rollouts as they complete
    if args.output.suffix == ".csv":
        table = [COLUMNS, *([as_cell(line[column]) for column in COLUMNS] for line in found)]
        content = "".join(map(csv_line, table)).encode("utf-8", "replace")
    else:
        content = b"".join(map(dumps, found))
    with writing(args.output) as out:
        out.write(content)
    print(listed(run, Counter()), end="")
    for name, entries in sorted(strata.items()):
        print(f"  {name}: {len(entries)}")
    print(f"{args.output}: {len(wanted)} of {run.count} rollouts. Fill in verdict ({', '.join(VERDICTS)}); note optional")
    return 0


def read_review(path: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """Verdict and note by task and repeat, from the CSV or JSONL that `sample` wrote and people filled in."""
    sheet = path.suffix == ".csv"
    if sheet:
        try:
            with open(path, encoding="utf-8-sig", newline="") as file:
                given = list(enumerate(csv.DictReader(io.StringIO(file.read(), newline="")), 2))
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror or error}. Check the path") from None
        except (UnicodeDecodeError, csv.Error) as error:
            raise BadInput(f"{path}: not a CSV file in UTF-8 ({error}). Save it as CSV UTF-8, with commas") from None
    else:
        given = [(number, row) for number, _, _, row in lines(path)]
    found = {}
    for number, row in given:
        try:
            key = tuple(key_in(str(row[name])) for name in ("task_index", "rollout_index"))
            verdict = (row["verdict"] or "").strip().lower()
        except (KeyError, AttributeError):
            raise BadInput(f"{path}, row {number}: needs the columns verdict, task_index and rollout_index, separated by commas") from None
        if verdict and verdict not in VERDICTS:
            raise BadInput(f"{path}, row {number}: the verdict {verdict!r} is none of {', '.join(VERDICTS)}")
        if verdict and found.get(key, (verdict,))[0] != verdict:
            raise BadInput(f"{path}, row {number}: task {key[0]}, rollout {key[1]} has the verdict {found[key][0]} above. Keep one of the two")
        if verdict:
            note = str(row.get("note") or "")
            found[key] = verdict, (from_cell(note) if sheet else note)
    if not given:
        raise BadInput(f"{path}: no rows")
    return found


def annotated(raw: bytes, row: dict, verdict: str, note: str) -> bytes:
    """A line with the annotation at its end, the rest as it was."""
    annotation = {"verdict": verdict, "note": note}
    if "annotation" in row:
        return dumps({**row, "annotation": annotation})
    return raw.rstrip()[:-1].rstrip() + b', "annotation": ' + dumps(annotation).strip() + b"}\n"


def merge(args) -> int:
    review = read_review(args.review)
    if not review:
        return fail(f"{args.review}: no verdict is filled in, nothing written")
    table, kept, met, run, seen = Counter(), 0, set(), Rollouts(args.rollouts), Seen(args.rollouts)
    with writing(args.output) as out:
        for number, _, raw, row in run:
            seen.add(number, row)
            key = review_key(row, number)
            verdict, note = review.get(key, (None, None))
            if verdict:
                met.add(key)
                if unmeasured(row) is None:  # else there is no verdict of the verifier
                    table[row["reward"] >= args.success, verdict] += 1
                raw = annotated(raw, row, verdict, note)
            if verdict not in args.drop and (verdict or not args.only_reviewed):
                kept += 1
                out.write(raw)
        said = f"{args.review}: {len(review)} verdicts, {len(review) - len(met)} for rollouts that are not in {args.rollouts}"
        print(f"{listed(run, Counter())}{said}\n{'':<10}" + "".join(f"{verdict:>8}" for verdict in VERDICTS))
        for passed, name in ((True, "passed"), (False, "failed")):
            print(f"{name:<10}" + "".join(f"{table[passed, verdict]:>8}" for verdict in VERDICTS))
        decided = sum(table[passed, verdict] for passed in (True, False) for verdict in ("good", "bad"))
        if decided:
            print(f"the verifier agrees with people on {table[True, 'good'] + table[False, 'bad']} of {decided}")
        if not kept:
            raise SystemExit(fail("no rollout is left, nothing written. Look at --drop and --only-reviewed"))
    print(f"{args.output}: {kept} of {run.count} rollouts")
    return 0
