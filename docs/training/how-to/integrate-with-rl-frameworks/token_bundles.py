"""Turn rollouts with token ids into what a policy-gradient step needs: ids, mask, log probabilities, reward.

    python token_bundles.py ROLLOUTS.jsonl -o trajectories.jsonl

Each model call of a rollout carries prompt_token_ids, generation_token_ids and generation_log_probs. A later prompt must
begin with everything before it, token by token; what it adds comes from the environment and gets mask 0. The model's own
tokens get mask 1. Text is never tokenized again. A rollout that does not fit is left out under its reason.

Exit code: 0 done, 1 no trajectory was left, 2 bad input. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from pathlib import Path

from rollouts import LISTS, BadInput, Rollouts, Seen, dumps, list_of, masked, task_of, unanswered, unmeasured, writing

BUNDLE = ("prompt_token_ids", "generation_token_ids", "generation_log_probs")


class Unusable(Exception):
    """Why a rollout must not be trained on."""


def bundle(call: dict) -> list[list]:
    """Prompt, generated ids and their log probabilities of one model call."""
    given, ids, logs = found = [call.get(key) for key in BUNDLE]
    if not all(type(part) is list for part in found) or not given or len(ids) != len(logs):
        raise Unusable("an incomplete bundle of token ids and log probabilities")
    if not all(type(token) is int and token >= 0 for token in given + ids):
        raise Unusable("token ids that are no whole numbers")
    if not all(type(log) in (int, float) and abs(log) < 1e300 for log in logs):
        raise Unusable("log probabilities that are no finite numbers")
    return found


def trajectory(rollout: dict) -> dict:
    """One rollout as one sequence: prompt_ids, then completion_ids with mask and logprobs of the same length."""
    if masked(rollout):
        raise Unusable("masked: mask_sample is true")
    if why := unmeasured(rollout):
        raise Unusable(why)
    prompt, completion, mask, logprobs = [], [], [], []
    calls = [item for item in list_of(rollout["response"], "output") if item.get("generation_token_ids")]
    if not calls:
        raise Unusable(LISTS if unanswered(rollout) == LISTS else "no token ids: is return_token_id_information true?")
    for number, call in enumerate(calls):
        given, ids, logs = bundle(call)
        if number == 0:
            prompt = list(given)
        seen = prompt + completion
        if given[: len(seen)] != seen:
            raise Unusable(f"not contiguous: the prompt of call {number + 1} does not extend what came before")
        new = given[len(seen) :]
        completion += new + ids
        mask += [0] * len(new) + [1] * len(ids)
        logprobs += [0.0] * len(new) + logs
    return {
        "task": task_of(rollout), "reward": float(rollout["reward"]), "calls": len(calls),
        "prompt_ids": prompt, "completion_ids": completion, "mask": mask, "logprobs": logprobs,
    }


def advantages(trajectories: list[dict]) -> list[float]:
    """Reward minus the mean of its task, over the task's deviation, as GRPO has it. Equal rewards give zeros."""
    groups: dict[object, list[float]] = {}
    for one in trajectories:
        groups.setdefault(one["task"], []).append(one["reward"])
    found = []
    for one in trajectories:
        rewards = groups[one["task"]]
        mean = sum(rewards) / len(rewards)
        deviation = math.sqrt(sum((reward - mean) ** 2 for reward in rewards) / len(rewards))
        found.append((one["reward"] - mean) / deviation if deviation else 0.0)
    return found


def report(total: int, kept: list[dict], reasons: Counter) -> str:
    learned, tokens = sum(sum(one["mask"]) for one in kept), sum(len(one["mask"]) for one in kept)
    lines = [f"{total} rollouts in, {len(kept)} trajectories out", f"  {learned} tokens of the model, {tokens - learned} of the environment between them"]
    return "\n".join(lines + [f"  {count} left out: {reason}" for reason, count in reasons.most_common()])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rollouts", type=Path, metavar="ROLLOUTS.jsonl", help="what gym eval run wrote with -o")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the trajectories, one a line")
    args = parser.parse_args()
    reasons, kept = Counter(), []
    run, seen = Rollouts(args.rollouts), Seen(args.rollouts)
    try:
        for line, _, _, rollout in run:
            seen.add(line, rollout)
            try:
                kept.append(trajectory(rollout))
            except Unusable as reason:
                reasons[str(reason)] += 1
        if kept:
            with writing(args.output, inputs=[args.rollouts]) as out:
                for one in kept:
                    out.write(dumps(one))
    except BadInput as error:
        print(f"token_bundles.py: {error}", file=sys.stderr)
        return 2
    print("\n".join([*run.notes(), report(run.count, kept, reasons)]))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
