"""Everything that this site measures on a GPU, in one sitting: starts engine and servers, runs each step within its limit.

    python campaign.py speed -o results --small DIR --big DIR            # rate, overhead, settings, faults: one GPU, 16 cores
    python campaign.py learn -o results --small DIR --gpu 1 --cores 16-31 --port 8100 --head 11100     # token ids, training, beside it

Each step adds to its JSON file under -o as it goes, so that a machine that is taken away costs little; commands.log holds every command.
vLLM, Gym and the trainers may lie in folders of their own: $VLLM_PATH, $GYM_PATH and $TRAIN_PATH become their PYTHONPATH; $TRAIN_PYTHON
is another Python for the trainers. --engine replaces
vLLM by another server's command, for a rehearsal without a GPU. Exit code: 0 all steps done, 1 one failed, 2 bad input.
"""

import argparse
import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
INTEGRATE = HERE.parents[2] / "how-to" / "integrate-with-rl-frameworks"
FILTER = HERE.parents[2] / "how-to" / "filter-and-curate-data"
COPIES = "abcd"
MODEL = """\
{name}:
  responses_api_models:
    vllm_model: {{entrypoint: app.py, base_url: {base}, api_key: none, model: {model}, uses_reasoning_parser: false, {more}}}
"""
AGENT = """\
{name}_agent:
  responses_api_agents:
    simple_agent:
      entrypoint: app.py
      max_steps: {steps}
      resources_server: {{type: resources_servers, name: {resources}}}
      model_server: {{type: responses_api_models, name: {model}}}
{name}_environment_server:
  environment_servers:
    legacy_agent: {{entrypoint: app.py, agent_server: {{type: responses_api_agents, name: {name}_agent}}}}
"""
MATCH = """\
{name}:
  resources_servers:
    string_match: {{entrypoint: app.py, domain: knowledge}}
"""
TRAIN = os.environ.get("TRAIN_PYTHON", "python3")  # the Python that has the trainers
LAUNCH = f"{'accelerate launch' if shutil.which('accelerate') else f'{TRAIN} -m accelerate.commands.launch'} --num_processes 1 --mixed_precision bf16"
PLAIN = "return_token_id_information: false"


