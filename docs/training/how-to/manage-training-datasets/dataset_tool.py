"""Split, measure, record and convert JSONL files of tasks and training data. Standard library only.

    python dataset_tool.py split FILE        train and validation files that share no task
    python dataset_tool.py stats FILE...     rows, tasks, duplicates, lengths, groups, tasks in two files
    python dataset_tool.py rewards FILE      reward distribution from what `gym eval profile` wrote
    python dataset_tool.py manifest FILE...  checksums, row counts and the Gym release
    python dataset_tool.py agent-ref FILE    add the agent_ref that older trainers read
    python dataset_tool.py from-chat FILE    chat-messages rows to Gym rows
    python dataset_tool.py fields FILE       rename, set and drop the fields of each row

A row that cannot be done rightly is left out and counted.

Exit code: 0 done, 1 rows were left out or the data says no, 2 bad input.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import statistics
import sys
from collections import Counter
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path

from chat_input import Refused, task_row
from jsonl import raw_lines, whole_row
from rollouts import TASK, BadInput, dict_of, digest, dumps, field_of, group_of, list_of, loads, prompt_of, text_in, writing


SHOWN = 20
NUMBERS = "no prompt"


class Nothing(Exception):
    """The data say no, which is told already: no file is written."""


class Count:
    """The rows of a file: how many there are, and which are left out for what reason."""

    def __init__(self, path: Path) -> None:
        self.path, self.rows, self.reasons = path, 0, {}

    @property
    def out(self) -> int:
        return sum(len(lines) for lines in self.reasons.values())

    def leave(self, number: int, reason: str) -> None:
        self.reasons.setdefault(reason, []).append(number)

    def done(self) -> int:
        """Name what was left out. Returns the exit code; raises BadInput if no row is left."""
        if not self.rows:
            raise BadInput(f"{self.path}: no rows")
        if not self.out:
            return 0
        told = [f"{len(at)} {why} (line{'s' * (len(at) > 1)} {', '.join(map(str, at[:10]))}{', ...' * (len(at) > 10)})" for why, at in self.reasons.items()]
        head = f"{self.path}: {self.rows} rows in, {self.rows - self.out} out, {self.out} left out:"
        if self.out == self.rows:
            raise BadInput(f"{head} {'; '.join(told)}")
        print(head, *told, sep="\n  ", file=sys.stderr)
        return 1


def rows(path: Path, count: Count):
    """Yield (line number, line, row) for each JSON object of a JSONL file; count the lines that hold none."""
    for number, _, line in raw_lines(path):
        count.rows += 1
        try:
            row = loads(line)
        except ValueError as error:
            count.leave(number, "not UTF-8" if isinstance(error, UnicodeDecodeError) else "not JSON")
            continue
        if isinstance(row, dict):
            yield number, line, row
        else:
            count.leave(number, "not a JSON object")


def prompt(row: dict) -> list[dict]:
    """What is asked in a task row, a rollout, a chat row or a pair: its messages up to the last one of a user."""
    items = [item for item in prompt_of(row["task_input"] if isinstance(row.get("task_input"), dict) else row) if isinstance(item, dict)]
    users = [number for number, item in enumerate(items) if item.get("role") == "user"]
    return items[: users[-1] + 1] if users else [item for item in items if item.get("role") != "assistant"]


def said(content: object) -> str:
    """A content as text: a string, the texts of its parts, the addresses of its pictures, and what else its parts name, such as files."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else json.dumps(content) if content else ""
    parts = [part for part in content if isinstance(part, dict)]
    pictures = [dict_of(part, "image_url").get("url", part["image_url"]) for part in parts if part.get("image_url")]
    others = [json.dumps(part, sort_keys=True) for part in parts if not part.get("image_url") and not text_in([part])]
    return "".join([text_in(content), *map(str, pictures), *others])


def parsed(arguments: object) -> str:
    """The arguments of a call, which are JSON text or an object, in one form."""
    try:
        return json.dumps(loads(arguments) if isinstance(arguments, str) else arguments, sort_keys=True)
    except (ValueError, RecursionError):
        return str(arguments)


