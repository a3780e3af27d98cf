"""Train with TRL, on the CPU or with --gpu: SFT, DPO, or GRPO on rollouts that Gym has collected.

    trainers/bin/python train_trl.py sft converted/trl_sft.jsonl
    trainers/bin/python train_trl.py dpo converted/trl_dpo.jsonl
    trainers/bin/python train_trl.py grpo prompts.jsonl --trajectories trajectories.jsonl

The files are those of convert_for_trainers.py and token_bundles.py. The model is two random layers with SmolLM2's tokenizer,
so a step takes seconds; --model smollm2 takes its weights, --model NAME or DIR your own. The settings that matter are those of a real run:
assistant_only_loss for SFT, an explicit reference model for DPO, and for GRPO token ids, masks and log probabilities
as Gym recorded them. Exit code: 0 done, 1 the step changed nothing, 2 bad input.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
os.environ.setdefault("HF_DATASETS_CACHE", tempfile.mkdtemp(prefix="datasets-"))
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

from rollouts import BadInput, lines

import practice_policy

# torch, transformers and TRL take seconds to import: only where they are needed, after the input has been looked at.

GENERATIONS = 4


def common(args: argparse.Namespace) -> dict:
    """One process, nothing reported anywhere; on the CPU unless asked for more."""
    return {
        "output_dir": str(args.output), "max_steps": args.steps, "learning_rate": args.learning_rate, "use_cpu": not args.gpu, "bf16": args.gpu,
        "report_to": "none", "logging_steps": 1, "save_strategy": "no", "seed": 0, "disable_tqdm": True,
    }


def rows_of(path: Path, *forms: tuple[str, ...]):
    """The file as a dataset of the first form that its rows have, and of tools. Refuses what is no file of this kind."""
    number, _, _, row = next(iter(lines(path)))
    keys = next((form for form in forms if row.keys() >= set(form)), None)
    if keys is None:
        wanted = ", or ".join(" and ".join(form) for form in forms)
        raise BadInput(f"{path}:{number}: the row has no {wanted}. Give a file that convert_for_trainers.py wrote for trl")
    from datasets import load_dataset

    rows = load_dataset("json", data_files=str(path), split="train")
    return rows.select_columns([key for key in (*keys, "tools") if key in rows.column_names])


def sft(args):
    """Rows of prompt and completion train the completion alone: answers that the prompt shows stay out of the loss."""
    rows = rows_of(args.file, ("messages",), ("prompt", "completion"))
    from trl import SFTConfig, SFTTrainer

    settings = SFTConfig(**common(args), assistant_only_loss=True, max_length=args.max_length, per_device_train_batch_size=2)
    return SFTTrainer(load(args), args=settings, train_dataset=rows, processing_class=tokenizer(args))


def dpo(args):
    rows = rows_of(args.file, ("prompt", "chosen", "rejected"))
    from trl import DPOConfig, DPOTrainer

    settings = DPOConfig(**common(args), max_length=args.max_length, per_device_train_batch_size=2)
    return DPOTrainer(load(args), ref_model=load(args), args=settings, train_dataset=rows, processing_class=tokenizer(args))


def grpo(args):
    """Prompts and rewards come from Gym: rollout_func looks up what was collected for each prompt."""
    rows = rows_of(args.file, ("prompt", "gym_row"))
    collected: dict[int, list[dict]] = {}
    for *_, one in lines(args.trajectories):
        collected.setdefault(one["task"], []).append(one)
    usable = [number for number in range(len(rows)) if len(collected.get(number, [])) >= GENERATIONS]
    if not usable:
        raise BadInput(f"{args.trajectories}: no task has {GENERATIONS} trajectories. Collect with as many repeats")
    # A task whose rewards are all equal has advantage 0: put those that teach something first.
    usable.sort(key=lambda number: len({one["reward"] for one in collected[number]}) < 2)
    tasks = {json.dumps(rows[number]["prompt"]): number for number in usable}
    from trl import GRPOConfig, GRPOTrainer

    def rollout_func(prompts: list, trainer) -> dict:
        """TRL sends each prompt as often as it wants completions. With your endpoint, collect here, after syncing weights."""
        taken: dict[int, int] = {}
        answer = {"prompt_ids": [], "completion_ids": [], "logprobs": [], "env_mask": [], "gym_reward": []}
        for prompt in prompts:
            number = tasks[json.dumps(prompt)]
            one = collected[number][taken.get(number, 0) % len(collected[number])]
            taken[number] = taken.get(number, 0) + 1
            for key, value in zip(answer, (one["prompt_ids"], one["completion_ids"], one["logprobs"], one["mask"], one["reward"])):
                answer[key].append(value)
        return answer

    def gym_reward(gym_reward: list[float], **_: object) -> list[float]:
        return gym_reward

    settings = GRPOConfig(
        **common(args), per_device_train_batch_size=GENERATIONS, num_generations=GENERATIONS, max_completion_length=1024, shuffle_dataset=False,
    )
    return GRPOTrainer(
        load(args), reward_funcs=gym_reward, args=settings, train_dataset=rows.select(usable).select_columns(["prompt"]),
        processing_class=tokenizer(args), rollout_func=rollout_func,
    )


def load(args: argparse.Namespace):
    if args.model in ("tiny", "smollm2"):
        return practice_policy.model(tiny=args.model == "tiny")
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(args.model)


def tokenizer(args: argparse.Namespace):
    """The practice model's; of another model TRL takes the one that belongs to it."""
    return args.tokenizer or (practice_policy.tokenizer() if args.model in ("tiny", "smollm2") else None)


