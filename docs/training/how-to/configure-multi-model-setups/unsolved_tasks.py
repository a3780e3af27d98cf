"""Write the tasks that a run did not solve, as the input of the next, more expensive model of a cascade.

    python unsolved_tasks.py ROLLOUTS.jsonl -o unsolved.jsonl [--solved-at 1.0]

A task is solved if its best rollout reaches --solved-at. Tasks come from ROLLOUTS_materialized_inputs.jsonl, keep their
index, and lose the agent that tried them. A task whose rollouts have no score counts as unsolved.
Exit code: 0 tasks written, 1 every task is solved (no file), 2 bad input.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rollouts import TASK, BadInput, Rollouts, dumps, lines, task_of, unmeasured, whole_row, writing


def solved_in(path: Path, at: float) -> set[int]:
    """The tasks with a measured rollout whose reward reaches ``at``."""
    return {task_of(row) for _, _, _, row in Rollouts(path) if not unmeasured(row) and row["reward"] >= at}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rollouts", type=Path, metavar="ROLLOUTS.jsonl", help="what gym eval run wrote with -o")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where to write the unsolved tasks")
    parser.add_argument("--solved-at", type=float, default=1.0, metavar="REWARD", help="reward of a solved task (default: %(default)s)")
    args = parser.parse_args(argv)
    inputs = args.rollouts.with_name(f"{args.rollouts.stem}_materialized_inputs.jsonl")
    seen, unsolved = set(), []
    try:
        solved = solved_in(args.rollouts, args.solved_at)
        for number, _, raw, row in lines(inputs):
            if type(row.get(TASK)) is not int:
                raise BadInput(f"{inputs}:{number}: no {TASK}. Give the rollouts that gym eval run wrote, with this file beside them")
            if row[TASK] not in seen and row[TASK] not in solved:
                unsolved.append({key: value for key, value in whole_row(raw, row).items() if key == TASK or not key.startswith("_ng_") and key != "agent_ref"})
            seen.add(row[TASK])  # other repeats are the same task
        if unsolved:
            with writing(args.output, inputs=[args.rollouts, inputs]) as out:
                out.writelines(map(dumps, unsolved))
    except BadInput as error:
        print(f"unsolved_tasks.py: {error}", file=sys.stderr)
        return 2
    written = len(unsolved)
    print(f"{len(seen)} tasks, {len(seen) - written} solved, {written} to {args.output if written else 'write'}")
    return 0 if written else 1


if __name__ == "__main__":
    sys.exit(main())
