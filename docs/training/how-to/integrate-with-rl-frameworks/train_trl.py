"""Train with TRL on the CPU: SFT, DPO, or GRPO on rollouts that Gym has collected.

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
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
os.environ.setdefault("HF_DATASETS_CACHE", tempfile.mkdtemp(prefix="datasets-"))
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch
from datasets import load_dataset
from rollout_to_chat import BadInput, read_rows
from transformers import PrinterCallback
from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer

import practice_policy

GENERATIONS = 4


def common(args: argparse.Namespace) -> dict:
    """One process, nothing reported anywhere; on the CPU unless asked for more."""
    return {
        "output_dir": str(args.output), "max_steps": args.steps, "learning_rate": args.learning_rate, "use_cpu": not args.gpu, "bf16": args.gpu,
        "report_to": "none", "logging_steps": 1, "save_strategy": "no", "seed": 0, "disable_tqdm": True,
    }


def rows_of(path: Path, *wanted: str):
    """The file as a dataset. Refuses what is no file of this kind, before the trainer does in its own words."""
    number, row = next(iter(read_rows(path)))
    if missing := [key for key in wanted if key not in row]:
        raise BadInput(f"{path}:{number}: no {missing[0]}. Give a file that convert_for_trainers.py wrote for trl")
    return load_dataset("json", data_files=str(path), split="train")


def sft(args, model, tokenizer) -> SFTTrainer:
    settings = SFTConfig(**common(args), assistant_only_loss=True, max_length=args.max_length, per_device_train_batch_size=2)
    rows = rows_of(args.file, "messages").remove_columns("source")
    return SFTTrainer(model, args=settings, train_dataset=rows, processing_class=tokenizer)


def dpo(args, model, tokenizer) -> DPOTrainer:
    settings = DPOConfig(**common(args), max_length=args.max_length, per_device_train_batch_size=2)
    rows = rows_of(args.file, "prompt", "chosen", "rejected").remove_columns("source")
    return DPOTrainer(model, ref_model=load(args), args=settings, train_dataset=rows, processing_class=tokenizer)


def grpo(args, model, tokenizer) -> GRPOTrainer:
    """Prompts and rewards come from Gym: rollout_func looks up what was collected for each prompt."""
    rows = rows_of(args.file, "prompt", "gym_row")
    collected: dict[int, list[dict]] = {}
    for _, one in read_rows(args.trajectories):
        collected.setdefault(one["task"], []).append(one)
    usable = [number for number in range(len(rows)) if len(collected.get(number, [])) >= GENERATIONS]
    if not usable:
        raise BadInput(f"{args.trajectories}: no task has {GENERATIONS} trajectories. Collect with as many repeats")
    # A task whose rewards are all equal has advantage 0: put those that teach something first.
    usable.sort(key=lambda number: len({one["reward"] for one in collected[number]}) < 2)
    tasks = {json.dumps(rows[number]["prompt"]): number for number in usable}

    def rollout_func(prompts: list, trainer: GRPOTrainer) -> dict:
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
        model, reward_funcs=gym_reward, args=settings, train_dataset=rows.select(usable).select_columns(["prompt"]),
        processing_class=tokenizer, rollout_func=rollout_func,
    )


def load(args: argparse.Namespace):
    if args.model in ("tiny", "smollm2"):
        return practice_policy.model(tiny=args.model == "tiny")
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(args.model)


def step(args: argparse.Namespace, trainer) -> bool:
    """Train, and say by how much the loss and the weights moved."""
    before = {name: weight.detach().clone() for name, weight in trainer.model.named_parameters() if weight.requires_grad}
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    moved = max((weight.detach() - before[name]).abs().max().item() for name, weight in trainer.model.named_parameters() if name in before)
    log = next(entry for entry in trainer.state.log_history if "loss" in entry)
    print(f"{args.kind}: {args.steps} step of TRL, loss {log['loss']:.4f}, gradient norm {log['grad_norm']:.4f}, largest change of a weight {moved:.1e}")
    return moved > 0 and torch.isfinite(torch.tensor(log["loss"])).item()


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
    parser.add_argument("-o", "--output", type=Path, default=Path("trained"), help="folder for what the trainer writes (default: %(default)s)")
    args = parser.parse_args(argv)
    if args.kind == "grpo" and not args.trajectories:
        parser.error("grpo needs --trajectories")
    return args


def main() -> int:
    args = parse()
    try:
        tokenizer = practice_policy.tokenizer() if args.model in ("tiny", "smollm2") else None
        trainer = {"sft": sft, "dpo": dpo, "grpo": grpo}[args.kind](args, load(args), tokenizer)
    except BadInput as error:
        print(f"train_trl.py: {error}", file=sys.stderr)
        return 2
    return 0 if step(args, trainer) else 1


if __name__ == "__main__":
    sys.exit(main())