class Lab:
    """One GPU, some cores, ports, and a log of all that was run."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.out = args, args.output.resolve()
        self.out.mkdir(parents=True, exist_ok=True)
        self.folder = self.out / f"work-{args.track}"
        self.folder.mkdir(exist_ok=True)
        self.started, self.failed, self.base = time.monotonic(), [], f"http://127.0.0.1:{args.port}"
        self.deadline = self.started + args.minutes * 60

    def say(self, text: str) -> None:
        line = f"[{time.monotonic() - self.started:7.1f} s] {text}"
        print(line, flush=True)
        with (self.out / f"commands-{self.args.track}.log").open("a") as log:
            log.write(line + "\n")

    def environment(self, kind: str) -> dict[str, str]:
        path = os.environ.get({"engine": "VLLM_PATH", "gym": "GYM_PATH", "train": "TRAIN_PATH"}[kind], "")
        mine = {"PYTHONPATH": path} if path else {}
        mine |= {"CUDA_VISIBLE_DEVICES": str(self.args.gpu)} if kind != "gym" else {}
        return os.environ | mine | {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_USE_FLASHINFER_SAMPLER": "0", "VLLM_SERVER_DEV_MODE": "1", "TQDM_DISABLE": "1"}

    def pinned(self, command: str) -> list[str]:
        return ["taskset", "-c", self.args.cores, "bash", "-c", command] if self.args.cores else ["bash", "-c", command]

    def run(self, kind: str, command: str, seconds: float) -> bool:
        """One command to its end or its limit; what it says goes to a log of its own."""
        seconds = min(seconds, self.deadline - time.monotonic())
        if seconds < 5:
            self.say(f"no time left for: {command}")
            return False
        self.say(f"$ {command}")
        with (self.out / f"output-{self.args.track}.log").open("a") as log:
            print(f"$ {command}", file=log, flush=True)
            process = subprocess.Popen(self.pinned(command), cwd=self.folder, env=self.environment(kind), stdout=log, stderr=log, start_new_session=True)
            try:
                status = process.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                status = process.wait()
        if status:
            self.say(f"  exit code {status}")
        return status == 0

    def serve(self, kind: str, command: str, log: str) -> subprocess.Popen:
        self.say(f"$ {command} &")
        with (self.out / log).open("a") as output:
            return subprocess.Popen(self.pinned(f"exec {command}"), cwd=self.folder, env=self.environment(kind), stdout=output, stderr=output, start_new_session=True)

    def wait(self, address: str, process: subprocess.Popen, seconds: float) -> float:
        started = time.monotonic()
        while not answers(address):
            if process.poll() is not None or time.monotonic() - started > seconds:
                raise RuntimeError(f"{address} is not ready after {time.monotonic() - started:.0f} s")
            time.sleep(0.2)
        return time.monotonic() - started

    def engine_command(self, model: Path, flags: str) -> str:
        if self.args.engine:
            return self.args.engine.format(port=self.args.port)
        return (f"python3 -m vllm.entrypoints.openai.api_server --model {model} --served-model-name policy --port {self.args.port} "
                f"--generation-config vllm --no-enable-log-requests --disable-uvicorn-access-log {flags}")

    @contextlib.contextmanager
    def engine(self, model: Path, flags: str = "") -> Iterator[float]:
        process = self.serve("engine", self.engine_command(model, flags), f"engine-{self.args.track}.log")
        try:
            seconds = self.wait(f"{self.base}/health", process, 260)
            self.say(f"  engine ready after {seconds:.0f} s")
            yield seconds
        finally:
            stop(process)

    def gym(self, config: str) -> subprocess.Popen:
        (self.folder / "servers.yaml").write_text(config)
        return self.serve("gym", f"{self.args.gym} env start --config servers.yaml", f"gym-{self.args.track}.log")

    def keep(self, name: str, found: dict) -> None:
        path = self.out / f"{name}.json"
        data = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(data | found, indent=1) + "\n")

    def load(self, output: str, options: str, seconds: float = 120) -> bool:
        return self.run("gym", f"python3 {HERE / 'load.py'} -o {self.out / output}.json --base {self.base}/v1 --model {self.args.model_name} "
                               f"--head {self.args.head} --hardware {shlex.quote(self.args.hardware)} {options}", seconds)

    def step(self, name: str, function, *more) -> None:
        if self.args.only and name not in self.args.only:
            return
        if time.monotonic() > self.deadline - 10:
            self.say(f"== {name}: no time left")
            self.failed.append(name)
            return
        self.say(f"== {name}")
        try:
            function(self, *more)
        except Exception as error:  # the next step may still work
            self.say(f"   {name} failed: {type(error).__name__}: {error}")
            self.failed.append(name)


def answers(address: str) -> bool:
    with contextlib.suppress(OSError):
        return urllib.request.urlopen(address, timeout=5).status == 200
    return False


def stop(process: subprocess.Popen, patience: float = 20) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            pass
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def counters(base: str) -> dict[str, float]:
    """Of the engine's metrics, those that say what was thrown away or saved."""
    found: dict[str, float] = {}
    with contextlib.suppress(OSError):
        for line in urllib.request.urlopen(f"{base}/metrics", timeout=10).read().decode().splitlines():
            name = line.partition("{")[0].partition(" ")[0]
            if name in ("vllm:num_preemptions_total", "vllm:prefix_cache_hits_total", "vllm:prefix_cache_queries_total"):
                found[name] = found.get(name, 0.0) + float(line.rsplit(" ", 1)[1])
    return found


# ---------------------------------------------------------------------------------------------------------------------
# Speed


