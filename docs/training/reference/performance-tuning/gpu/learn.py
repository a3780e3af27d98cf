"""Token ids and log probabilities of a real engine; a model that gets better, by SFT, DPO and rounds of GRPO."""

import argparse
import json
import os
import shlex
from pathlib import Path

from grpo_rounds import evaluate as measured
from grpo_rounds import load_weights
from lab import FILTER, HERE, INTEGRATE, LAUNCH, MODEL, TRAIN, Lab, stop
from speed import faults


def learn_config(lab: Lab) -> str:
    return "".join([
        f"head_server: {{host: 127.0.0.1, port: {lab.args.head}}}\n",
        "config_paths:\n- resources_servers/string_match/configs/string_match.yaml\n- resources_servers/example_single_tool_call/configs/example_single_tool_call.yaml\n",
        MODEL.format(name="policy_model", base=lab.args.ids_base or f"{lab.base}/v1", model=lab.args.model_name,
                     more=f"return_token_id_information: true, request_prompt_and_generation_token_ids: {'false' if lab.args.ids_base else 'true'}"),
        "string_match_simple_agent:\n  responses_api_agents:\n    simple_agent: {max_steps: 1}\n",
        "example_single_tool_call_simple_agent:\n  responses_api_agents:\n    simple_agent: {max_steps: 3}\n",
    ])


def eval_run(lab: Lab, options: str, seconds: float) -> bool:
    return lab.run("gym", f"{lab.args.gym} eval run --no-serve +head_server.host=127.0.0.1 +head_server.port={lab.args.head} {options}", seconds)


def greedy(lab: Lab, name: str) -> None:
    levels, more = ("1 4", "--count 4 --tokens 16") if lab.args.quick else ("1 8 64 256", "")
    lab.run("gym", f"python3 {HERE / 'check_tokens.py'} greedy --base {lab.base} --model-name {lab.args.model_name} --levels {levels} {more} -o {lab.out / 'tokens.json'} "
                    f"--name 'greedy, {name}'", 150)


def gap(lab: Lab, name: str = "as served") -> None:
    quick = lab.args.quick
    base = lab.args.ids_base.removesuffix("/v1") if lab.args.ids_base else lab.base
    cases = {"temperature 1": ("--temperature 1", ((1, "float32"), (1, "bfloat16"))), "temperature 0.7": ("--temperature 0.7", ((1, "float32"), (0.7, "float32"))),
             "temperature 1, top_k 20": ("--temperature 1 --top-k 20", ((1, "float32"),))}
    for case, (options, computed) in list(cases.items())[:1 if quick else 3]:
        file = lab.folder / f"recorded {name} {case}.jsonl".replace(" ", "_")
        lab.run("gym", f"python3 {HERE / 'check_tokens.py'} record --base {base} --model-name {lab.args.model_name} {options} -o {file} {'--count 2 --tokens 12' if quick else '--count 64'}", 90)
        for divide, dtype in computed:
            lab.run("train", f"{TRAIN} {HERE / 'check_tokens.py'} gap {file} --model {lab.args.small} --dtype {dtype} --divide-by {divide} -o {lab.out / 'tokens.json'} "
                             f"--name {shlex.quote(f'gap, {name}, {case}, {dtype}, logits / {divide}')}", 120)


def contiguity(lab: Lab, name: str, temperatures: tuple[str, ...]) -> None:
    if not (lab.folder / "tool_tasks.jsonl").exists():
        lab.run("gym", f"python3 {HERE / 'check_tokens.py'} tasks -o tool_tasks.jsonl", 30)
    for temperature in temperatures:
        folder = f"tools_{name}_{temperature}"
        eval_run(lab, f"-i tool_tasks.jsonl -o {folder}/rollouts.jsonl --num-repeats {1 if lab.args.quick else 16} --concurrency {4 if lab.args.quick else 64} --temperature {temperature} "
                      f"++route_failures_to_sidecar=true {'--limit 3' if lab.args.quick else ''}", 90)
        lab.run("gym", f"python3 {HERE / 'check_tokens.py'} contiguity {folder}/rollouts.jsonl --tokenizer {lab.args.small} -o {lab.out / 'tokens.json'} "
                       f"--name {shlex.quote(f'contiguity, {name}, temperature {temperature}')}", 60)


