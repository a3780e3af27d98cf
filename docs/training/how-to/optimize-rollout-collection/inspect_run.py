"""Tell of one run: in how many tasks answers and rewards differ, how many replies were cut off, where the time went.

    python inspect_run.py ROLLOUTS.jsonl

The last part needs model-call capture (observability_enabled and model_call_capture_dir) in the servers and in the run.
Exit code: 0 done, 2 bad input.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

INDEX = "_ng_task_index"
PARTS = ("whole rollout", "model calls", "tool calls", "everything else")


class BadInput(Exception):
    """Something the reader can put right; shown as one line."""


def rows_of(path: Path):
    """The rollouts of a file, one by one."""
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except json.JSONDecodeError as error:
                    raise BadInput(f"{path}, line {number} is not JSON: {error.msg}. Resume the run first.") from None
                if not isinstance(row, dict) or not isinstance(row.get("response"), dict) or INDEX not in row:
                    raise BadInput(f"{path}, line {number} is no rollout. Give the file that gym eval run wrote.")
                yield row
    except OSError as error:
        raise BadInput(f"Cannot read {path}: {error.strerror}. Check the path.") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not UTF-8 text. Give the file that gym eval run wrote.") from None


def answer(response: dict) -> int:
    """What the model said and called, without ids and times, as a hash."""
    said = []
    for item in response.get("output") or []:
        if item.get("type") == "function_call":
            said.append((item.get("name"), item.get("arguments")))
        elif item.get("type") == "message":
            said.append(tuple(part.get("text") for part in item.get("content") or []))
    return hash(tuple(said))


def seconds(row: dict) -> tuple[float, float, float, float] | None:
    """Seconds of one rollout by part, or None if the run did not observe them."""
    total = (row.get("ng_perf") or {}).get("total_latency_ms")
    calls = ((row.get("ng_model_call_capture") or {}).get("metrics") or {}).get("latency_total_ms")
    if total is None or calls is None:
        return None
    tools = sum(call.get("duration_ms") or 0 for call in (row.get("ng_trajectory") or {}).get("tool_calls") or [])
    return total / 1000, calls / 1000, tools / 1000, max(0.0, total - calls - tools) / 1000


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rollouts", type=Path, metavar="ROLLOUTS.jsonl", help="what gym eval run wrote with -o")
    path = parser.parse_args(argv).rollouts
    answers: dict[int, Counter] = defaultdict(Counter)
    rewards: dict[int, set] = defaultdict(set)
    cut, times = 0, []
    try:
        for row in rows_of(path):
            answers[row[INDEX]][answer(row["response"])] += 1
            if not row.get("mask_sample"):  # its number measures nothing
                rewards[row[INDEX]].add(row.get("reward"))
            cut += (row["response"].get("incomplete_details") or {}).get("reason") == "max_output_tokens"
            if (parts := seconds(row)) is not None:
                times.append(parts)
        if not answers:
            raise BadInput(f"{path} holds no rollouts. Read its _failures.jsonl for the reason.")
    except BadInput as error:
        print(f"inspect_run.py: {error}", file=sys.stderr)
        return 2
    both = sum(len(seen) > 1 for seen in rewards.values())
    rollouts = sum(map(Counter.total, answers.values()))
    repeated = [counts for counts in answers.values() if counts.total() > 1]
    print(f"rollouts: {rollouts} of {len(answers)} tasks")
    print(f"tasks with the same answer in all repeats: {sum(len(c) == 1 for c in repeated)} of {len(repeated)}")
    print(f"tasks with different rewards: {both} of {len(repeated)}")
    print(f"replies cut off at max_output_tokens: {cut} of {rollouts}")
    if not times:
        print("time: not observed (set observability_enabled and model_call_capture_dir for servers and run)")
        return 0
    print(f"times of {len(times)} of {rollouts} rollouts")
    print(f"{'time':<16}{'p50 s':>8}{'p95 s':>8}{'share':>8}")
    columns = [sorted(column) for column in zip(*times)]
    for name, column in zip(PARTS, columns):
        p50, p95 = (column[min(len(column) - 1, int(len(column) * share))] for share in (0.5, 0.95))
        print(f"{name:<16}{p50:>8.2f}{p95:>8.2f}{sum(column) / (sum(columns[0]) or 1):>8.0%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