def step(args: argparse.Namespace, trainer) -> bool:
    """Train, and say by how much the loss and the weights moved."""
    from transformers import PrinterCallback

    before = {name: weight.detach().clone() for name, weight in trainer.model.named_parameters() if weight.requires_grad}
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    moved = max((weight.detach() - before[name]).abs().max().item() for name, weight in trainer.model.named_parameters() if name in before)
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    log, loss = logs[0], f"loss {logs[0]['loss']:.4f}"
    if len(logs) > 1:
        loss += f" at first, {logs[-1]['loss']:.4f} at last"
    if args.save:
        trainer.save_model(str(args.save))
    print(f"{args.kind}: {args.steps} TRL step{'s' * (args.steps > 1)}, {loss}, gradient norm {log['grad_norm']:.4f}, largest weight change {moved:.1e}")
    return moved > 0 and math.isfinite(log["loss"])


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("sft", "dpo", "grpo"))
    parser.add_argument("file", type=Path, help="what convert_for_trainers.py wrote for trl")
    parser.add_argument("--trajectories", type=Path, help="grpo: what token_bundles.py wrote")
    parser.add_argument("--model", default="tiny", help="tiny, smollm2, a name or a folder (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=1, help="optimizer steps (default: %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="default: %(default)s; for real weights 1e-5")
    parser.add_argument("--gpu", action="store_true", help="train on the GPUs that accelerate finds")
    parser.add_argument("--max-length", type=int, default=2048, help="longer sequences are cut at the end (default: %(default)s)")
    parser.add_argument("--save", type=Path, metavar="DIR", help="keep the trained weights there (default: nowhere)")
    parser.add_argument("-o", "--output", type=Path, default=Path("trained"), help="folder for what the trainer writes (default: %(default)s)")
    parser.set_defaults(tokenizer=None)  # check_loaders.py sets one with another template
    args = parser.parse_args(argv)
    if args.kind == "grpo" and not args.trajectories:
        parser.error("grpo needs --trajectories")
    return args


def main() -> int:
    args = parse()
    try:
        trainer = {"sft": sft, "dpo": dpo, "grpo": grpo}[args.kind](args)
    except BadInput as error:
        print(f"train_trl.py: {error}", file=sys.stderr)
        return 2
    return 0 if step(args, trainer) else 1


if __name__ == "__main__":
    sys.exit(main())
