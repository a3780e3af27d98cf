"""Compare two runs of the same tasks, task by task: how much did the reward move, and is it more than noise?

    python compare_runs.py results/baseline/rollouts.jsonl results/candidate/rollouts.jsonl [--seed 0]

For the whole and for each environment it prints the difference with two 95 % intervals. "same tasks": would these tasks show
it again? It uses how the repeats of each task differ. "other tasks": would tasks like these show it? It draws tasks again
(paired bootstrap), which needs 20 of them. "shows" is the smallest difference that so many tasks and repeats show reliably (power
80 %). Without repeats nothing tells a change from noise: "?".
Exit code: 0 no reward fell, 1 one fell by more than noise, 2 bad input.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import defaultdict
from pathlib import Path

from measuring import BadInput, Rollouts, Seen, group_of, prompt_key, task_of, unmeasured
from noise import ENOUGH_TASKS, bootstrap, t_quantile, variance_within

POWER = 2.8  # standard errors: 95 % two-sided with 80 % power


def rewards_of(path: Path, by: str | None) -> tuple[dict[object, list[float]], dict[object, str], dict[object, object]]:
    """Rewards of each task, without masked and failed rollouts, the group of each task, and what it asks."""
    rewards, groups, prompts, seen = defaultdict(list), {}, {}, Seen(path)
    for number, _, _, row in Rollouts(path):
        seen.add(number, row)
        if unmeasured(row) is None:
            task = task_of(row)
            rewards[task].append(float(row["reward"]))
            groups[task] = group_of(row, by)
            if task not in prompts:
                prompts[task] = prompt_key(row)
    if not rewards:
        raise BadInput(f"{path} holds no rollouts with a reward.")
    return rewards, groups, prompts


def compare(a: dict, b: dict, tasks: list, draws: int, seed: int) -> dict:
    """The mean over tasks of the difference of their mean rewards, with its intervals."""
    mean = lambda values: sum(values) / len(values)  # noqa: E731
    differences = [mean(b[task]) - mean(a[task]) for task in tasks]
    result = {"tasks": len(tasks), "a": mean([mean(a[t]) for t in tasks]), "b": mean([mean(b[t]) for t in tasks])}
    result["delta"] = mean(differences)
    squares = [0.0, 0.0]
    for number, side in enumerate((a, b)):
        within = variance_within([(len(side[t]), sum(side[t])) for t in tasks], sum(r * r for t in tasks for r in side[t]))
        squares[number] = None if within is None else within * sum(1 / len(side[t]) for t in tasks)
    result["se"] = None if None in squares else math.sqrt(sum(squares)) / len(tasks)
    result["z"] = t_quantile(0.975, max(1, sum(len(side[t]) - 1 for t in tasks for side in (a, b))))
    result["other"] = bootstrap(differences, draws, seed)
    return result


def line_of(name: str, result: dict) -> str:
    se, other = result["se"], result["other"]
    same = f"{result['delta'] - result['z'] * se:+.3f}, {result['delta'] + result['z'] * se:+.3f}" if se is not None else "needs repeats"
    least = f"{POWER * se:.3f}" if se is not None else "-"
    other = f"{other[0]:+.3f}, {other[1]:+.3f}" if other else f"needs {ENOUGH_TASKS} tasks"
    return (f"{name}{result['tasks']:>6} {result['a']:>5.3f} {result['b']:>5.3f} {result['delta']:>+6.3f} "
            f"{same:<15} {other:<14} {least:>5} {verdict(result)}")


def verdict(result: dict) -> str:
    """noise; fell or rose; the same with " here" where only these tasks show it; ? without repeats."""
    if result["se"] is None:
        return "?"
    if abs(result["delta"]) <= result["z"] * result["se"]:
        return "noise"
    word = "fell" if result["delta"] < 0 else "rose"
    return word if result["other"] and (result["other"][0] > 0 or result["other"][1] < 0) else f"{word} here"


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
    width = min(30, max(map(len, chosen)))
    print(f"{'':{width}} tasks  base cand.  delta {'same tasks':<15} {'other tasks':<14} shows")
    results = {name: compare(a, b, group, args.draws, args.seed) for name, group in chosen.items()}
    for name, result in results.items():
        print(line_of(f"{name[:width]:{width}}", result))
    if alone := len(a.keys() ^ b.keys()):
        print(f"{alone} tasks are in one of the runs only and were left out")
    told = [verdict(result) for result in results.values()]
    # One rollout a task cannot tell a change from noise, but 20 tasks that all fall are no accident.
    collapsed = [name for name, result in results.items() if result["se"] is None and result["other"] and result["other"][1] < 0]
    for name in collapsed:
        print(f"{name}: no repeats to judge by, but the spread over the tasks does not explain the fall. Collect repeats")
    return 1 if collapsed or any(word.startswith("fell") for word in told) else 0


if __name__ == "__main__":
    sys.exit(main())
