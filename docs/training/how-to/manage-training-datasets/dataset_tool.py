"""Split, measure, record and convert the JSONL files that NeMo Gym trains on. Standard library only.

    python dataset_tool.py split FILE        train and validation files that share no task
    python dataset_tool.py stats FILE...     rows, tasks, duplicates, lengths, groups, tasks in two files
    python dataset_tool.py rewards FILE      reward distribution from what `gym eval profile` wrote
    python dataset_tool.py manifest FILE...  checksums, row counts and the Gym release
    python dataset_tool.py agent-ref FILE    add the agent_ref that older trainers read
    python dataset_tool.py from-chat FILE    chat-messages rows to Gym rows
    python dataset_tool.py fields FILE       rename, set and drop the fields of each row

Exit code: 0 done, 1 the data says no, 2 bad input.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import os
import statistics
import sys
from collections import Counter
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path


SHOWN = 20


class BadInput(Exception):
    """What is wrong with the input and what to do, in one line."""


def rows(path: Path):
    """Yield (line number, row) for each line of a JSONL file."""
    number = 0
    try:
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise BadInput(f"{path}:{number}: not JSON ({error}). Find every such line: python check_rows.py --raw {path}") from None
                if not isinstance(row, dict):
                    raise BadInput(f"{path}:{number}: a row is a JSON object, this is {json.dumps(row)[:40]}")
                yield number, row
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}:{number + 1}: not UTF-8 ({error.reason})") from None
    if not number:
        raise BadInput(f"{path}: no rows")


@contextmanager
def writing(path: Path):
    """Open a temporary file that becomes ``path`` if the block ends well and disappears if it does not."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "w", encoding="utf-8") as out:
            yield out
        os.replace(temporary, path)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)


def text_of(content) -> str:
    """The text of a message content, which is a string or a list of parts."""
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def messages(row: dict) -> list:
    """The input items of a row, whatever wraps them."""
    source = row.get("task_input") if isinstance(row.get("task_input"), dict) else row
    given = (source.get("responses_create_params") or {}).get("input")
    return [{"role": "user", "content": given}] if isinstance(given, str) else given or []


def field(row: dict, dotted: str) -> str:
    """The value of a field such as ``metadata.family``, as text."""
    value = row
    for name in dotted.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return str(value)


def task(row: dict, by: str | None = None) -> str:
    """What makes two rows the same task: their last user message without case and spacing, or the field ``by``."""
    if by:
        return field(row, by)
    asked = [text_of(m.get("content")) for m in messages(row) if isinstance(m, dict) and m.get("role") == "user"]
    return " ".join(asked[-1].lower().split()) if asked else json.dumps(row, sort_keys=True)


def digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def split(args) -> int:
    paths = {name: args.out_dir / f"{name}.jsonl" for name in ("train", "validation")}
    if any(path.resolve() == args.file.resolve() for path in paths.values()):
        raise BadInput(f"{args.file} would be overwritten. Choose another --out-dir")
    counts, tasks, dropped = Counter(), {name: set() for name in paths}, 0
    with ExitStack() as stack:
        outs = {}
        for _, row in rows(args.file):
            outs = outs or {name: stack.enter_context(writing(path)) for name, path in paths.items()}
            key = digest(f"{args.seed} {task(row, args.by)}")
            name = "validation" if key < args.validation * 2**64 else "train"
            if args.unique and key in tasks[name]:
                dropped += 1
                continue
            outs[name].write(json.dumps(row) + "\n")
            counts[name] += 1
            tasks[name].add(key)
        empty = [name for name in paths if not counts[name]]
        if empty:
            raise SystemExit(f"{args.file}: every task fell on one side, {empty[0]} is empty. Change --validation, --seed or --by")
    for name, path in paths.items():
        print(f"{path}: {counts[name]} rows, {len(tasks[name])} {args.by or 'tasks'}")
    if args.unique:
        print(f"{dropped} rows dropped, they repeat {'the ' + args.by if args.by else 'the task'} of an earlier one")
    return 0


def stats(args) -> int:
    seen: dict[Path, set[int]] = {}
    for path in args.files:
        tasks, groups, words, repeats = {}, Counter(), [], []
        for number, row in rows(path):
            first = tasks.setdefault(digest(task(row)), number)
            if first != number and len(repeats) < SHOWN:
                repeats.append(f"  line {number} repeats the task of line {first}")
            if args.by:
                groups[field(row, args.by)] += 1
            words.append(sum(len(text_of(m.get("content")).split()) for m in messages(row) if isinstance(m, dict)))
        words.sort()
        seen[path] = set(tasks)
        print(f"{path}: {len(words)} rows, {len(tasks)} tasks, {len(words) - len(tasks)} rows repeat a task")
        print(*repeats, sep="\n", end="\n" * bool(repeats))
        print(f"  prompt words: min {words[0]}, median {statistics.median(words):g}, p95 {words[int(0.95 * (len(words) - 1))]}, max {words[-1]}")
        if args.by:
            print(f"  {args.by}: " + ", ".join(f"{name} {n}" for name, n in groups.most_common()))
    shared = False
    files = list(seen)
    for i, first in enumerate(files):
        for second in files[i + 1 :]:
            both = len(seen[first] & seen[second])
            shared |= bool(both)
            print(f"{both} tasks are in both {first} and {second}")
    return 1 if shared else 0


