"""Write the tasks that a run did not solve, as the input of the next, more expensive model of a cascade.

    python unsolved_tasks.py ROLLOUTS.jsonl -o unsolved.jsonl [--solved-at 1.0]

A task is solved if its best rollout reaches --solved-at. Tasks come from ROLLOUTS_materialized_inputs.jsonl, keep their
index, and lose the agent that tried them. A task whose rollouts have no score counts as unsolved.
Exit code: 0 tasks written, 1 every task is solved (no file), 2 bad input.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

TASK = "_ng_task_index"


class BadInput(Exception):
    """Something the reader can put right; shown as one line."""


def rows_of(path: Path, what: str):
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                    row[TASK]
                except (ValueError, KeyError, TypeError):
                    raise BadInput(f"{path}, line {number} is no {what}. Give the file that gym eval run wrote.") from None
                yield row
    except OSError as error:
        raise BadInput(f"Cannot read {path}: {error.strerror}. Check the path.") from None


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rollouts", type=Path, metavar="ROLLOUTS.jsonl", help="what gym eval run wrote with -o")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where to write the unsolved tasks")
    parser.add_argument("--solved-at", type=float, default=1.0, metavar="REWARD", help="reward of a solved task (default: %(default)s)")
    args = parser.parse_args(argv)
    temporary = args.output.with_name(f".{args.output.name}.part")
    try:
        solved = {
            row[TASK] for row in rows_of(args.rollouts, "rollout")
            if isinstance(row.get("reward"), (int, float)) and not row.get("mask_sample") and row["reward"] >= args.solved_at
        }
        seen, written = set(), 0
        with temporary.open("w", encoding="utf-8") as out:
            for row in rows_of(args.rollouts.with_name(f"{args.rollouts.stem}_materialized_inputs.jsonl"), "task"):
                if row[TASK] in seen:
                    continue  # another repeat of the same task
                seen.add(row[TASK])
                if row[TASK] not in solved:
                    kept = {key: value for key, value in row.items() if key == TASK or not key.startswith("_ng_") and key != "agent_ref"}
                    out.write(json.dumps(kept, ensure_ascii=False) + "\n")
                    written += 1
        if not seen:
            raise BadInput(f"{args.rollouts} has no tasks.")
        if written:
            temporary.replace(args.output)
    except BadInput as error:
        print(f"unsolved_tasks.py: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"unsolved_tasks.py: Cannot write {args.output}: {error.strerror}. Create the folder first.", file=sys.stderr)
        return 2
    finally:
        temporary.unlink(missing_ok=True)
    print(f"{len(seen)} tasks, {len(seen) - written} solved, {written} to {args.output if written else 'write'}")
    return 0 if written else 1


if __name__ == "__main__":
    sys.exit(main())
