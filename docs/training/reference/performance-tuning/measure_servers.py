"""Measure Gym's own speed: rollouts per minute, latency and CPU per rollout over concurrency, at endpoints of fixed latency.

    python measure_servers.py -o servers.json [--seconds 4] [--rounds 3] [--only no-delay ...]

Starts everything itself: an endpoint that answers after a fixed time (fixed_endpoint.py), the servers of `gym env start`, and the
dispatcher of `gym eval run`. Ports 11000 and 8009 to 8010 must be free. Also notes how long the start of the servers takes.
Run it with the Python that has nemo-gym installed. Exit code: 0 done, 1 rollouts failed, 2 bad input.
"""

import argparse
import asyncio
import contextlib
import io
import json
import os
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil
from find_knee import BadInput as NoRun
from find_knee import run_level
from machine import BadInput, program, record, running, stop_in_order, write

HERE = Path(__file__).parent
MODEL, JUDGE, HEAD = 8009, 8010, 11000
# name: (seconds per model call, calls that the endpoint serves at a time, agent, levels). No slots: no limit.
SCENARIOS = {
    "no-delay": (0, 0, "string_match_simple_agent", [1, 2, 4, 8, 16, 64]),
    "100-ms": (0.1, 0, "string_match_simple_agent", [1, 4, 16, 64, 256]),
    "1-s": (1, 0, "string_match_simple_agent", [8, 32, 128]),
    "500-ms-8-slots": (0.5, 8, "string_match_simple_agent", [1, 4, 8, 16, 32]),
    "judge": (0.2, 0, "equivalence_llm_judge_simple_agent", [1, 2, 4, 8, 16]),
}
JUDGE_SECONDS, JUDGE_LIMIT = 0.4, 4
CONFIG = f"""
policy_base_url: http://127.0.0.1:{MODEL}/v1
policy_api_key: none
policy_model_name: fixed
head_server: {{host: 127.0.0.1, port: {HEAD}}}
string_match_simple_agent: {{responses_api_agents: {{simple_agent: {{max_steps: 1}}}}}}
config_paths:
- resources_servers/string_match/configs/string_match.yaml
- responses_api_models/vllm_model/configs/vllm_model.yaml
"""
# Goes on after it, for the scenario that has a judge.
CONFIG_JUDGE = f"""\
- resources_servers/equivalence_llm_judge/configs/equivalence_llm_judge.yaml
equivalence_llm_judge_simple_agent: {{responses_api_agents: {{simple_agent: {{max_steps: 1}}}}}}
equivalence_llm_judge:
  resources_servers:
    equivalence_llm_judge:
      judge_model_server: {{type: responses_api_models, name: judge_model}}
      judge_endpoint_max_concurrency: {JUDGE_LIMIT}
judge_model:
  responses_api_models:
    vllm_model:
      entrypoint: app.py
      base_url: http://127.0.0.1:{JUDGE}/v1
      api_key: none
      model: fixed
      return_token_id_information: false
      uses_reasoning_parser: false
"""
# What the agent servers of both environments accept: a task, and the fields that their verifiers read.
TASK = {"responses_create_params": {"input": "What is the capital of France?"}, "expected_answer": "Paris", "extraction_mode": "last_line"}


def get(path: str) -> bytes:
    return urllib.request.urlopen(f"http://127.0.0.1:{HEAD}{path}", timeout=30).read()


def cpu(processes: dict[str, psutil.Process]) -> dict[str, float]:
    """CPU seconds of each process and of those that it started."""
    seconds = {}
    for name, process in processes.items():
        family = [process, *(process.children(recursive=True) if process.pid != os.getpid() else [])]
        seconds[name] = sum(sum(member.cpu_times()[:2]) for member in family)
    return seconds