def rewards(args) -> int:
    means, groups, lines = [], {}, {"never solved": [], "always solved": []}
    for number, row in rows(args.file):
        if not isinstance(row.get("mean/reward"), (int, float)):
            raise BadInput(f"{args.file}:{number}: no mean/reward. This command reads the *_reward_profiling.jsonl of gym eval profile")
        means.append(row["mean/reward"])
        if means[-1] in (0, 1) and isinstance(row.get("_ng_task_index"), int):
            lines["always solved" if means[-1] else "never solved"].append(row["_ng_task_index"] + 1)
        if args.by:
            groups.setdefault(field(row.get("sample", row), args.by), []).append(row["mean/reward"])
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
    return 0


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
    with writing(args.output) as out:
        json.dump(record, out, indent=2)
        out.write("\n")
    for path, entry in record["files"].items():
        print(f"{entry['sha256']}  {path}")
    return 0


def agent_ref(args) -> int:
    agents = {}
    for pair in args.agents:
        source, mark, agent = pair.partition("=")
        if not (source and mark and agent):
            raise BadInput(f"{pair}: write TASK_SOURCE=AGENT")
        agents[source] = agent
    done = 0
    with ExitStack() as stack:
        out = None
        for number, row in rows(args.file):
            source = row.get("task_source")
            if source not in agents:
                raise BadInput(f"{args.file}:{number}: no agent given for task_source {source!r}. Add {source}=AGENT")
            row["agent_ref"] = {"type": "responses_api_agents", "name": agents[source]}
            out = out or stack.enter_context(writing(args.output))
            out.write(json.dumps(row) + "\n")
            done += 1
    print(f"{args.output}: {done} rows")
    return 0


def input_items(chat: list) -> list:
    """Chat Completions messages as Responses API input items."""
    items = []
    for message in chat:
        role, content = message["role"], message.get("content")
        if role == "tool":
            items.append({"type": "function_call_output", "call_id": message["tool_call_id"], "output": text_of(content)})
            continue
        if content:
            items.append({"role": role, "content": text_of(content)})
        for call in message.get("tool_calls") or []:
            arguments = call["function"]["arguments"]
            items.append({
                "type": "function_call",
                "call_id": call["id"],
                "name": call["function"]["name"],
                "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
            })
    return items


def flat_tool(tool: dict) -> dict:
    """A Chat Completions function tool in the Responses API's flat form."""
    function = tool["function"]
    return {
        "type": "function",
        "name": function["name"],
        "description": function.get("description"),
        "parameters": function.get("parameters"),
        "strict": function.get("strict", False),
    }


def pairs(given: list[str], option: str, form: str) -> dict[str, str]:
    for pair in given:
        name, mark, value = pair.partition("=")
        if not (name and mark and value):
            raise BadInput(f"{option} {pair}: write {form}")
    return dict(pair.split("=", 1) for pair in given)


def from_chat(args) -> int:
    done = unanswered = 0
    constants = pairs(args.set, "--set", "FIELD=VALUE")
    with ExitStack() as stack:
        out = None
        for number, row in rows(args.file):
            if "messages" not in row:
                raise BadInput(f"{args.file}:{number}: no messages, its fields are {', '.join(row)}. Rows with a question go through gym dataset render")
            try:
                chat = list(row.pop("messages"))
                if chat and chat[-1]["role"] == "assistant" and not chat[-1].get("tool_calls"):
                    row.setdefault(args.answer_field, text_of(chat.pop()["content"]))
                params = {"input": input_items(chat)}
                if row.get("tools"):
                    params["tools"] = [flat_tool(tool) for tool in row["tools"]]
            except (KeyError, TypeError, AttributeError) as error:
                raise BadInput(f"{args.file}:{number}: not a chat row ({type(error).__name__}: {error})") from None
            row.pop("tools", None)
            out = out or stack.enter_context(writing(args.output))
            row = {"responses_create_params": params, **constants, **row}
            out.write(json.dumps(row) + "\n")
            done += 1
            unanswered += args.answer_field not in row
    print(f"{args.output}: {done} rows, {unanswered} without {args.answer_field}")
    return 0


def fields(args) -> int:
    done, names, constants = 0, pairs(args.rename, "--rename", "OLD=NEW"), pairs(args.set, "--set", "FIELD=VALUE")
    with ExitStack() as stack:
        out = None
        for number, row in rows(args.file):
            for name in args.drop:
                row.pop(name, None)
            for old, new in names.items():
                if old not in row or new in row:
                    raise BadInput(f"{args.file}:{number}: cannot rename {old} to {new}, the row has {', '.join(row)}")
                row[new] = row.pop(old)
            out = out or stack.enter_context(writing(args.output))
            out.write(json.dumps(row | {name: row.get(name, value) for name, value in constants.items()}) + "\n")
            done += 1
    print(f"{args.output}: {done} rows")
    return 0


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

    sub = command("split", split, "Write train.jsonl and validation.jsonl. The side of a task depends on its text and the seed only, so new rows move no old one.")
    sub.add_argument("file", type=Path)
    sub.add_argument("--validation", type=fraction, default=0.2, help="share of tasks for validation (default: %(default)s)")
    sub.add_argument("--seed", type=int, default=0, help="another seed, another split (default: %(default)s)")
    sub.add_argument("--by", help="keep rows with the same value of this field together, e.g. metadata.family (default: the last user message)")
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
    sub.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="value of a field in every row that lacks it; repeatable")

    sub = command("fields", fields, "Drop, rename and set top-level fields of each row, in this order.")
    sub.add_argument("file", type=Path)
    sub.add_argument("-o", "--output", type=Path, required=True)
    sub.add_argument("--drop", action="append", default=[], metavar="FIELD", help="leave this field out; repeatable")
    sub.add_argument("--rename", action="append", default=[], metavar="OLD=NEW", help="give this field, which every row has, another name; repeatable")
    sub.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="value of a field in every row that lacks it; repeatable")

    args = parser.parse_args()
    try:
        return args.run(args)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
