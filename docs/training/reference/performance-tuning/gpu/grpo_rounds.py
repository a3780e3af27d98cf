"""GRPO in rounds: collect with Gym, make steps, load the new weights into the running engine, evaluate; then again.

    python grpo_rounds.py train.jsonl --held-out held_out.jsonl --model DIR --rounds 8 -o rounds.json

The engine is vLLM, started with VLLM_SERVER_DEV_MODE=1, which opens the routes that load weights; `gym env start` runs with
return_token_id_information: true. Run it with a Python that has torch and transformers. What Gym does goes through its own
commands, given by --gym and --gym-python. The loss: advantage of the group, times the ratio to the recorded log probabilities,
clipped; no reference model. Exit code: 0 done, 1 a command failed, 2 bad input.
"""

import argparse
import json
import os
import random
import shlex
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent


def shell(command: str, folder: Path, log: Path) -> None:
    """One command in the run's folder; what it says goes to the log, with the command itself."""
    with log.open("a") as out:
        print(f"$ {command}", file=out, flush=True)
        done = subprocess.run(command, shell=True, cwd=folder, stdout=out, stderr=out, executable="/bin/bash")
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode} from: {command} (see {log})")


def load_weights(engine: str, folder: Path) -> float:
    """Into the running engine, in place; then its prefix cache holds states of the old weights, and goes."""
    started = time.monotonic()
    for path, body in (("collective_rpc", {"method": "reload_weights", "kwargs": {"weights_path": str(folder)}}), ("reset_prefix_cache", {})):
        request = urllib.request.Request(f"{engine}/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=120).read()
    return time.monotonic() - started


def evaluate(args: argparse.Namespace, name: str) -> dict:
    """`gym eval run` on the held-out tasks, and what it says of the mean."""
    output = args.folder / "evaluations" / name / "rollouts.jsonl"
    shell(f"{args.gym} eval run --no-serve {args.run_options} --agent {args.agent} -i {shlex.quote(str(args.held_out))} -o {shlex.quote(str(output))} "
          f"--num-repeats {args.eval_repeats} --concurrency {args.concurrency} --temperature 1.0", args.folder, args.log)
    metrics = json.loads(output.with_name("rollouts_aggregate_metrics.json").read_text())
    its = next(one for one in metrics if one.get("agent_ref", {}).get("name") == args.agent or len(metrics) == 1)
    families: dict[str, list[float]] = {}
    tasks: dict[int, list[float]] = {}
    for line in output.read_text().splitlines():
        row = json.loads(line)
        tasks.setdefault(row["_ng_task_index"], []).append(row["reward"])
        families.setdefault((row.get("metadata") or {}).get("family", "all"), []).append(row["reward"])
    means = [statistics.fmean(rewards) for rewards in tasks.values()]
    half = 1.96 * statistics.stdev(means) / len(means) ** 0.5  # the noise of which tasks were held out, too
    return {"name": name, "mean": round(statistics.fmean(means), 4), "half_interval": round(half, 4), "tasks": len(means), "families": {key: round(sum(rewards) / len(rewards), 4) for key, rewards in sorted(families.items())},
            "reward": {key: value for key, value in its["agent_metrics"].items() if "reward" in key}}


def steps(model, optimizer, rows: list[dict], gains: list[float], args: argparse.Namespace) -> dict:
    """One pass over the trajectories in batches. Ids and log probabilities are as recorded: nothing is tokenized."""
    import torch

    device, clipped, differences, tokens, norms = model.device, 0, [], 0, []
    order = random.Random(len(rows)).sample(range(len(rows)), len(rows))
    for start in range(0, len(order), args.batch):
        part = [(rows[place], gains[place]) for place in order[start:start + args.batch]]
        length = max(len(row["prompt_ids"]) + len(row["completion_ids"]) for row, _ in part)
        shape = (len(part), length)
        ids, seen, mask = (torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long), torch.zeros(shape))
        old, gain = torch.zeros(shape), torch.tensor([one for _, one in part])[:, None].to(device)
        for place, (row, _) in enumerate(part):
            first, end = len(row["prompt_ids"]), len(row["prompt_ids"]) + len(row["completion_ids"])
            ids[place, :end], seen[place, :end] = torch.tensor(row["prompt_ids"] + row["completion_ids"]), 1
            mask[place, first:end], old[place, first:end] = torch.tensor(row["mask"], dtype=torch.float), torch.tensor(row["logprobs"])
        ids, seen, mask, old = (its.to(device) for its in (ids, seen, mask, old))
        logits = model(ids, attention_mask=seen).logits[:, :-1].float()
        new = logits.log_softmax(-1).gather(2, ids[:, 1:, None])[..., 0]
        mask, old = mask[:, 1:], old[:, 1:]
        ratio = ((new - old) * mask).exp()
        loss = -(torch.minimum(ratio * gain, ratio.clamp(1 - args.clip, 1 + args.clip) * gain) * mask).sum() / mask.sum()
        optimizer.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item())
        optimizer.step()
        with torch.no_grad():
            differences.append(((new - old).abs() * mask).sum().item())
            clipped += (((ratio - 1).abs() > args.clip) * mask).sum().item()
            tokens += mask.sum().item()
    return {"tokens": int(tokens), "gap": round(sum(differences) / tokens, 4), "clipped": round(clipped / tokens, 4), "norm": round(sum(norms) / len(norms), 3)}