def speed_config(lab: Lab) -> str:
    base, fixed = f"{lab.base}/v1", f"http://127.0.0.1:{lab.args.port + 9}/v1"
    name = lab.args.model_name
    parts = [f"head_server: {{host: 127.0.0.1, port: {lab.args.head}}}\n", MATCH.format(name="match")]
    copies, workers = (COPIES[:1], 2) if lab.args.quick else (COPIES, 4)
    for server, more in (("real", PLAIN), ("ids", "return_token_id_information: true, request_prompt_and_generation_token_ids: false"),
                         ("ids_inline", "return_token_id_information: true, request_prompt_and_generation_token_ids: true")):
        parts += [MODEL.format(name=f"{server}_model", base=base, model=name, more=more), AGENT.format(name=server, steps=1, resources="match", model=f"{server}_model")]
    for copy in copies:  # whole copies, against an endpoint that answers at once, and against the real one
        parts += [MATCH.format(name=f"match_{copy}"), MODEL.format(name=f"fixed_{copy}_model", base=fixed, model="fixed", more=PLAIN),
                  AGENT.format(name=f"fixed_{copy}", steps=1, resources=f"match_{copy}", model=f"fixed_{copy}_model"),
                  AGENT.format(name=f"real_{copy}", steps=1, resources=f"match_{copy}", model="workers_model")]
    parts += [MODEL.format(name="workers_model", base=base, model=name, more=PLAIN + f", num_workers: {workers}"),
              MODEL.format(name="fixed_workers_model", base=fixed, model="fixed", more=PLAIN + f", num_workers: {workers}"),
              AGENT.format(name="workers", steps=1, resources="match_a", model="fixed_workers_model"),
              AGENT.format(name="second", steps=1, resources="match_a", model="fixed_a_model")]
    return "".join(parts)


def small_rates(lab: Lab) -> None:
    quick = lab.args.quick
    levels, few = ("2 4", "--least 4") if quick else ("8 32 128 512 1024", "--least 1200")
    lab.load("speed", f"--name small --ways gym --agents real_agent --levels {levels} --tokens 16 {few}")
    lab.load("speed", f"--name small --ways engine --drivers {1 if quick else 4} --levels {levels} --tokens 16 {few}")
    lab.load("speed", f"--name small --ways gym --agents real_agent --levels {levels} --tokens {32 if quick else 512} --least {4 if quick else 64}", 200)
    lab.load("speed", f"--name small --ways engine --drivers {1 if quick else 4} --levels {levels} --tokens {32 if quick else 512} --least {4 if quick else 64}", 200)


def ceiling(lab: Lab) -> None:
    """What one set of servers can do, and what raises it: at an endpoint that answers at once, then at the real one."""
    quick = lab.args.quick
    all_four = " ".join(f"fixed_{copy}_agent" for copy in COPIES)
    plan = [
        ("one set, as shipped", "fixed_a_agent", 1, "8 64"), ("four sets, four drivers", all_four, 4, "256"), ("four sets, one driver", all_four, 1, "256"),
        ("model server with 4 workers", "workers_agent", 1, "64"), ("two drivers, one set", "fixed_a_agent", 2, "64"),
        ("two agents that share the rest", "fixed_a_agent second_agent", 1, "64"), ("two sets, two drivers", "fixed_a_agent fixed_b_agent", 2, "128"),
        ("one set, as shipped", "fixed_a_agent", 1, "64"),
    ]
    for note, agents, drivers, levels in [plan[0], *plan[3:6]] if quick else plan:
        levels, least = ("4", 8) if quick else (levels, 1200 * (4 if "four" in note else 2 if "two sets" in note else 1))
        if True:
            lab.load("ceiling", f"--name fixed --base http://127.0.0.1:{lab.args.port + 9}/v1 --ways gym --agents {agents} --drivers {drivers} "
                                f"--levels {levels} --tokens 16 --least {least} --note {shlex.quote(note)}", 60)
    real = " ".join(f"real_{copy}_agent" for copy in COPIES)
    for note, agents, drivers in (("one set, as shipped", "real_agent", 1), ("four sets, one driver", real, 1), ("four sets, four drivers", real, 4))[:1 if quick else 3]:
        lab.load("ceiling", f"--name small --ways gym --agents {agents} --drivers {drivers} --levels {'4' if quick else '256'} --tokens 16 --least {8 if quick else 3000} "
                            f"--note {shlex.quote(note)}", 60)