def evaluate(lab: Lab, name: str, weights: Path | None) -> None:

    if weights and not lab.args.engine:
        lab.say(f"  weights of {name} loaded in {load_weights(lab.base, weights):.2f} s")
    its = argparse.Namespace(
        folder=lab.folder, gym=" ".join([*(["env", f"PYTHONPATH={os.environ['GYM_PATH']}"] if os.environ.get("GYM_PATH") else []), lab.args.gym]),
        run_options=f"+head_server.host=127.0.0.1 +head_server.port={lab.args.head}" + (" --limit 4" if lab.args.quick else ""), agent="string_match_simple_agent",
        held_out=lab.folder / "held_out.jsonl", eval_repeats=2 if lab.args.quick else 6, concurrency=4 if lab.args.quick else 64, log=lab.out / f"output-{lab.args.track}.log")
    found = measured(its, name)
    lab.say(f"  {name}: held-out reward {found['mean']:.3f} +- {found['half_interval']:.3f}")
    lab.keep("learning", {name: found})


def offline(lab: Lab) -> None:
    """Collect, filter, SFT; pairs, DPO: the commands of the guides."""
    args, quick = lab.args, lab.args.quick
    lab.run("gym", f"python3 {HERE / 'make_tasks.py'}", 20)
    evaluate(lab, "base", None)
    eval_run(lab, f"--agent string_match_simple_agent -i train.jsonl -o collected/rollouts.jsonl --num-repeats {4 if quick else 8} --concurrency {4 if quick else 64} --temperature 1.0 "
                  f"{'--limit 8' if quick else ''}", 120)
    lab.run("gym", f"python3 {FILTER / 'filter_rollouts.py'} collected/rollouts.jsonl -o right.jsonl --min-reward 1 --distinct --best 2 && "
                   f"python3 {FILTER / 'make_training_sets.py'} sft right.jsonl -o sft.jsonl --split && "
                   f"python3 {INTEGRATE / 'convert_for_trainers.py'} sft sft.jsonl --for trl -o trl_sft.jsonl", 60)
    lab.run("gym", f"python3 {FILTER / 'make_training_sets.py'} dpo collected/rollouts.jsonl -o dpo.jsonl --per-task 2 && "
                   f"python3 {INTEGRATE / 'convert_for_trainers.py'} dpo dpo.jsonl --for trl -o trl_dpo.jsonl", 60)
    gpu, launch = ("", TRAIN) if quick else ("--gpu", LAUNCH)
    if lab.run("train", f"{launch} {INTEGRATE / 'train_trl.py'} sft trl_sft.jsonl --model {args.small} {gpu} --steps {1 if quick else 300} --learning-rate 2e-5 --save {lab.folder}/sft", 200):
        evaluate(lab, "sft", lab.folder / "sft")
    start = lab.folder / "sft" if (lab.folder / "sft").exists() else args.small
    dpo(lab, "sft_dpo", "trl_dpo.jsonl", start, "5e-6")


def dpo(lab: Lab, name: str, pairs: str, start: Path, rate: str) -> None:
    gpu, launch = ("", TRAIN) if lab.args.quick else ("--gpu", LAUNCH)
    if lab.run("train", f"{launch} {INTEGRATE / 'train_trl.py'} dpo {pairs} --model {start} {gpu} --steps {1 if lab.args.quick else 120} --learning-rate {rate} "
                        f"--save {lab.folder}/{name}", 200):
        evaluate(lab, name, lab.folder / name)


def why_dpo(lab: Lab) -> None:
    """After `offline`: the same pairs in smaller steps; then pairs of rollouts by the model that is to be trained."""
    start = lab.folder / "sft"
    dpo(lab, "sft_dpo_slow", "trl_dpo.jsonl", start, "1e-6")
    if not lab.args.engine:
        load_weights(lab.base, start)
    eval_run(lab, f"--agent string_match_simple_agent -i train.jsonl -o collected_sft/rollouts.jsonl --num-repeats 8 --concurrency {4 if lab.args.quick else 64} --temperature 1.0 "
                  f"{'--limit 8' if lab.args.quick else ''}", 120)
    lab.run("gym", f"python3 {FILTER / 'make_training_sets.py'} dpo collected_sft/rollouts.jsonl -o dpo_own.jsonl --per-task 2 && "
                   f"python3 {INTEGRATE / 'convert_for_trainers.py'} dpo dpo_own.jsonl --for trl -o trl_dpo_own.jsonl", 60)
    dpo(lab, "sft_dpo_own", "trl_dpo_own.jsonl", start, "5e-6")
    dpo(lab, "sft_dpo_own_slow", "trl_dpo_own.jsonl", start, "1e-6")