def rounds(args: argparse.Namespace) -> dict:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    sys.path.insert(0, str(args.scripts))
    from token_bundles import advantages

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).to(device)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.learning_rate, weight_decay=0.0)
    tasks = args.tasks.read_text().splitlines()
    data = {"model": args.model.name, "tasks_per_round": args.per_round, "repeats": args.repeats, "learning_rate": args.learning_rate, "batch": args.batch, "rounds": []}
    pick = random.Random(0)
    for number in range(args.rounds + 1):
        one = {"round": number}
        if number:
            chosen = args.folder / "round_tasks.jsonl"
            chosen.write_text("\n".join(pick.sample(tasks, min(args.per_round, len(tasks)))) + "\n")
            started = time.monotonic()
            shell(f"{args.gym_python} {args.scripts}/collect_on_policy.py {chosen} -o round.jsonl --repeats {args.repeats} --concurrency {args.concurrency} "
                  f"--task-source {args.task_source} --head-server {args.head}", args.folder, args.log)
            rows = [json.loads(line) for line in (args.folder / "round.jsonl").read_text().splitlines()]
            one |= {"collect_s": round(time.monotonic() - started, 1), "trajectories": len(rows), "reward": round(sum(row["reward"] for row in rows) / len(rows), 4)}
            gains = advantages(rows)
            useful = [(row, gain) for row, gain in zip(rows, gains) if gain]
            started = time.monotonic()
            one |= steps(model, optimizer, [row for row, _ in useful], [gain for _, gain in useful], args) if useful else {}
            one |= {"useful": len(useful), "train_s": round(time.monotonic() - started, 1)}
            started = time.monotonic()
            model.save_pretrained(args.folder / "weights")
            tokenizer.save_pretrained(args.folder / "weights")
            one["save_s"] = round(time.monotonic() - started, 1)
            if args.engine:
                one["load_s"] = round(load_weights(args.engine, args.folder / "weights"), 2)
        if args.held_out and number % args.every == 0:
            one["held_out"] = evaluate(args, f"round_{number}")
        data["rounds"].append(one)
        args.output.write_text(json.dumps(data, indent=1) + "\n")
        print(json.dumps({key: value for key, value in one.items() if key != "held_out"}), flush=True)
    return data


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("tasks", type=Path, help="task rows to train on")
    add("--held-out", type=Path, help="task rows to evaluate on")
    add("--model", type=Path, required=True, metavar="DIR", help="weights to start from; the engine must have them too")
    add("-o", "--output", type=Path, required=True, help="what each round did (JSON)")
    add("--folder", type=Path, default=Path("."), help="where rounds and weights go (default: here)")
    add("--rounds", type=int, default=8, help="default: %(default)s")
    add("--every", type=int, default=2, help="evaluate after so many rounds (default: %(default)s)")
    add("--per-round", type=int, default=64, help="tasks (default: %(default)s)")
    add("--repeats", type=int, default=8, help="rollouts of each task (default: %(default)s)")
    add("--eval-repeats", type=int, default=4, help="of each held-out task (default: %(default)s)")
    add("--batch", type=int, default=64, help="trajectories per optimizer step (default: %(default)s)")
    add("--learning-rate", type=float, default=1e-5, help="default: %(default)s")
    add("--clip", type=float, default=0.2, help="of the ratio (default: %(default)s)")
    add("--concurrency", type=int, default=64, help="rollouts in flight (default: %(default)s)")
    add("--engine", default="", metavar="URL", help="where to load the weights into, without /v1 (default: nowhere)")
    add("--agent", default="string_match_simple_agent", help="default: %(default)s")
    add("--task-source", default="string_match", help="default: %(default)s")
    add("--head", default="127.0.0.1:11000", metavar="HOST:PORT", help="Gym's head server (default: %(default)s)")
    add("--gym", default="gym", help="Gym's command (default: %(default)s)")
    add("--gym-python", default="python", help="the Python that has Gym (default: %(default)s)")
    add("--run-options", default="", help="more options of gym eval run")
    add("--scripts", type=Path, default=HERE, help="folder with collect_on_policy.py and token_bundles.py (default: this one)")
    args = parser.parse_args()
    for path in (args.tasks, args.held_out, args.model / "config.json", args.scripts / "token_bundles.py"):
        if path and not path.is_file():
            parser.error(f"{path}: no such file")
    args.folder.mkdir(parents=True, exist_ok=True)
    args.folder, args.output, args.held_out = args.folder.absolute(), args.output.absolute(), args.held_out and args.held_out.absolute()
    args.model, args.log, args.scripts = args.model.absolute(), args.folder / "commands.log", args.scripts.absolute()
    os.environ.setdefault("TQDM_DISABLE", "1")
    try:
        rounds(args)
    except (OSError, RuntimeError, StopIteration) as error:
        print(f"grpo_rounds.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
