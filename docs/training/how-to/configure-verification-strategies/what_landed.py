"""Tell for one run where its rollouts ended up: scored, masked, failed or nowhere, by agent and by reason.

    python what_landed.py ROLLOUTS.jsonl [--agent NAME]

Reads ROLLOUTS_failures.jsonl and the plan, ROLLOUTS_materialized_inputs.jsonl, beside it as well. Of several attempts the last one
counts, and a finished rollout more than any failure. Below each agent stands the mean reward of what was scored.
Exit code: 0 every rollout has a score, 1 some have none, 2 bad input.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

from rollouts import KINDS, REPEAT, TASK, BadInput, dict_of, kind_of, lines, masked, unmeasured


NOWHERE = "no row: not reached, or killed"


def readable(text: object, most: int = 10_000) -> str:
    """What a model or a server wrote, without what would steer a terminal: control characters as their escapes."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", lambda found: ascii(found[0])[1:-1], str(text)[:most])


def reason_of(row: dict) -> str:
    """What was wrong, in one short line: the reason without what differs from row to row."""
    text = row.get("failure_reason") or row.get("_ng_failure_judge_error") or row.get("_ng_failure_message") or ""
    return readable(re.sub(r"https?://[^\s',]*", "URL", " ".join(str(text).split()))[:52])


def place_of(row: dict) -> str:
    """scored 0.5, masked, or the class of the failure."""
    if (kind := kind_of(row)) in ("chat", "pair", "completion", "task", "profile", "verdict", "aggregate"):
        return f"no rollout, but {KINDS[kind]}"
    if failure := row.get("_ng_failure_class"):
        return readable(f"failed: {failure}")
    if masked(row):
        return readable(f"masked: {row.get('failure_kind') or 'no failure_kind'}")
    kind = f" ({row['failure_kind']})" if row.get("failure_kind") else ""
    return readable(unmeasured(row) or f"scored {shown(row['reward'])}{kind}")


def shown(reward: float) -> str:
    """Two decimals, and more where they would make it a whole number that it is not: 1.004 is above 1."""
    text = f"{reward:.2f}"
    return f"{reward:.6g}" if float(text).is_integer() and float(text) != reward else text


def landed(path: Path, wanted: str | None) -> tuple[Counter, dict[str, list[float]]]:
    """How often each (agent, place, reason) occurs, and the rewards of each agent's scored rollouts."""
    failures, plan = (path.with_name(f"{path.stem}_{what}.jsonl") for what in ("failures", "materialized_inputs"))
    last_of: dict[str, tuple[str, str, str, float | None]] = {}
    # A later file is the better witness of the same rollout.
    for file in (plan, failures, path):
        for number, _, _, row in lines(file) if file == path or file.exists() and file.stat().st_size else ():
            agent = readable(dict_of(row, "agent_ref").get("name") or "no agent")
            if file == plan and agent == "no agent" or wanted not in (None, agent):
                continue  # a plan without agents does not say whose rollout this will be
            key = f"{agent} {row[TASK]} {row[REPEAT]}" if TASK in row and REPEAT in row else f"{file} {number}"
            if (stage := row.get("stage_index")) is not None:  # the plan knows no stages
                if key in last_of and last_of[key][1] == NOWHERE:
                    del last_of[key]
                key += f" {stage}"
            place, reason = (NOWHERE, "") if file == plan else (place_of(row), reason_of(row))
            last_of[key] = agent, place, reason, float(row["reward"]) if place.startswith("scored") else None
    rewards: dict[str, list[float]] = {}
    for agent, _, _, reward in last_of.values():
        if reward is not None:
            rewards.setdefault(agent, []).append(reward)
    return Counter(entry[:3] for entry in last_of.values()), rewards


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rollouts", type=Path, metavar="ROLLOUTS.jsonl", help="what gym eval run wrote with -o")
    parser.add_argument("--agent", help="only the rollouts of this agent")
    args = parser.parse_args(argv)
    try:
        seen, rewards = landed(args.rollouts, args.agent)
        if not seen:
            raise BadInput(f"{args.rollouts} holds no rollouts of {args.agent}.")
    except BadInput as error:
        print(f"what_landed.py: {error}", file=sys.stderr)
        return 2
    for agent in sorted({agent for agent, _, _ in seen}):
        print(agent)
        for (_, place, reason), count in sorted(item for item in seen.items() if item[0][0] == agent):
            print(f"{count:5} x {place}{f' - {reason}' if reason else ''}")
        if agent in rewards:
            print(f"        mean {sum(rewards[agent]) / len(rewards[agent]):.3f} of {len(rewards[agent])} scored")
    return int(any(not place.startswith("scored") for _, place, _ in seen))


if __name__ == "__main__":
    sys.exit(main())
