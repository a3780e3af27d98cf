"""Name rows that NeMo Gym cannot or should not use: file, line, reason.

    python check_rows.py [--resources-server NAME] FILE...
    python check_rows.py --raw FILE...

Each row is built into the package's own request class. With a resources server, its task fields are held against
that server's schema as well. --raw is for files that are not in Gym's form yet: each line has to be a JSON object, no
more. Run it with the Python that has nemo-gym installed.

Exit code: 0 all rows are good, 1 some are not, 2 bad usage, a missing or an empty file.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from functools import cache
from pathlib import Path

try:
    from nemo_gym import NeMoGymResponseCreateParamsNonStreaming
    from nemo_gym.episode_types import is_materialized_task_row
    from nemo_gym.openai_utils import NeMoGymResponseMcpListTools
    from nemo_gym.task_data import (
        TaskDataValidator,
        find_server_dir,
        load_task_data_schema,
        normalize_task_fields,
    )
    from pydantic import ValidationError
except ImportError as error:
    if {"-h", "--help"} & set(sys.argv):
        print(__doc__)
        sys.exit(0)
    sys.exit(print(f"{error}. Run this with the Python that has nemo-gym installed", file=sys.stderr) or 2)

PARAMS = "responses_create_params"
EMPTY = f"{PARAMS}.input: is empty, the model gets no prompt"


def reasons(error: ValidationError, prefix: str = "") -> list[str]:
    """A pydantic error as 'path: message' lines, without the union members that were never meant."""
    found, unions = [], {}
    for item in error.errors(include_url=False):
        # A member of a union stands in the location under the name of its class or type.
        names = [i for i, part in enumerate(item["loc"]) if isinstance(part, str) and ("[" in part or part[:1].isupper())]
        member = item["loc"][: names[-1] + 1] if names else ()
        kind = item["type"] == "literal_error" and item["loc"] == (*member, "type")
        path = [prefix, *(str(part) for i, part in enumerate(item["loc"]) if i not in names and part != "str")]
        found.append((member, kind, ".".join(filter(None, path)), item))
        unions.setdefault(member[:-1], {}).setdefault(member, []).append(kind)
    lines = {}
    for member, kind, path, item in found:
        members = unions[member[:-1]]
        meant = [name for name, kinds in members.items() if not any(kinds)]
        if member and (member not in meant if meant else not kind):
            continue
        if item["type"] in ("string_type", "list_type") and any(other.startswith(path + ".") for _, _, other, _ in found):
            continue
        lines[f"{path}: {item['msg']}" if path else item["msg"]] = None
    return list(lines)


def check_params(params) -> list[str]:
    """What is wrong with ``responses_create_params``."""
    try:
        parsed = NeMoGymResponseCreateParamsNonStreaming.model_validate(params)
    except ValidationError as error:
        return reasons(error, PARAMS)
    if not parsed.input:
        return [EMPTY]
    if isinstance(parsed.input, str):
        return [] if parsed.input.strip() else [f"{PARAMS}.input: holds no text"]
    # An item without a type that fits nothing else passes as this class.
    problems = [
        f"{PARAMS}.input.{i}: neither a message (user, assistant, system or developer, with content) nor an item with a type"
        for i, (given, item) in enumerate(zip(params["input"], parsed.input))
        if isinstance(item, NeMoGymResponseMcpListTools) and not (isinstance(given, dict) and given.get("type"))
    ]
    if problems:
        return problems
    calls, last = set(), parsed.input[-1]
    for i, item in enumerate(parsed.input):
        kind = getattr(item, "type", None)
        calls |= {item.call_id} if kind == "function_call" else set()
        if kind == "function_call_output" and item.call_id not in calls:
            problems.append(f"{PARAMS}.input.{i}: a tool's result without its call")
        if getattr(item, "role", None) == "user" and not (item.content.strip() if isinstance(item.content, str) else item.content):
            problems.append(f"{PARAMS}.input.{i}: an empty user message")
    given = {"function_call": "a tool call", "reasoning": "reasoning"}.get(getattr(last, "type", None))
    given = "an assistant message" if getattr(last, "role", None) == "assistant" else given
    return problems + ([f"{PARAMS}.input: ends with {given}, which gives the answer away"] if given else [])


@cache
def agent_brings_prompt(server: str | None) -> bool:
    """Whether the shipped example of a server has no prompt either: its agent builds one from the task's fields."""
    if server is None:
        return True
    try:
        with open(find_server_dir(server) / "data" / "example.jsonl", "rb") as lines:
            return not json.loads(next(lines))[PARAMS]["input"]
    except (OSError, ValueError, LookupError, TypeError, StopIteration):
        return False