def big_rates(lab: Lab) -> None:
    lab.load("speed", "--name 8b --ways gym --agents real_agent --levels 8 32 128 512 1024 --tokens 512 --least 8", 200)
    lab.load("speed", "--name 8b --ways engine --drivers 2 --levels 8 32 128 512 1024 --tokens 512 --least 8", 200)
    lab.load("speed", "--name 8b --ways gym engine --agents real_agent --levels 8 64 512 --tokens 16 --least 512", 90)


def token_ids(lab: Lab) -> None:
    quick = lab.args.quick
    for words in (20,) if quick else (80, 950, 7600):
        for agent in ("real", "ids", "ids_inline", "real", "ids", "ids_inline")[:3 if quick else 6]:
            lab.load("ids", f"--name {'small' if quick else '8b'} --ways gym --agents {agent}_agent --levels {4 if quick else 64} --tokens {8 if quick else 128} "
                            f"--prompt {words} --least {4 if quick else 128} --note {agent}", 60)


LOADS = {
    "many": "--levels 512 --tokens 256 --prompt 100 --least 1024",  # many answers at once
    "long": "--levels 64 --tokens 64 --prompt 3900 --least 256",  # long prompts, all different
    "repeats": "--levels 64 --tokens 64 --prompt 3900 --least 256 --repeats 8",  # the same prompt eight times in a row
}
SETTINGS = [
    ("as shipped", "", ("many", "long", "repeats")), ("--max-num-seqs 128", "--max-num-seqs 128", ("many",)),
    ("--gpu-memory-utilization 0.2", "--gpu-memory-utilization 0.2", ("many", "long")), ("--no-enable-prefix-caching", "--no-enable-prefix-caching", ("repeats",)),
    ("--no-enable-chunked-prefill", "--no-enable-chunked-prefill --max-model-len 8192 --max-num-batched-tokens 8192", ("long",)), ("--enforce-eager", "--enforce-eager", ("many",)),
]


def loads(lab: Lab, note: str, names: tuple[str, ...]) -> None:
    for name in names:
        before = counters(lab.base)
        lab.load("settings", f"--name {name} --ways engine --drivers 2 {LOADS[name]} --note {shlex.quote(note)}", 90)
        after = counters(lab.base)
        path = lab.out / "settings.json"
        data = json.loads(path.read_text())
        data["runs"][-1]["counters"] = {key.removeprefix("vllm:"): after[key] - before.get(key, 0) for key in after}
        path.write_text(json.dumps(data, indent=1) + "\n")


