"""One on-policy policy-gradient step on the CPU.

    trainers/bin/python train_step.py trajectories.jsonl -o trained.gguf

Runs the model over the recorded ids (no text is tokenized), compares its log probabilities with those that the endpoint
recorded, and refuses if they differ too much: then the rollouts are not from these weights. Else it makes one step
on the tokens with mask 1, weighted by advantage and by a truncated importance ratio. It trains the feed-forward weights of the last
layers of SmolLM2, so that two cores do it in seconds, and writes them for `practice_endpoint.py --weights`.

Exit code: 0 done, 1 nothing to learn or not on-policy, 2 bad input.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TQDM_DISABLE", "1")

from rollouts import BadInput, lines
from token_bundles import advantages

import practice_policy

# torch takes seconds to import: only where it is needed, after the input has been looked at.


def log_probs(model, one: dict):
    """The log probability of each completion token, given everything before it."""
    import torch

    ids = torch.tensor([one["prompt_ids"] + one["completion_ids"]])
    start = len(one["prompt_ids"])
    hidden = model.model(input_ids=ids).last_hidden_state[0, start - 1 : -1]
    return model.lm_head(hidden).log_softmax(-1).gather(1, ids[0, start:, None])[:, 0]


def step(
    model, trained: list, batch: list[dict], gains: list[float], args: argparse.Namespace
) -> dict:
    """Score, compare, and make one step. Returns what was measured."""
    import torch

    optimizer = torch.optim.AdamW(trained, lr=args.learning_rate, weight_decay=0.0)
    tokens = sum(sum(one["mask"]) for one in batch)
    differences, scores = [], []
    for one, gain in zip(batch, gains):
        mask = torch.tensor(one["mask"], dtype=torch.bool)
        new, old = log_probs(model, one)[mask], torch.tensor(one["logprobs"])[mask]
        differences.append((new.detach() - old).abs())
        scores.append(new.detach().sum().item())
        # How much likelier the token is here than where it was sampled.
        ratio = (new.detach() - old).exp().clamp(max=2.0)
        (-(ratio * gain * new).sum() / tokens).backward()
    differences = torch.cat(differences)
    mean, largest = differences.mean().item(), differences.max().item()
    found = {"tokens": tokens, "mean": mean, "largest": largest}
    if mean > args.max_difference:
        return found
    found["norm"] = torch.nn.utils.clip_grad_norm_(trained, 1.0).item()
    optimizer.step()
    found["right way"] = 0
    with torch.no_grad():
        for one, gain, before in zip(batch, gains, scores):
            mask = torch.tensor(one["mask"], dtype=torch.bool)
            after = log_probs(model, one)[mask].sum().item()
            found["right way"] += gain * (after - before) > 0
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trajectories", type=Path, help="what token_bundles.py or collect_on_policy.py wrote")
    parser.add_argument("-o", "--output", type=Path, help="write the trained weights to this GGUF file")
    parser.add_argument("--weights", type=Path, metavar="FILE.gguf", help="start from these, as the endpoint does with its --weights")
    parser.add_argument("--batch", type=int, default=8, help="most trajectories in the step (default: %(default)s)")
    parser.add_argument("--layers", type=int, default=2, help="how many of the last layers to train (default: %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=1e-4, help="default: %(default)s")
    parser.add_argument("--max-difference", type=float, default=0.2, metavar="NATS",
                        help="refuse if log probabilities differ by more on average (default: %(default)s)")
    parser.add_argument("--model", choices=("smollm2", "tiny"), default="smollm2", help="tiny has random weights: to see a mismatch")
    args = parser.parse_args()
    try:
        rows = [row for *_, row in lines(args.trajectories)]
        if missing := next((key for row in rows for key in ("prompt_ids", "completion_ids", "mask", "logprobs", "reward") if key not in row), None):
            raise BadInput(f"{args.trajectories}: no {missing}. Give a file that token_bundles.py wrote")
    except BadInput as error:
        print(f"train_step.py: {error}", file=sys.stderr)
        return 2
    if args.weights and not args.weights.is_file():
        parser.error(f"{args.weights}: no such file")
    gains = advantages(rows)
    useful = [(row, gain) for row, gain in zip(rows, gains) if gain]
    chosen = useful[: args.batch]
    if not chosen:
        print("Nothing to learn: within each task all rewards are equal.")
        return 1
    model = practice_policy.model(tiny=args.model == "tiny", file=args.weights).requires_grad_(False)
    named = practice_policy.trained_weights(model, args.layers)
    trained = [weight.requires_grad_(True) for weight in named.values()]
    found = step(model, trained, [row for row, _ in chosen], [gain for _, gain in chosen], args)
    print(f"{len(useful)} of {len(rows)} trajectories have an advantage; {len(chosen)} in this step, {found['tokens']} tokens in the loss")
    print(f"log probabilities, trainer against endpoint: {found['mean']:.3f} apart on average, {found['largest']:.3f} at most")
    if "norm" not in found:
        print(f"Not on-policy (limit {args.max_difference}): no step made.\nWere these rollouts sampled from other weights, or at a temperature other than 1?")
        return 1
    print(f"one step: gradient norm {found['norm']:.3f}; {found['right way']} of {len(chosen)} trajectories moved as their advantage says")
    if args.output:
        practice_policy.save(named, args.output, args.weights)
        print(f"{args.output}: weights for practice_endpoint.py --weights")
    return 0


if __name__ == "__main__":
    sys.exit(main())
