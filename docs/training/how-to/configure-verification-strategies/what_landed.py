"""Tell for one run where its rollouts ended up: scored, masked, failed or nowhere, by verifier and by reason.

    python what_landed.py ROLLOUTS.jsonl [--agent NAME]

Reads ROLLOUTS_failures.jsonl and the plan, ROLLOUTS_materialized_inputs.jsonl, beside it as well. Of several attempts the last one
counts, and a finished rollout more than any failure. Exit code: 0 every rollout has a score, 1 some have none, 2 bad input.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from pathlib import Path


KEY = ("_ng_task_index", "_ng_rollout_index")


class BadInput(Exception):
    """Something the reader can put right; shown as one line."""


def rows_of(path: Path):
    """The rows of a file, one by one."""
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                    agent = (row.get("agent_ref") or {}).get("name") or "no agent"
                except (ValueError, AttributeError):
                    raise BadInput(f"{path}, line {number} is no rollout. Give the file that gym eval run wrote.") from None
                yield agent, row
    except OSError as error:
        raise BadInput(f"Cannot read {path}: {error.strerror}. Check the path.") from None


def reason_of(row: dict) -> str:
    """What was wrong, in one short line: the reason without what differs from row to row."""
    text = row.get("failure_reason") or row.get("_ng_failure_judge_error") or row.get("_ng_failure_message") or ""
    return re.sub(r"https?://[^\s',]*", "URL", " ".join(str(text).split()))[:70]


def place_of(row: dict) -> str:
    """scored 0.5, masked, or the class of the failure."""
    if failure := row.get("_ng_failure_class"):
        return f"failed: {failure}"
    if row.get("mask_sample"):
        return f"masked: {row.get('failure_kind') or 'no failure_kind'}"
    kind = f" ({row['failure_kind']})" if row.get("failure_kind") else ""
    return f"scored {row['reward']:.2f}{kind}" if isinstance(row.get("reward"), (int, float)) else "no reward"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rollouts", type=Path, metavar="ROLLOUTS.jsonl", help="what gym eval run wrote with -o")
    parser.add_argument("--agent", help="only the rollouts of this agent")
    args = parser.parse_args(argv)
    failures, plan = (args.rollouts.with_name(f"{args.rollouts.stem}_{what}.jsonl") for what in ("failures", "materialized_inputs"))
    last_of: dict[tuple, tuple[str, str, str]] = {}
    try:
        # A later file is the better witness of the same rollout.
        for path in [plan, failures, args.rollouts]:
            for agent, row in rows_of(path) if path.exists() or path == args.rollouts else ():
                if path == plan and not row.get("agent_ref"):
                    continue  # it does not say whose rollout this will be
                if args.agent in (None, agent):
                    key = tuple(row.get(name) for name in KEY) if KEY[0] in row else (path, len(last_of))
                    last_of[(agent, *key)] = (agent, "no row: not reached, or killed", "") if path == plan else (agent, place_of(row), reason_of(row))
        seen = Counter(last_of.values())
        if not seen:
            raise BadInput(f"{args.rollouts} holds no rollouts{f' of {args.agent}' if args.agent else ''}.")
    except BadInput as error:
        print(f"what_landed.py: {error}", file=sys.stderr)
        return 2
    last = None
    for (agent, place, reason), count in sorted(seen.items()):
        if agent != last:
            print(agent)
        last = agent
        print(f"{count:5} x {place}{f' - {reason}' if reason else ''}")
    return int(any(not place.startswith("scored") for _, place, _ in seen))


if __name__ == "__main__":
    sys.exit(main())
