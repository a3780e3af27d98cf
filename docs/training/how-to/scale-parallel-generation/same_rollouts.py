"""Tell whether two runs hold the same rollouts, row for row, in any order.

    python same_rollouts.py results/whole/rollouts.jsonl results/rollouts.jsonl [--ignore-replies]

Rows belong together if environment server, task and repeat are the same. Identifiers, times and what was observed about a
rollout differ in any case and are not compared, nor is what a prompt cache held. Aggregate metrics are compared where both runs have
them. --ignore-replies leaves out what depends on the model (response, reward, metrics): for an endpoint that does not give the
same answer twice. Memory holds a hash, a place and a key per rollout.
Exit code: 0 the same, 1 different, 2 bad input.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from rollouts import BadInput, lines, loads

KEY = ("_ng_environment_server", "_ng_task_index", "_ng_rollout_index")
# Made anew for each rollout, or told about it rather than by it.
VOLATILE = {"id", "created_at", "completed_at", "cached_tokens", "_ng_attempt_index", "_ng_rollout_id", "ng_perf", "ng_trajectory", "ng_model_call_capture", "ng_agent_observations"}
PLAN = {*KEY, "responses_create_params", "agent_ref", "task_source"}
SHOWN = 5


def stable(value: object) -> object:
    """The value without what differs between two runs of the same rollout; 1.0 is 1."""
    if isinstance(value, dict):
        return {key: stable(part) for key, part in value.items() if key not in VOLATILE}
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return [stable(part) for part in value] if isinstance(value, list) else value


def rows_of(path: Path, ignore_replies: bool) -> Iterator[tuple[tuple, dict, int]]:
    """Key, content to compare, and place in the file of each rollout."""
    for number, place, _, row in lines(path):
        if any(type(row.get(part)) is not int for part in KEY[1:]):
            raise BadInput(f"{path}:{number}: no rollout. Give the file that gym eval run or aggregate wrote")
        yield tuple(row.get(part) if type(row.get(part)) in (int, str) else None for part in KEY), compared(row, ignore_replies), place


def compared(row: dict, ignore_replies: bool) -> dict:
    return stable({key: row[key] for key in PLAN if key in row} if ignore_replies else row)


def fingerprint(content: dict) -> bytes:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()


def first_difference(one: object, other: object, path: str = "") -> str:
    """Where two contents differ first, as in `response.output[0].content[0].text`."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            if key not in one or key not in other or one[key] != other[key]:
                return first_difference(one.get(key), other.get(key), f"{path}.{key}" if path else key)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        number = next(n for n, (left, right) in enumerate(zip(one, other)) if left != right)
        return first_difference(one[number], other[number], f"{path}[{number}]")
    return path


def differences(first: Path, second: Path, ignore_replies: bool) -> tuple[int, list[str]]:
    """The number of rollouts that are the same, and a line for each one that is not."""
    expected: dict[tuple, tuple[bytes, int] | None] = {}
    lines = []
    for key, content, place in rows_of(first, ignore_replies):
        if key in expected:
            lines.append(f"{label(key)}: twice in {first}")
        expected[key] = fingerprint(content), place
    same = 0
    with first.open("rb") as again:
        for key, content, _ in rows_of(second, ignore_replies):
            if key not in expected:
                lines.append(f"{label(key)}: only in {second}")
                continue
            if expected[key] is None:
                lines.append(f"{label(key)}: twice in {second}")
            elif expected[key][0] != fingerprint(content):
                again.seek(expected[key][1])
                where = first_difference(compared(loads(again.readline()), ignore_replies), content)
                lines.append(f"{label(key)}: differs in {where}")
            else:
                same += 1
            expected[key] = None
    lines += [f"{label(key)}: only in {first}" for key, content in expected.items() if content is not None]
    return same, lines


def metrics_differ(first: Path, second: Path) -> bool | None:
    """Do the aggregate metrics beside the two files differ? None if one of them has none.

    They list the agents in the order of their first rollout, which differs between two equal runs.
    """
    beside = [path.with_name(f"{path.stem}_aggregate_metrics.json") for path in (first, second)]
    if not all(path.exists() for path in beside):
        return None
    try:
        one, other = (sorted(json.dumps(entry, sort_keys=True) for entry in loads(path.read_bytes())) for path in beside)
    except (ValueError, TypeError):
        raise BadInput(f"{beside[0]} or {beside[1]} holds no metrics. Run gym eval aggregate again.") from None
    return one != other


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
        metrics = None if args.ignore_replies else metrics_differ(args.first, args.second)
    except BadInput as error:
        print(f"same_rollouts.py: {error}", file=sys.stderr)
        return 2
    for line in lines[:SHOWN]:
        print(line)
    if len(lines) > SHOWN:
        print(f"and {len(lines) - SHOWN} more")
    print(f"{same} rollouts are the same, {len(lines)} are not")
    if metrics is not None:
        print("other metrics" if metrics else "the same metrics")
    return 1 if lines or metrics else 0


if __name__ == "__main__":
    sys.exit(main())