def online(lab: Lab) -> None:
    """Rounds of GRPO, from the weights that the engine had at first."""

    args, quick = lab.args, lab.args.quick
    if not args.engine:
        load_weights(lab.base, args.small)
    gym = " ".join([*(["env", f"PYTHONPATH={os.environ['GYM_PATH']}"] if os.environ.get("GYM_PATH") else [])])
    options = "--rounds 1 --every 1 --per-round 2 --repeats 2 --eval-repeats 2 --batch 2 --concurrency 4" if quick else "--rounds 10 --every 2 --per-round 64 --repeats 8 --eval-repeats 6"
    lab.run("train", f"{TRAIN} {HERE / 'grpo_rounds.py'} train.jsonl --held-out held_out.jsonl --model {args.small} --folder rounds -o {lab.out / 'rounds.json'} {options} "
                     f"{'' if args.engine else f'--engine {lab.base}'} --head 127.0.0.1:{args.head} --gym '{gym} {args.gym}' --gym-python '{gym} {args.gym_python}' --scripts {INTEGRATE} --learning-rate 2e-5 "
                     f"--run-options '+head_server.host=127.0.0.1 +head_server.port={args.head}{' --limit 4' if quick else ''}'", 480)
    lab.keep("learning", {"grpo": json.loads((lab.out / "rounds.json").read_text())})


def trl_grpo(lab: Lab) -> None:
    """TRL's own GRPO on trajectories that Gym collected, by accelerate launch."""
    quick = lab.args.quick
    lab.run("gym", f"{lab.args.gym_python} {INTEGRATE / 'convert_for_trainers.py'} rl train.jsonl --for trl -o prompts.jsonl && "
                   f"{lab.args.gym_python} {INTEGRATE / 'collect_on_policy.py'} train.jsonl -o trajectories.jsonl --limit {2 if quick else 64} --repeats 4 --concurrency {4 if quick else 64} "
                   f"--task-source string_match --head-server 127.0.0.1:{lab.args.head}", 90)
    gpu, launch = ("", TRAIN) if quick else ("--gpu", LAUNCH)
    lab.run("train", f"{launch} {INTEGRATE / 'train_trl.py'} grpo prompts.jsonl --trajectories trajectories.jsonl --model {lab.args.small} {gpu} --steps {1 if quick else 20} --learning-rate 1e-5", 120)


# The chat template for each parser of vLLM that was tried.
TEMPLATES = {"hermes": "hermes.jinja", "pythonic": "pythonic.jinja", "llama3_json": "llama3_json.jinja"}


def learn(lab: Lab) -> None:
    """Each engine once, with the steps that need it; an engine none of whose steps is wanted is not started."""
    parser = lambda name: f"--enable-auto-tool-choice --tool-call-parser {name} --chat-template {HERE / TEMPLATES[name]}"  # noqa: E731
    plan = [
        (parser("hermes"), [("offline", offline), ("why_dpo", why_dpo), ("online", online), ("contiguity", contiguity, "hermes", ("1.0",) if lab.args.quick else ("1.0", "0.7", "0.0")),
                            ("gap", gap), ("greedy", greedy, "bfloat16"), ("trl_grpo", trl_grpo)]),
        *([] if lab.args.quick else [
            # These two ask what a parser and its template do: without compilation the engine is up sooner. llama3_json needs --small of `make_models.py llama`.
            *((f"{parser(name)} --enforce-eager", [(f"contiguity_{name}", contiguity, name, ("1.0",))]) for name in ("pythonic", "llama3_json")),
            (f"{parser('hermes')} --logprobs-mode processed_logprobs", [("gap_processed", gap, "processed_logprobs")]),
            (f"{parser('hermes')} --dtype float32", [("gap_float32", gap, "engine in float32"), ("greedy_float32", greedy, "float32")]),
        ]),
    ]
    servers = lab.gym(learn_config(lab))
    try:
        for flags, steps in plan:
            if not any(lab.wanted(name) for name, *_ in steps):
                continue
            try:
                with lab.engine(lab.args.small, f"{flags} --gpu-memory-utilization {lab.args.share}"):
                    lab.wait(f"http://127.0.0.1:{lab.args.head}/readyz", servers, 400)
                    for name, function, *more in steps:
                        if name in ("contiguity", "gap") and not lab.args.engine:
                            load_weights(lab.base, lab.args.small)  # what training left in the engine
                        lab.step(name, function, *more)
            except RuntimeError as error:
                lab.say(f"   {flags}: {error}")
                lab.failed.extend(name for name, *_ in steps)
        if not lab.args.quick:
            lab.step("faults", faults, "string_match_simple_agent")
    finally:
        stop(servers)