def task(row: dict, by: str | None = None) -> str:
    """What makes two rows the same task: the same prompt without case and white space, or the same field ``by``.

    A task row without a prompt, which its agent brings, is known by its fields, a rollout without one by its numbers.
    """
    if by:
        return str(field_of(row, by))
    lines = []
    for item in prompt(row):
        calls = [item] if item.get("type") == "function_call" else [call.get("function") for call in list_of(item, "tool_calls")]
        text = said(item.get("content") or item.get("output"))
        role = "tool" if item.get("type") == "function_call_output" else str(item.get("role")).replace("developer", "system")
        lines += [f"{role} {text}"] if text else []
        lines += [f"call {call.get('name')} {parsed(call.get('arguments'))}" for call in calls if isinstance(call, dict)]
    if lines:
        return "\n".join(" ".join(line.casefold().split()) for line in lines)
    if "response" in row:
        return json.dumps([NUMBERS, group_of(row), row.get(TASK, row["response"])], sort_keys=True)
    return json.dumps({name: value for name, value in row.items() if not name.startswith("_ng_")}, sort_keys=True)


def split(args) -> int:
    paths = {name: args.out_dir / f"{name}.jsonl" for name in ("train", "validation")}
    if any(path.resolve() == args.file.resolve() for path in paths.values()):
        raise BadInput(f"{args.file} would be overwritten. Choose another --out-dir")
    counts, tasks, dropped, count = Counter(), {name: set() for name in paths}, 0, Count(args.file)
    with ExitStack() as stack:
        outs = {}
        for _, line, row in rows(args.file, count):
            outs = outs or {name: stack.enter_context(writing(path)) for name, path in paths.items()}
            key = digest(args.seed, task(row, args.by))
            name = "validation" if key < args.validation * 2**64 else "train"
            if args.unique and key in tasks[name]:
                dropped += 1
                continue
            outs[name].write(line if line.endswith(b"\n") else line + b"\n")
            counts[name] += 1
            tasks[name].add(key)
        status = count.done()
        empty = [name for name in paths if not counts[name]]
        if empty:
            same = " All rows have one prompt: --by takes another field." if sum(map(len, tasks.values())) == 1 and not args.by else ""
            print(f"{args.file}: every task fell on one side, {empty[0]} is empty.{same or ' Change --validation, --seed or --by'}", file=sys.stderr)
            raise Nothing
    for name, path in paths.items():
        print(f"{path}: {counts[name]} rows, {len(tasks[name])} {args.by or 'tasks'}")
    if args.unique:
        print(f"{dropped} rows dropped, they repeat {'the ' + args.by if args.by else 'the task'} of an earlier one")
    return status