@cache
def required(schema) -> list[str]:
    return schema.json_schema().get("required", [])


def check_task(row: dict, schema, unread: Counter, failed: Counter) -> list[str]:
    """What is wrong with the task fields, by the server's own schema. Counts the fields that it does not read.

    The package names those of good rows only; ``failed`` counts the fields of the others.
    """
    validator = TaskDataValidator("", schema, "")
    validator.validate_row(0, row)
    report = validator.report
    unread.update(report.unknown_keys)
    problems = [f"{key}: belongs into verifier_metadata, the server does not see it here" for key in report.misplaced_keys]
    problems += [f"{key}: has two different values, one of them in verifier_metadata" for key in report.conflicting_keys]
    fields = normalize_task_fields(row)[0]
    answer = fields.get("expected_answer")
    if isinstance(answer, str) and not answer.strip() and "expected_answer" in required(schema):
        problems.append("expected_answer: is empty")
    if report.error_rows:
        failed.update(fields.keys())
        try:
            schema.validate_python(fields)
        except ValidationError as error:
            problems += reasons(error)
    return problems


def no_constant(name: str):
    raise ValueError(f"{name} is not JSON")


def check_line(line: bytes, schema, unread: Counter, failed: Counter, raw: bool = False) -> list[str]:
    if not line.strip():
        return ["blank line"]
    try:
        row = json.loads(line.decode("utf-8"), parse_constant=no_constant)
    except RecursionError:
        return ["not JSON that can be read: nested too deeply"]
    except ValueError as error:
        return [f"not JSON: {error}"]
    if not isinstance(row, dict):
        return ["not a JSON object"]
    if raw:
        return []
    if is_materialized_task_row(row):
        row = row["task_input"]
        if not isinstance(row, dict):
            return ["task_input: not a JSON object"]
    problems = check_params(row[PARAMS]) if PARAMS in row else [f"{PARAMS}: Field required"]
    return problems + (check_task(row, schema, unread, failed) if schema else [])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--raw", action="store_true", help="check only that each line is a JSON object, for files before their conversion")
    kind.add_argument("--resources-server", metavar="NAME", help="also check the task fields against this server's schema")
    parser.add_argument("--max-shown", type=int, default=20, metavar="N", help="bad rows to print for each file (default: %(default)s)")
    args = parser.parse_args()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")

    schema = None
    if args.resources_server:
        server = find_server_dir(args.resources_server)
        schema = load_task_data_schema(server) if server else None
        if schema is None:
            # `gym dataset collate` leaves such a folder where it runs, and it hides the installed one.
            where = f"{server} has no task_data.py. If that is a folder that collate left, delete it" if server else "gym list resources-servers shows the names"
            print(f"No schema for the resources server {args.resources_server}: {where}", file=sys.stderr)
            return 2

    worst = 0
    for path in args.files:
        number = bad = without = 0
        unread, failed = Counter(), Counter()
        try:
            with open(path, "rb") as lines:
                for number, line in enumerate(lines, 1):
                    problems = check_line(line, schema, unread, failed, args.raw)
                    if EMPTY in problems and agent_brings_prompt(args.resources_server):
                        problems.remove(EMPTY)
                        without += 1
                    bad += bool(problems)
                    if bad <= args.max_shown:
                        for problem in problems:
                            print(f"{path}:{number}: {problem}")
        except OSError as error:
            print(f"{path}: {error.strerror or error}", file=sys.stderr)
            return 2
        if not number:
            print(f"{path}: no rows", file=sys.stderr)
            return 2
        for field, count in sorted(unread.items()):
            own = ", which the server writes itself: with it in a row /verify fails if extra fields are allowed" if field == "reward" else ""
            print(f"{path}: {count + failed[field]} rows have a field that {args.resources_server} does not read: {field}{own}")
        if without:
            print(f"{path}: {without} rows have no prompt: right only where the agent brings it, as those of aviary, gdpval and SWE tasks do")
        print(f"{path}: {number} rows, {bad} bad")
        worst = max(worst, int(bad > 0))
    return worst


if __name__ == "__main__":
    sys.exit(main())
