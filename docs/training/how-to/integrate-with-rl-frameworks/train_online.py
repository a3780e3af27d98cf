"""Online GRPO with TRL and a resources server of NeMo Gym.

    trainers/bin/python train_online.py tools          # example_session_state_mgmt: tools, over several turns
    trainers/bin/python train_online.py text           # string_match: one answer in text

Start the servers first: gym env start --config online.yaml. The model is two random layers, whose replies are written in advance
(they would never call a tool); servers, rewards, masks and the step are real. --model takes yours. For your environment, write one
method for each tool of your server.
Exit code: 0 done, 1 no completion was scored, 2 the servers do not answer or the input is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
os.environ.setdefault("HF_DATASETS_CACHE", tempfile.mkdtemp(prefix="datasets-"))
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import httpx
from rollouts import lines, loads, masked

import practice_policy

GENERATIONS = 4
COUNTER, STRING_MATCH = "http://127.0.0.1:9101", "http://127.0.0.1:9102"


class CounterEnvironment:
    """One episode on a resources server.

    TRL makes one instance for each completion of a batch, and uses it again after `reset`.
    """

    def __init__(self) -> None:
        # Its cookie is the session.
        self._server = httpx.Client(base_url=COUNTER, timeout=60)

    def reset(self, gym_row: str, **_: object) -> None:
        self._row = loads(gym_row)
        self._server.cookies.clear()
        self._server.post("/seed_session", json=self._row).raise_for_status()

    def increment_counter(self, count: int) -> str:
        """Add a number to the counter.

        Args:
            count: What to add.
        """
        return self._server.post("/increment_counter", json={"count": count}).text

    def get_counter_value(self) -> str:
        """Read the counter."""
        return self._server.post("/get_counter_value").text


def gym_reward(completions: list, environments: list[CounterEnvironment], **_: object) -> list[float | None]:
    return [verify(own._server, own._row, completion) for own, completion in zip(environments, completions)]


def text_reward(completions: list, gym_row: list[str], **_: object) -> list[float | None]:
    with httpx.Client(base_url=STRING_MATCH, timeout=60) as server:
        return [verify(server, loads(row), completion) for row, completion in zip(gym_row, completions)]


def verify(server: httpx.Client, row: dict, completion: list[dict]) -> float | None:
    """The verifier's reward; None where there is none to learn from.

    TRL leaves such a completion out of its group's mean.
    """
    response = {
        "id": "trl", "created_at": 0, "model": "policy", "object": "response",
        "output": items_of(completion), "parallel_tool_calls": True,
        "tool_choice": "auto", "tools": row["responses_create_params"].get("tools", []),
    }
    answer = server.post("/verify", json=row | {"response": response})
    if answer.is_server_error:  # a verifier that failed is no wrong answer
        return None
    result = answer.raise_for_status().json()
    return None if masked(result) else float(result["reward"])


def items_of(completion: list[dict]) -> list[dict]:
    """TRL's chat messages as the Responses items that verifiers read."""
    items, waiting = [], []
    for number, message in enumerate(completion):
        if message["role"] == "tool":
            items.append({"type": "function_call_output", "call_id": waiting.pop(0), "output": message["content"]})
            continue
        text = {"type": "output_text", "text": message.get("content") or "", "annotations": []}
        items.append({"type": "message", "id": f"m{number}", "role": "assistant", "status": "completed", "content": [text]})
        for place, call in enumerate(message.get("tool_calls") or ()):
            waiting.append(f"c{number}-{place}")
            function = call["function"]
            items.append({"type": "function_call", "call_id": waiting[-1], "name": function["name"], "arguments": json.dumps(function["arguments"])})
    return items


# ---------------------------------------------------------------------------------------------------------------------
# Tasks, and one trainer for both


def counter_tasks() -> list[dict]:
    rows = []
    for add, start in ((4, 10), (7, 20)):
        row = {"responses_create_params": {"input": f"Add {add}."}, "initial_count": start, "expected_count": start + add}
        rows.append({"prompt": [{"role": "user", "content": f"Add {add}."}], "gym_row": json.dumps(row)})
    return rows