def stats(args) -> int:
    seen: dict[Path, set[int]] = {}
    status = 0
    for path in args.files:
        tasks, groups, words, repeats, numbered, other, count = {}, Counter(), [], [], set(), 0, Count(path)
        for number, _, row in rows(path, count):
            name = task(row)
            first = tasks.setdefault(digest(name), number)
            if name.startswith(f'["{NUMBERS}"'):
                numbered.add(digest(name))
            if first != number and len(repeats) < SHOWN:
                repeats.append(f"  line {number} repeats the task of line {first}")
            if args.by:
                groups[str(field_of(row, args.by))] += 1
            words.append(sum(len(said(m.get("content")).split()) for m in prompt(row)))
            other += not words[-1] and name.startswith("{") and not row.keys() & {"responses_create_params", "response", "task_input"}
        status |= count.done()
        words.sort()
        seen[path] = tasks.keys() - numbered
        print(f"{path}: {len(words)} rows, {len(tasks)} tasks, {len(words) - len(tasks)} rows repeat a task")
        print(*repeats, sep="\n", end="\n" * bool(repeats))
        # p95: the smallest length that at least 95 % of the rows do not exceed.
        p95 = words[-(-95 * len(words) // 100) - 1]
        print(f"  prompt words: min {words[0]}, median {statistics.median(words):g}, p95 {p95}, max {words[-1]}")
        if other:
            print(f"  {other} rows hold no prompt in a form that is read here: they are the same only if the whole rows are")
        if empty := words.count(0) - other:
            print(f"  {empty} rows have no prompt: their agent brings it")
        if numbered:
            print(f"  {len(numbered)} of these tasks are known by _ng_task_index alone: they are not compared with other files")
        if args.by:
            print(f"  {args.by}: " + ", ".join(f"{name} {n}" for name, n in groups.most_common()))
    files = list(seen)
    for i, first in enumerate(files):
        for second in files[i + 1 :]:
            both = len(seen[first] & seen[second])
            status |= bool(both)
            print(f"{both} tasks are in both {first} and {second}")
    return status


def rewards(args) -> int:
    means, groups, lines, count = [], {}, {"never solved": [], "always solved": []}, Count(args.file)
    for number, _, row in rows(args.file, count):
        mean = row.get("mean/reward")
        if isinstance(mean, bool) or not isinstance(mean, (int, float)) or not -1e300 < mean < 1e300:
            count.leave(number, "without mean/reward, which *_reward_profiling.jsonl of gym eval profile has")
            continue
        means.append(mean)
        if mean in (0, 1) and isinstance(row.get(TASK), int):
            lines["always solved" if mean else "never solved"].append(row[TASK] + 1)
        if args.by:
            groups.setdefault(str(field_of(dict_of(row, "sample") or row, args.by)), []).append(mean)
    status = count.done()
    print(f"{len(means)} tasks, mean reward {statistics.mean(means):.3f}")
    bins = Counter(min(int(10 * m), 9) if 0 <= m <= 1 else None for m in means)
    for i in range(10):
        if bins[i]:
            print(f"  {i / 10:.1f} to {(i + 1) / 10:.1f}  {'#' * max(1, round(40 * bins[i] / len(means)))} {bins[i]}")
    if bins[None]:
        print(f"  outside 0 to 1: {bins[None]}")
    low, high = min(means), max(means)
    print(f"never solved (mean 0) {means.count(0)}, sometimes {sum(0 < m < 1 for m in means)}, always (mean 1) {means.count(1)}; range {low:g} to {high:g}")
    for name, numbers in lines.items():
        if numbers:
            print(f"  {name}: lines {', '.join(map(str, sorted(numbers)[:SHOWN]))}{', and more' if len(numbers) > SHOWN else ''}")
    for name, values in sorted(groups.items()):
        print(f"  {name}: {len(values)} tasks, mean reward {statistics.mean(values):.3f}")
    return status


def manifest(args) -> int:
    try:
        release = importlib.metadata.version("nemo-gym")
    except importlib.metadata.PackageNotFoundError:
        release = None
    record = {"created": datetime.now(timezone.utc).isoformat(timespec="seconds"), "nemo_gym": release, "files": {}}
    for note in args.note:
        name, mark, value = note.partition("=")
        if not mark or name in record:
            raise BadInput(f"--note {note}: write NAME=VALUE with a name other than {', '.join(record)}")
        record[name] = value
    for path in args.files:
        checksum, lines, last = hashlib.sha256(), 0, b"\n"
        try:
            with open(path, "rb") as data:
                while block := data.read(1 << 20):
                    checksum.update(block)
                    lines += block.count(b"\n")
                    last = block[-1:]
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror or error}") from None
        entry = {"sha256": checksum.hexdigest(), "bytes": path.stat().st_size}
        if path.suffix == ".jsonl":
            entry["rows"] = lines + (last != b"\n")
        record["files"][str(path)] = entry
    with writing(args.output, inputs=args.files) as out:
        out.write(json.dumps(record, indent=2).encode() + b"\n")
    for path, entry in record["files"].items():
        print(f"{entry['sha256']}  {path}")
    return 0


def pairs(given: list[str], form: str) -> dict[str, str]:
    for pair in given:
        name, mark, value = pair.partition("=")
        if not (name and mark and value):
            raise BadInput(f"{pair}: write {form}")
    return dict(pair.split("=", 1) for pair in given)


def rewrite(args, change, told=lambda: "") -> int:
    """Write ``change(row)`` for each row to ``args.output``; a row for which it raises Refused is left out and counted."""
    count = Count(args.file)
    with writing(args.output, inputs=[args.file]) as out:
        for number, line, row in rows(args.file, count):
            try:
                out.write(dumps(change(whole_row(line, row))))
            except Refused as reason:
                count.leave(number, str(reason))
        status = count.done()
    print(f"{args.output}: {count.rows - count.out} rows{told()}")
    return status


def agent_ref(args) -> int:
    agents = pairs(args.agents, "TASK_SOURCE=AGENT")

    def change(row: dict) -> dict:
        source = row.get("task_source")
        if not isinstance(source, str):
            raise Refused("without task_source")
        if source not in agents:
            raise BadInput(f"{args.file}: no agent given for task_source {source!r}. Add {source}=AGENT")
        return row | {"agent_ref": {"type": "responses_api_agents", "name": agents[source]}}

    return rewrite(args, change)


def from_chat(args) -> int:
    constants, unanswered, lost = pairs(args.set, "--set FIELD=VALUE"), 0, Counter()

    def change(row: dict) -> dict:
        nonlocal unanswered
        task, without = task_row(row, args.answer_field, args.calls_field)
        lost.update(without)
        unanswered += not {args.answer_field, args.calls_field} & task.keys()
        return {"responses_create_params": task.pop("responses_create_params"), **constants, **task}

    def told() -> str:
        places = "".join(f"\n  {count} without what a task row has no place for: {name}" for name, count in sorted(lost.items()))
        return f", {unanswered} without {args.answer_field}{places}"

    return rewrite(args, change, told)


def fields(args) -> int:
    names, constants = pairs(args.rename, "--rename OLD=NEW"), pairs(args.set, "--set FIELD=VALUE")

    def change(row: dict) -> dict:
        row = {name: value for name, value in row.items() if name not in args.drop}
        for old, new in names.items():
            if old not in row or new in row:
                raise Refused(f"that cannot rename {old} to {new}: {f'{new} is there' if new in row else f'no {old}'}")
            row[new] = row.pop(old)
        return {name: value for name, value in constants.items() if name not in row} | row

    return rewrite(args, change)


def fraction(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError("a number between 0 and 1")
    return value


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name, function, text):
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=function)
        return sub

    sub = command("split", split, "Write train.jsonl and validation.jsonl. The side of a task depends on its text, the seed and the share only, so new rows move no old one.")
    sub.add_argument("file", type=Path)
    sub.add_argument("--validation", type=fraction, default=0.2, help="share of tasks for validation (default: %(default)s)")
    sub.add_argument("--seed", type=int, default=0, help="another seed, another split (default: %(default)s)")
    sub.add_argument("--by", help="keep rows with the same value of this field together, e.g. metadata.family (default: the whole prompt)")
    sub.add_argument("--unique", action="store_true", help="drop rows that repeat the task (or the --by value) of an earlier row")
    sub.add_argument("--out-dir", type=Path, default=Path("data"), help="folder for both files (default: %(default)s)")

    sub = command("stats", stats, "Print statistics of each file and the tasks that two files share (exit code 1 if any).")
    sub.add_argument("files", type=Path, nargs="+")
    sub.add_argument("--by", help="count rows by this field, e.g. metadata.family")

    sub = command("rewards", rewards, "Print the reward distribution of a *_reward_profiling.jsonl.")
    sub.add_argument("file", type=Path)
    sub.add_argument("--by", help="mean reward by this field of the task, e.g. metadata.family")

    sub = command("manifest", manifest, "Record checksums, sizes, row counts and the installed Gym release; print lines that sha256sum -c reads.")
    sub.add_argument("files", type=Path, nargs="+")
    sub.add_argument("-o", "--output", type=Path, default=Path("manifest.json"), help="file to write (default: %(default)s)")
    sub.add_argument("--note", action="append", default=[], metavar="NAME=VALUE", help="anything else to record; repeatable")

    sub = command("agent-ref", agent_ref, "Add agent_ref to collated rows.")
    sub.add_argument("file", type=Path)
    sub.add_argument("agents", nargs="+", metavar="TASK_SOURCE=AGENT")
    sub.add_argument("-o", "--output", type=Path, required=True)

    sub = command("from-chat", from_chat, "Turn rows with Chat Completions messages (and tools) into Gym rows; other fields are kept.")
    sub.add_argument("file", type=Path)
    sub.add_argument("-o", "--output", type=Path, required=True)
    sub.add_argument("--answer-field", default="expected_answer", help="task field that receives a closing assistant message (default: %(default)s)")
    sub.add_argument("--calls-field", metavar="NAME", help="task field that receives a closing tool call, e.g. expected_answers for xlam_fc; without it such a row is left out")
    sub.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="value of a field in every row that lacks it; repeatable")

    sub = command("fields", fields, "Drop, rename and set top-level fields of each row, in this order.")
    sub.add_argument("file", type=Path)
    sub.add_argument("-o", "--output", type=Path, required=True)
    sub.add_argument("--drop", action="append", default=[], metavar="FIELD", help="leave this field out; repeatable")
    sub.add_argument("--rename", action="append", default=[], metavar="OLD=NEW", help="give this field, which every row has, another name; repeatable")
    sub.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="value of a field in every row that lacks it; repeatable")

    args = parser.parse_args()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    try:
        return args.run(args)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    except RecursionError:
        print("A row is nested too deeply. Find it: python check_rows.py --raw FILE", file=sys.stderr)
        return 2
    except Nothing:
        return 1


if __name__ == "__main__":
    sys.exit(main())