def faults(lab: Lab, agent: str) -> None:
    """A run whose engine is killed, stays away, and comes back; and a prompt that is too long."""
    (lab.folder / "fault_tasks.jsonl").write_text("".join(json.dumps({
        "responses_create_params": {"input": f"{number}: tell me of the sea.", "max_output_tokens": 400, "metadata": {"extra_body": '{"ignore_eos": true}'}},
        "expected_answer": "none", "extraction_mode": "full_response", "agent_ref": {"name": agent}}) + "\n" for number in range(400)))
    (lab.folder / "long_tasks.jsonl").write_text("".join(json.dumps({
        "responses_create_params": {"input": "word " * words, "max_output_tokens": 16}, "expected_answer": "none", "extraction_mode": "full_response",
        "agent_ref": {"name": agent}}) + "\n" for words in (10, 200_000)))
    head = f"+head_server.host=127.0.0.1 +head_server.port={lab.args.head}"
    engine = lab.serve("engine", lab.engine_command(lab.args.small, ""), f"engine-{lab.args.track}.log")
    lab.wait(f"{lab.base}/health", engine, 200)
    lab.run("gym", f"{lab.args.gym} eval run --no-serve {head} -i long_tasks.jsonl -o long/rollouts.jsonl --concurrency 2 ++route_failures_to_sidecar=true", 60)
    found = {"long": {path.name: path.read_text()[:3000] for path in (lab.folder / "long").glob("*failures.jsonl")}, "timeline": []}
    output = lab.folder / "killed" / "rollouts.jsonl"
    done = lambda: len(output.read_text().splitlines()) if output.exists() else 0  # noqa: E731
    run = lab.serve("gym", f"{lab.args.gym} eval run --no-serve {head} -i fault_tasks.jsonl -o killed/rollouts.jsonl --num-repeats 2 --concurrency 16 ++route_failures_to_sidecar=true", "killed-run.log")
    started, killed, back, gym_log = time.monotonic(), None, None, lab.out / f"gym-{lab.args.track}.log"
    while run.poll() is None and time.monotonic() - started < 150:
        now = round(time.monotonic() - started, 1)
        found["timeline"].append({"s": now, "rows": done(), "server_log_lines": gym_log.read_bytes().count(b"\n")})
        if killed is None and done() >= 100:
            os.killpg(engine.pid, signal.SIGKILL)
            engine.wait()
            killed = found["killed_s"] = now
            lab.say("  engine killed")
        if killed is not None and back is None and now > killed + 25:
            engine = lab.serve("engine", lab.engine_command(lab.args.small, ""), f"engine-{lab.args.track}.log")
            back = found["started_again_s"] = now
        if back is not None and "ready_again_s" not in found and answers(f"{lab.base}/health"):
            found["ready_again_s"] = now
            lab.say("  engine back")
        time.sleep(1)
    found |= {"ended_s": round(time.monotonic() - started, 1), "ended": run.poll(), "rows": done(),
              "failures": [json.loads(line).get("_ng_failure_class") for path in (lab.folder / "killed").glob("*failures.jsonl") for line in path.read_text().splitlines()]}
    lab.keep("faults", found)
    stop(run)
    stop(engine)


def speed(lab: Lab) -> None:
    args = lab.args
    began = time.monotonic()
    # Gym starts no server before every endpoint answers.
    fixed = lab.serve("gym", f"python3 {HERE.parent / 'fixed_endpoint.py'} --port {args.port + 9} --delay 0", f"fixed-{args.track}.log")
    servers = lab.gym(speed_config(lab))
    try:
        with lab.engine(args.small) as seconds:
            ready = lab.wait(f"http://127.0.0.1:{args.head}/readyz", servers, 400)
            lab.keep("start", {"engine_small_s": round(seconds, 1), "gym_s": round(time.monotonic() - began, 1), "gym_after_engine_s": round(ready, 1)})
            lab.step("ceiling", ceiling)
            lab.step("small", small_rates)
            if args.quick:
                lab.step("ids", token_ids)
        if args.big:
            flags = "--load-format dummy "
            for number, (note, more, names) in enumerate(SETTINGS):
                if time.monotonic() > lab.deadline - 90:
                    break
                try:
                    with lab.engine(args.big, flags + more) as seconds:
                        lab.keep("start", {f"engine_8b_{number}_s": round(seconds, 1)})
                        if number == 0:
                            lab.step("8b", big_rates)
                            lab.step("ids", token_ids)
                        lab.step("settings", loads, note, names)
                except RuntimeError as error:
                    lab.say(f"   {note}: {error}")
        elif not args.quick:
            lab.step("faults", faults, "real_agent")
    finally:
        stop(servers)
        stop(fixed)