def text_tasks() -> list[dict]:
    tasks = [row for *_, row in lines("practice_tasks.jsonl")][:2]
    return [{"prompt": task["responses_create_params"]["input"], "gym_row": json.dumps(task)} for task in tasks]


def reply(text: str, number: int) -> str:
    """What the two random layers say, every other time with a mistake, so that the rewards of a group differ."""
    if "Add" not in text:
        return ("Paris", "Rome")[number % 2]
    if "<tool_response>" in text:
        return "Done."
    count = int(text.rpartition("Add ")[2].partition(".")[0]) + number % 2
    return f'<tool_call>\n{{"name": "increment_counter", "arguments": {{"count": {count}}}}}\n</tool_call>'


def build(args: argparse.Namespace):
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer
    from trl.chat_template_utils import qwen3_chat_template

    class Watched(GRPOTrainer):
        """Keeps what a step was made of, to be looked at; and lets two random layers say what `reply` has for them."""

        def _generate_and_score_completions(self, inputs):
            self.seen = super()._generate_and_score_completions(inputs)
            return self.seen

        def _generate_single_turn(self, prompt_ids, *others, **more):
            if args.model != "tiny":
                return super()._generate_single_turn(prompt_ids, *others, **more)
            said = [reply(tokenizer.decode(ids), number) + tokenizer.eos_token for number, ids in enumerate(prompt_ids)]
            return [tokenizer(text)["input_ids"] for text in said], None

    tokenizer = practice_policy.tokenizer() if args.model == "tiny" else AutoTokenizer.from_pretrained(args.model)
    if args.model == "tiny":
        tokenizer.chat_template = qwen3_chat_template  # TRL parses the tool calls of templates that it knows
    model = practice_policy.model(tiny=True) if args.model == "tiny" else AutoModelForCausalLM.from_pretrained(args.model)
    settings = GRPOConfig(
        output_dir=tempfile.mkdtemp(), max_steps=args.steps, learning_rate=args.learning_rate, use_cpu=not args.gpu, bf16=args.gpu, report_to="none",
        logging_steps=1, save_strategy="no", seed=args.seed, disable_tqdm=True, per_device_train_batch_size=2 * GENERATIONS, num_generations=GENERATIONS,
        max_completion_length=args.max_completion_length, max_tool_calling_iterations=4, chat_template_kwargs={"enable_thinking": False})
    online = {"reward_funcs": gym_reward, "environment_factory": CounterEnvironment} if args.kind == "tools" else {"reward_funcs": text_reward}
    data = Dataset.from_list(counter_tasks() if args.kind == "tools" else text_tasks())
    return Watched(model, args=settings, train_dataset=data, processing_class=tokenizer, **online)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("tools", "text"))
    parser.add_argument("--model", default="tiny", help="tiny, or a name or folder of a model whose template TRL knows (default: %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=1e-4, help="default: %(default)s; for real weights 1e-6")
    parser.add_argument("--gpu", action="store_true", help="train on the GPUs that accelerate finds")
    parser.add_argument("--steps", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-completion-length", type=int, default=96, help="tokens of a completion, tool results included (default: %(default)s)")
    return parser.parse_args(argv)


def main() -> int:
    args = parse()
    try:
        address = COUNTER if args.kind == "tools" else STRING_MATCH
        httpx.get(address)
    except httpx.HTTPError as error:
        print(f"train_online.py: {address} does not answer ({error}). Start it first: gym env start --config online.yaml", file=sys.stderr)
        return 2
    from transformers import PrinterCallback

    trainer = build(args)
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    log = next(entry for entry in reversed(trainer.state.log_history) if "loss" in entry)
    mask = trainer.seen["completion_mask"]
    tools = int(((trainer.seen.get("tool_mask", mask) == 0) & (mask == 1)).sum())
    print(f"{args.steps} step of {2 * GENERATIONS} completions: mean reward {log['reward']:.3f}, gradient norm {log['grad_norm']:.3f}")
    print(f"{int(mask.sum())} tokens, {tools} of them from tools and out of the loss; calls per completion {log.get('tools/call_frequency', 0):.2f}")
    return 0 if log["reward"] == log["reward"] else 1


if __name__ == "__main__":
    sys.exit(main())
