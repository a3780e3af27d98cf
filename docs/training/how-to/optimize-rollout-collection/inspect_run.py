"""Tell of one run: in how many tasks answers and rewards differ, how many replies were cut off, where the time went.

    python inspect_run.py ROLLOUTS.jsonl

The last part needs model-call capture (observability_enabled and model_call_capture_dir) in the servers and in the run.
Exit code: 0 done, 2 bad input.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from pathlib import Path

from rollouts import BadInput, Rollouts, cut_off, dict_of, digest, list_of, number_of, said, task_of, unmeasured

PARTS = ("whole rollout", "model calls", "tool calls", "everything else")


def answer(row: dict) -> int:
    """What the model said and called, without ids and times, as a hash."""
    its = said(row)
    return digest(its.texts, [(call.name, call.arguments) for call in its.calls])


def seconds(row: dict) -> tuple[float, float, float, float] | None:
    """Seconds of one rollout by part, or None if the run did not observe them."""
    total = number_of(dict_of(row, "ng_perf"), "total_latency_ms")
    calls = number_of(dict_of(dict_of(row, "ng_model_call_capture"), "metrics"), "latency_total_ms")
    if total is None or calls is None:
        return None
    tools = sum(number_of(call, "duration_ms") or 0.0 for call in list_of(dict_of(row, "ng_trajectory"), "tool_calls"))
    return total / 1000, calls / 1000, tools / 1000, max(0.0, total - calls - tools) / 1000


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rollouts", type=Path, metavar="ROLLOUTS.jsonl", help="what gym eval run wrote with -o")
    path = parser.parse_args(argv).rollouts
    answers: dict[int | str, Counter] = defaultdict(Counter)
    rewards: dict[int | str, set] = defaultdict(set)
    cut, times = 0, []
    try:
        run = Rollouts(path)
        for _, _, _, row in run:
            task = task_of(row)
            answers[task][answer(row)] += 1
            if not unmeasured(row):  # else its number measures nothing
                rewards[task].add(row["reward"])
            cut += cut_off(row) == "max_output_tokens"
            if (parts := seconds(row)) is not None:
                times.append(parts)
    except BadInput as error:
        print(f"inspect_run.py: {error}", file=sys.stderr)
        return 2
    print(*run.notes(), sep="\n", end="\n" * bool(run.notes()))
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
        p50, p95 = (column[-(-percent * len(column) // 100) - 1] for percent in (50, 95))
        print(f"{name:<16}{p50:>8.2f}{p95:>8.2f}{sum(column) / (sum(columns[0]) or 1):>8.0%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