def two_gpus(lab: Lab) -> None:
    """The 8B over both GPUs, or one replica on each: through one model server of Gym."""
    second = f"http://127.0.0.1:{lab.args.port + 1}"
    config = "".join([
        f"head_server: {{host: 127.0.0.1, port: {lab.args.head}}}\n", MATCH.format(name="match"),
        MODEL.format(name="one_model", base=f"{lab.base}/v1", model="policy", more=PLAIN), AGENT.format(name="one", steps=1, resources="match", model="one_model"),
        MODEL.format(name="both_model", base=f"[{lab.base}/v1, {second}/v1]", model="policy", more=PLAIN), AGENT.format(name="both", steps=1, resources="match", model="both_model"),
    ])
    dummy, levels = "--load-format dummy", "--levels 8 128 512 1024 --tokens 512 --least 8"
    first, lab.args.gpu = lab.args.gpu, 1
    replica = lab.serve("engine", lab.engine_command(lab.args.big, dummy).replace(f"--port {lab.args.port}", f"--port {lab.args.port + 1}"), "engine-replica.log")
    lab.args.gpu = first
    servers = None
    try:
        with lab.engine(lab.args.big, dummy):
            servers = lab.gym(config)
            lab.wait(f"{second}/health", replica, 200)
            lab.wait(f"http://127.0.0.1:{lab.args.head}/readyz", servers, 300)
            lab.load("two", f"--name 8b --ways gym --agents both_agent {levels} --note 'two replicas'", 150)
            lab.load("two", f"--name 8b --ways gym --agents one_agent {levels} --note 'one replica'", 150)
        stop(replica)
        lab.args.gpu = "0,1"
        with lab.engine(lab.args.big, f"{dummy} --tensor-parallel-size 2"):
            lab.load("two", f"--name 8b --ways gym --agents one_agent {levels} --note 'tensor parallel over 2'", 150)
    finally:
        stop(replica)
        if servers:
            stop(servers)


# ---------------------------------------------------------------------------------------------------------------------
# Learning


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
    from grpo_rounds import evaluate as measured
    from grpo_rounds import load_weights

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
    steps = (1, 1) if quick else (300, 120)
    if lab.run("train", f"{launch} {INTEGRATE / 'train_trl.py'} sft trl_sft.jsonl --model {args.small} {gpu} --steps {steps[0]} --learning-rate 2e-5 --save {lab.folder}/sft", 200):
        evaluate(lab, "sft", lab.folder / "sft")
    start = lab.folder / "sft" if (lab.folder / "sft").exists() else args.small
    if lab.run("train", f"{launch} {INTEGRATE / 'train_trl.py'} dpo trl_dpo.jsonl --model {start} {gpu} --steps {steps[1]} --learning-rate 5e-6 --save {lab.folder}/dpo", 200):
        evaluate(lab, "sft_dpo", lab.folder / "dpo")


def online(lab: Lab) -> None:
    """Rounds of GRPO, from the weights that the engine had at first."""
    from grpo_rounds import load_weights

    args, quick = lab.args, lab.args.quick
    if not args.engine:
        load_weights(lab.base, args.small)
    gym = " ".join([*(["env", f"PYTHONPATH={os.environ['GYM_PATH']}"] if os.environ.get("GYM_PATH") else [])])
    options = "--rounds 1 --every 1 --per-round 2 --repeats 2 --eval-repeats 2 --batch 2 --concurrency 4" if quick else "--rounds 10 --every 2 --per-round 64 --repeats 8 --eval-repeats 6"
    lab.run("train", f"{TRAIN} {HERE / 'grpo_rounds.py'} train.jsonl --held-out held_out.jsonl --model {args.small} --folder rounds -o {lab.out / 'rounds.json'} {options} "
                     f"{'' if args.engine else f'--engine {lab.base}'} --head 127.0.0.1:{args.head} --gym '{gym} {args.gym}' --gym-python '{gym} {args.gym_python}' --scripts {INTEGRATE} --learning-rate 2e-5 "
                     f"--run-options '+head_server.host=127.0.0.1 +head_server.port={args.head}{' --limit 4' if quick else ''}'", 480)


def trl_grpo(lab: Lab) -> None:
    """TRL's own GRPO on trajectories that Gym collected, by accelerate launch."""
    quick = lab.args.quick
    lab.run("gym", f"{lab.args.gym_python} {INTEGRATE / 'convert_for_trainers.py'} rl train.jsonl --for trl -o prompts.jsonl && "
                   f"{lab.args.gym_python} {INTEGRATE / 'collect_on_policy.py'} train.jsonl -o trajectories.jsonl --limit {2 if quick else 64} --repeats 4 --concurrency {4 if quick else 64} "
                   f"--task-source string_match --head-server 127.0.0.1:{lab.args.head}", 90)
    gpu, launch = ("", TRAIN) if quick else ("--gpu", LAUNCH)
    lab.run("train", f"{launch} {INTEGRATE / 'train_trl.py'} grpo prompts.jsonl --trajectories trajectories.jsonl --model {lab.args.small} {gpu} --steps {1 if quick else 20} --learning-rate 1e-5", 120)