def busy() -> float:
    """CPU seconds that all programs of this machine have used, ours among them."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0) - getattr(times, "guest", 0) - getattr(times, "guest_nice", 0)


def fixed(port: int, delay: float, slots: int = 0, text: str = "Answer: Paris") -> list:
    return [sys.executable, HERE / "fixed_endpoint.py", "--port", port, "--delay", delay, "--slots", slots, "--text", text]


async def scenario(name: str, servers: dict[str, psutil.Process], args: argparse.Namespace, folder: Path) -> dict:
    """All levels of one scenario in turn, round by round."""
    from nemo_gym import BaseServerConfig
    from nemo_gym.rollout_collection import (
        DispatchLatencyTracker,
        RolloutCollectionHelper,
    )

    delay, slots, agent, levels = SCENARIOS[name]
    levels = [level for level in levels if level <= args.most]
    head, helper = BaseServerConfig(host="127.0.0.1", port=HEAD), RolloutCollectionHelper()
    rows = lambda count: [TASK | {"agent_ref": {"name": agent}} for _ in range(count)]  # noqa: E731
    measured = {level: {"concurrency": level, "rates": [], "rollouts": 0, "seconds": 0.0, "busy": 0.0, "cpu": {}} for level in levels}
    latency = {level: DispatchLatencyTracker() for level in levels}
    with running(fixed(MODEL, delay, slots), folder, f"http://127.0.0.1:{MODEL}/v1/models", 30) as (endpoint, _):
        processes = servers | {"endpoint": psutil.Process(endpoint.pid), "driver": psutil.Process()}
        with contextlib.redirect_stdout(io.StringIO()):
            await run_level(helper, rows(levels[-1]), head, levels[-1], 120, None)  # warm up
        for _ in range(args.rounds):
            for level, its in measured.items():
                # As many rollouts as take about the wanted time, at the rate of the round before or a guess.
                rate = its["rates"][-1] / 60 if its["rates"] else min(level / (delay + 0.03), slots / delay if slots else 50, 50)
                count = max(4 * level, int(rate * args.seconds))
                before, busy_before, started = cpu(processes), busy(), time.monotonic()
                with contextlib.redirect_stdout(io.StringIO()) as said:
                    per_minute, failures, _ = await run_level(helper, rows(count), head, level, 120, latency[level])
                if failures:
                    print(f"measure_servers.py: {failures} of {count} rollouts failed: {said.getvalue()[-300:]}", file=sys.stderr)
                    raise SystemExit(1)
                its["seconds"] += time.monotonic() - started
                its["busy"] += busy() - busy_before
                its["rollouts"] += count
                its["rates"].append(round(per_minute, 1))
                for process, seconds in cpu(processes).items():
                    its["cpu"][process] = its["cpu"].get(process, 0.0) + seconds - before[process]
    for level, its in measured.items():
        its["p50_s"], its["p95_s"] = (round(latency[level].quantile(share), 4) for share in (0.5, 0.95))
        its["rollouts_per_min"] = round(60 * its["rollouts"] / its["seconds"], 1)
        its["cpu_ms"] = {process: round(1000 * seconds / its["rollouts"], 2) for process, seconds in its.pop("cpu").items()}
        its["cores_busy"] = round(its.pop("busy") / its["seconds"], 2)
        its["seconds"] = round(its["seconds"], 2)
        print(f"{name:>16} {level:>4} {its['rollouts_per_min']:>8.0f} rollouts/min  p50 {its['p50_s']:.3f} s  "
              f"CPU {sum(its['cpu_ms'].values()):.1f} ms  {its['cores_busy']:.1f} cores busy", flush=True)
    return {"delay_s": delay, "slots": slots, "judge_s": JUDGE_SECONDS if name == "judge" else 0,
            "judge_limit": JUDGE_LIMIT if name == "judge" else 0, "levels": list(measured.values())}


async def scenarios(data: dict, servers: dict[str, psutil.Process], args: argparse.Namespace, folder: Path) -> None:
    """In one event loop, which Gym's connections belong to."""
    for name in args.only or SCENARIOS:
        data["scenarios"][name] = await scenario(name, servers, args, folder) | {"busy_before": data["busy_before"]}
        write(args.output, data)


def measure(args: argparse.Namespace, scenarios_before: dict) -> None:
    data = record(args.hardware)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "servers.yaml").write_text(CONFIG + CONFIG_JUDGE * ("judge" in (args.only or SCENARIOS)))
        os.chdir(folder)
        os.environ["TQDM_DISABLE"] = "1"
        with contextlib.ExitStack() as stack:
            stack.enter_context(running(fixed(JUDGE, JUDGE_SECONDS, text="[[A=B]]"), folder, f"http://127.0.0.1:{JUDGE}/v1/models", 30))
            ready = f"http://127.0.0.1:{HEAD}/readyz"
            with running(fixed(MODEL, 0), folder, f"http://127.0.0.1:{MODEL}/v1/models", 30):  # the start waits for an endpoint
                command = [program("gym"), "env", "start", "--config", "servers.yaml"]
                _, seconds = stack.enter_context(running(command, folder, ready, 240))
            instances = json.loads(get("/server_instances"))
            servers = {its["process_name"]: psutil.Process(its["pid"]) for its in instances}
            data |= {"start_s": round(seconds, 1), "servers": len(servers), "scenarios": scenarios_before}
            print(f"{len(servers)} servers ready after {seconds:.1f} s", flush=True)
            asyncio.run(scenarios(data, servers, args, folder))
        os.chdir("/")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where to write the measurement (JSON)")
    parser.add_argument("--seconds", type=float, default=4, help="of rollouts per level and round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each level is measured (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, metavar="NAME", help=f"of {', '.join(SCENARIOS)} (default: all)")
    parser.add_argument("--most", type=int, default=256, metavar="N", help="leave out higher concurrency (default: %(default)s)")
    parser.add_argument("--add", action="store_true", help="keep the scenarios that the output file already holds")
    parser.add_argument("--hardware", help="a word on the machine, for the record (default: what the system says)")
    args = parser.parse_args()
    stop_in_order()
    args.output = args.output.absolute()
    if args.seconds <= 0 or args.rounds < 1 or args.most < 8 or not args.output.parent.is_dir():
        parser.error("--seconds must be above 0, --rounds 1 or more, --most 8 or more, and the folder of -o must exist")
    try:
        keep = args.add and args.output.exists()
        measure(args, json.loads(args.output.read_text())["scenarios"] if keep else {})
    except (BadInput, NoRun) as error:
        print(f"measure_servers.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
