"""Tell whether two runs hold the same rollouts, row for row, in any order.

    python same_rollouts.py results/whole/rollouts.jsonl results/rollouts.jsonl [--ignore-replies]

Rows belong together if environment server, task and repeat are the same. Identifiers, times and what was observed about a
rollout differ in any case and are not compared. --ignore-replies leaves out what depends on the model (response, reward,
metrics): for an endpoint that does not give the same answer twice. Memory holds 32 bytes and a key per rollout.
Exit code: 0 the same, 1 different, 2 bad input.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

KEY = ("_ng_environment_server", "_ng_task_index", "_ng_rollout_index")
# Made anew for each rollout, or told about it rather than by it.
VOLATILE = {"id", "created_at", "completed_at", "_ng_attempt_index", "_ng_rollout_id", "ng_perf", "ng_trajectory", "ng_model_call_capture", "ng_agent_observations"}
PLAN = {*KEY, "responses_create_params", "agent_ref", "task_source"}
SHOWN = 5


class BadInput(Exception):
    """What is wrong with the input, in one line that says what to do."""


def stable(value: object) -> object:
    """The value without what differs between two runs of the same rollout."""
    if isinstance(value, dict):
        return {key: stable(part) for key, part in value.items() if key not in VOLATILE}
    return [stable(part) for part in value] if isinstance(value, list) else value


def rows_of(path: Path, ignore_replies: bool) -> Iterator[tuple[tuple, bytes]]:
    """Key and fingerprint of each rollout."""
    found = False
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                row = json.loads(line)
                if not isinstance(row, dict) or any(part not in row for part in KEY[1:]):
                    raise BadInput(f"{path}, line {number} is no rollout. Give the file that gym eval run or aggregate wrote.")
                content = {key: row[key] for key in PLAN if key in row} if ignore_replies else row
                yield tuple(row.get(part) for part in KEY), hashlib.sha256(json.dumps(stable(content), sort_keys=True).encode()).digest()
                found = True
    except OSError as error:
        raise BadInput(f"Cannot read {path}: {error.strerror}. Check the path.") from None
    except ValueError:
        raise BadInput(f"{path}, line {number} is not JSON. Is the run still on?") from None
    if not found:
        raise BadInput(f"{path} holds no rollouts.")


def differences(first: Path, second: Path, ignore_replies: bool) -> tuple[int, list[str]]:
    """The number of rollouts that are the same, and a line for each one that is not."""
    expected: dict[tuple, bytes | None] = {}
    lines = []
    for key, content in rows_of(first, ignore_replies):
        if key in expected:
            lines.append(f"{label(key)}: twice in {first}")
        expected[key] = content
    same = 0
    for key, content in rows_of(second, ignore_replies):
        if key not in expected:
            lines.append(f"{label(key)}: only in {second}")
        elif expected[key] is None:
            lines.append(f"{label(key)}: twice in {second}")
        elif expected[key] != content:
            lines.append(f"{label(key)}: differs")
        else:
            same += 1
        if key in expected:
            expected[key] = None
    lines += [f"{label(key)}: only in {first}" for key, content in expected.items() if content is not None]
    return same, lines


def label(key: tuple) -> str:
    return f"{key[0]} task {key[1]} repeat {key[2]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], epilog=__doc__.splitlines()[-1])
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--ignore-replies", action="store_true", help="compare only what was asked, not what was answered")
    args = parser.parse_args()
    try:
        same, lines = differences(args.first, args.second, args.ignore_replies)
    except BadInput as error:
        print(f"same_rollouts.py: {error}", file=sys.stderr)
        return 2
    for line in lines[:SHOWN]:
        print(line)
    if len(lines) > SHOWN:
        print(f"and {len(lines) - SHOWN} more")
    print(f"{same} rollouts are the same, {len(lines)} are not")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
