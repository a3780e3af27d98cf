"""Compare two runs of the same tasks, task by task: how much did the reward move, and is it more than noise?

    python compare_runs.py results/baseline/rollouts.jsonl results/candidate/rollouts.jsonl [--seed 0]

For the whole and for each environment it prints the difference with two 95 % intervals. "same tasks": would these tasks show
it again? It uses how the repeats of each task differ. "other tasks": would tasks like these show it? It draws tasks again
(paired bootstrap). The last column is the smallest difference that so many tasks and repeats show reliably (power 80 %).
Exit code: 0 no reward fell, 1 one fell by more than noise, 2 bad input.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections import defaultdict
from pathlib import Path

from run_quality import TASK, BadInput, group_of, look, rows_of

Z, POWER = 1.96, 2.8  # 95 % two-sided; with 80 % power


def rewards_of(path: Path, by: str | None) -> tuple[dict[object, list[float]], dict[object, str], dict[object, object]]:
    """Rewards of each task, without masked rollouts, the group of each task, and what it asks."""
    rewards, groups, prompts = defaultdict(list), {}, {}
    for row in rows_of(path):
        if TASK not in row or not isinstance(row.get("response"), dict):
            raise BadInput(f"{path} holds a row that is no rollout. Give the file that gym eval run wrote.")
        if (reward := look(row)["reward"]) is not None:
            rewards[row[TASK]].append(reward)
            groups[row[TASK]] = group_of(row, by)
            prompts.setdefault(row[TASK], (row.get("responses_create_params") or {}).get("input"))
    if not rewards:
        raise BadInput(f"{path} holds no rollouts with a reward.")
    return rewards, groups, prompts


def variance_within(rewards: dict[object, list[float]], tasks: list) -> float | None:
    """Variance of a reward around the mean of its task, pooled over the tasks."""
    freedom = sum(len(rewards[task]) - 1 for task in tasks)
    if not freedom:
        return None
    total = 0.0
    for task in tasks:
        centre = sum(rewards[task]) / len(rewards[task])
        total += sum((reward - centre) ** 2 for reward in rewards[task])
    return total / freedom


def compare(a: dict, b: dict, tasks: list, draws: int, seed: int) -> dict:
    """The mean over tasks of the difference of their mean rewards, with its intervals."""
    mean = lambda values: sum(values) / len(values)  # noqa: E731
    differences = [mean(b[task]) - mean(a[task]) for task in tasks]
    result = {"tasks": len(tasks), "a": mean([mean(a[t]) for t in tasks]), "b": mean([mean(b[t]) for t in tasks])}
    result["delta"] = mean(differences)
    parts = [(variance_within(side, tasks), sum(1 / len(side[task]) for task in tasks)) for side in (a, b)]
    result["se"] = None if any(variance is None for variance, _ in parts) else math.sqrt(sum(v * n for v, n in parts)) / len(tasks)
    chance = random.Random(seed)
    drawn = sorted(mean(chance.choices(differences, k=len(tasks))) for _ in range(draws))
    result["low"], result["high"] = drawn[int(0.025 * draws)], drawn[min(draws - 1, int(0.975 * draws))]
    return result


def line_of(name: str, result: dict) -> str:
    se = result["se"]
    same = f"[{result['delta'] - Z * se:+.3f}, {result['delta'] + Z * se:+.3f}]" if se is not None else "needs repeats"
    least = f"{POWER * se:.3f}" if se is not None else "-"
    other = f"[{result['low']:+.3f}, {result['high']:+.3f}]"
    return f"{name:<20}{result['tasks']:>6}{result['a']:>9.3f}{result['b']:>9.3f}{result['delta']:>+9.3f}  {same:<19}{other:<19}{least:>8}  {verdict(result)}"


def verdict(result: dict) -> str:
    if result["se"] is None:  # without repeats only the spread over the tasks can tell
        return "fell" if result["high"] < 0 else "rose" if result["low"] > 0 else "?"
    if abs(result["delta"]) <= Z * result["se"]:
        return "noise"
    word = "fell" if result["delta"] < 0 else "rose"
    return word if result["low"] > 0 or result["high"] < 0 else f"{word} on these tasks"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("baseline", type=Path, metavar="BASELINE.jsonl")
    parser.add_argument("candidate", type=Path, metavar="CANDIDATE.jsonl")
    parser.add_argument("--by", metavar="FIELD", help="group by this field of the rollouts (default: environment)")
    parser.add_argument("--draws", type=int, default=2000, help="draws of the bootstrap (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: %(default)s)")
    args = parser.parse_args(argv)
    if args.draws < 100:
        parser.error("--draws must be 100 or more")
    try:
        (a, groups, asked), (b, _, asked_b) = (rewards_of(path, args.by) for path in (args.baseline, args.candidate))
        tasks = [task for task in a if task in b]
        if not tasks:
            raise BadInput(f"{args.baseline} and {args.candidate} share no task index. Compare runs of the same task file.")
        if others := [task for task in tasks if asked[task] != asked_b[task]]:
            raise BadInput(f"{len(others)} tasks have the same index and other prompts, {others[0]} first. Compare runs of the same task file.")
    except BadInput as error:
        print(f"compare_runs.py: {error}", file=sys.stderr)
        return 2
    by_group = defaultdict(list)
    for task in tasks:
        by_group[groups[task]].append(task)
    chosen = {"all": tasks} | (dict(sorted(by_group.items())) if len(by_group) > 1 else {})
    print(f"{'':<20}{'tasks':>6}{'baseline':>9}{'cand.':>9}{'delta':>9}  {'same tasks, 95 %':<19}{'other tasks, 95 %':<19}{'shows':>8}")
    results = {name: compare(a, b, group, args.draws, args.seed) for name, group in chosen.items()}
    for name, result in results.items():
        print(line_of(name, result))
    if alone := len(a.keys() ^ b.keys()):
        print(f"{alone} tasks are in one of the runs only and were left out")
    return 1 if any(verdict(result).startswith("fell") for result in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
