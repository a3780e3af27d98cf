"""What a sitting on a GPU machine needs: engine, Gym's servers and commands started, limited and logged; configurations in pieces."""

import argparse
import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
INTEGRATE = HERE.parents[2] / "how-to" / "integrate-with-rl-frameworks"
FILTER = HERE.parents[2] / "how-to" / "filter-and-curate-data"
SHARED = HERE.parents[2] / "index"  # rollouts.py and what else all guides share
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
        mine = {"PYTHONPATH": ":".join(filter(None, (path, str(SHARED))))}
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

    def wanted(self, name: str) -> bool:
        return not self.args.only or name in self.args.only

    def step(self, name: str, function, *more) -> None:
        if not self.wanted(name):
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