def learn(lab: Lab) -> None:
    args = lab.args
    template = lambda name: f"--enable-auto-tool-choice --tool-call-parser {name} --chat-template {HERE / name}.jinja --gpu-memory-utilization 0.5"  # noqa: E731
    servers = lab.gym(learn_config(lab))
    try:
        with lab.engine(args.small, template("hermes")):
            lab.wait(f"http://127.0.0.1:{args.head}/readyz", servers, 400)
            lab.step("offline", offline)
            lab.step("online", online)
            if not args.engine:
                from grpo_rounds import load_weights
                load_weights(lab.base, args.small)
            lab.step("contiguity", contiguity, "hermes", ("1.0",) if args.quick else ("1.0", "0.7", "0.0"))
            lab.step("gap", gap)
            lab.step("greedy", greedy, "bfloat16")
            lab.step("trl_grpo", trl_grpo)
        if not args.quick:
            lab.step("faults", faults, "string_match_simple_agent")
            for name in ("pythonic", "llama3_json"):
                with lab.engine(args.small, template(name)):
                    lab.step("contiguity", contiguity, name, ("1.0",))
            with lab.engine(args.small, template("hermes") + " --logprobs-mode processed_logprobs"):
                lab.step("gap", gap, "processed_logprobs")
            with lab.engine(args.small, template("hermes") + " --dtype float32"):
                lab.step("gap", gap, "engine in float32")
                lab.step("greedy", greedy, "float32")
    finally:
        stop(servers)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("track", choices=("speed", "learn", "two"), help="rate, overhead, settings, faults; token ids and training; two GPUs")
    add("-o", "--output", type=Path, required=True, metavar="DIR", help="where results and logs go")
    add("--small", type=Path, required=True, metavar="DIR", help="SmolLM2-135M, as make_models.py wrote it")
    add("--big", type=Path, metavar="DIR", help="the 8B, as make_models.py wrote it (default: leave its steps out)")
    add("--gpu", type=int, default=0, help="which GPU (default: %(default)s)")
    add("--cores", default="", metavar="LIST", help="cores for all programs, as taskset has them (default: all)")
    add("--port", type=int, default=8000, help="of the engine; the one 9 above must be free too (default: %(default)s)")
    add("--head", type=int, default=11000, help="port of Gym's head server (default: %(default)s)")
    add("--only", nargs="+", metavar="STEP", help="of the steps, only these")
    add("--minutes", type=float, default=20, help="start nothing that would go beyond (default: %(default)s)")
    add("--hardware", default="one H200", help="for the record (default: %(default)s)")
    add("--gym", default="gym", help="Gym's command (default: %(default)s)")
    add("--gym-python", default="python3", help="the Python that has Gym (default: %(default)s)")
    add("--model-name", default="policy", help="as the engine serves it (default: %(default)s)")
    add("--engine", default="", metavar="COMMAND", help="another engine, {port} for its port: to rehearse")
    add("--ids-base", default="", metavar="URL", help="with --engine: where token ids come from, with /v1")
    add("--quick", action="store_true", help="a few requests per step: to rehearse")
    args = parser.parse_args()
    for path in (args.small, args.big):
        if path and not (path / "config.json").is_file():
            parser.error(f"{path} holds no config.json: write it with make_models.py")
    args.small, args.big = args.small.resolve(), args.big and args.big.resolve()
    sys.path.insert(0, str(HERE))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    lab = Lab(args)
    threading.current_thread().name = args.track
    {"speed": speed, "learn": learn, "two": two_gpus}[args.track](lab)
    lab.say(f"done; failed: {', '.join(lab.failed) or 'none'}")
    return 1 if lab.failed else 0


if __name__ == "__main__":
    sys.exit(main())
