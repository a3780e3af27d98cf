"""Collect the recorded examples of this folder again: real runs of ``gym`` against the practice endpoint.

    python record_examples.py [--out-dir examples] [--work-dir DIR]

Needs ``gym`` on the PATH, this folder as the current one, and the practice endpoint running (uv run
practice_endpoint.py). Starts the servers of record.yaml and record_more.yaml twice, without and with model-call capture,
makes small runs and keeps what each of them is to show. Takes about fifteen minutes on two cores. What lies in the work
folder already is not made again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

HERE = Path(__file__).resolve().parent
COLUMNS = 84
ENV = "policy_base_url: http://127.0.0.1:8000/v1\npolicy_api_key: none\npolicy_model_name: smollm2-135m-instruct\n"
WEATHER = {
    "type": "function", "name": "get_weather", "description": "Weather in a city.", "strict": True,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False},
}
STRING_MATCH, TOOL = "string_match_simple_agent", "example_single_tool_call_environment_server"


def weather_task(*cities: str) -> dict:
    """Four worked conversations with two calls each, then the question: the small model does the same again."""
    told = []
    for asked in (("Rome", "Oslo"), ("Lima", "Cairo"), ("Bern", "Kiev"), ("Doha", "Minsk")):
        results = [{"city": city, "weather_description": f"The weather in {city} is cold."} for city in asked]
        told += [
            {"role": "user", "content": f"Is it cold in {asked[0]} and {asked[1]}?"},
            *({"type": "function_call", "call_id": f"shot_{city}", "name": "get_weather", "arguments": json.dumps({"city": city})} for city in asked),
            *({"type": "function_call_output", "call_id": f"shot_{r['city']}", "output": json.dumps(r, separators=(",", ":"))} for r in results),
            {"role": "assistant", "content": f"Yes, {asked[0]} and {asked[1]} are cold."},
        ]
    question = {"role": "user", "content": f"Is it cold in {cities[0]} and {cities[1]}?"}
    return {"responses_create_params": {"input": [*told, question], "tools": [WEATHER], "max_output_tokens": 80, "temperature": 0}}


def tasks() -> dict[str, list[dict]]:
    plain = [json.loads(line) for line in (HERE / "practice_tasks.jsonl").read_text().splitlines()]
    calls = [json.loads(line) for line in (HERE / "practice_tool_tasks.jsonl").read_text().splitlines()]
    capital, other_capital, total, spelling = plain[0], plain[5], plain[24], plain[33]
    too_long = json.loads(json.dumps(capital))
    too_long["responses_create_params"]["input"][-1]["content"] = "word " * 2100
    return {
        "run": [capital, total, spelling, {**plain[1], "expected_answer": 7}],  # the last one breaks the verifier
        "plain": [capital, spelling],
        "tool_call": calls[:1],
        "weather": [weather_task("Paris", "Tokyo"), weather_task("Madrid", "Quito")],
        "components": [{"responses_create_params": calls[0]["responses_create_params"],
                        "expected_call": {"name": "get_time", "arguments": {"city": "Oslo"}}}],
        "judged": [{key: other_capital[key] for key in ("responses_create_params", "expected_answer")}],
        "too_long": [too_long],
        "materialized": [
            {"task_id": {"taskset": "weather", "task_id": "paris-tokyo"}, "task_input": weather_task("Paris", "Tokyo")},
            {"task_id": {"taskset": "weather", "task_id": "too-long"}, "task_input": {"responses_create_params": {"input": "word " * 2100}}},
        ],
    }


@contextmanager
def running(folder: Path, *command: str, ready: str, seconds: float) -> Iterator[None]:
    """A program in the background, stopped by its own process id at the end."""
    log = folder / f"{Path(command[0]).name}-{time.time_ns()}.log"
    with log.open("w") as out:
        program = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        end = time.monotonic() + seconds
        while ready not in log.read_text(errors="replace"):
            if program.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{' '.join(command)} did not come up:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.5)
        yield
    finally:
        program.send_signal(signal.SIGTERM)
        try:
            program.wait(120)
        except subprocess.TimeoutExpired:
            os.killpg(program.pid, signal.SIGKILL)


def gym(folder: Path, *arguments: str, may_fail: bool = False) -> None:
    print("gym", *arguments, flush=True)
    done = subprocess.run(["gym", *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode and not may_fail:
        raise RuntimeError(f"gym {' '.join(arguments)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


def collect(folder: Path, name: str, of: str, *options: str, may_fail: bool = False) -> None:
    shutil.rmtree(folder / name, ignore_errors=True)
    gym(folder, "eval", "run", "--no-serve", "-i", f"{of}.jsonl", "-o", f"{name}/rollouts.jsonl", *options, may_fail=may_fail)


def layout(value: object, indent: int = 0, before: int = 0) -> str:
    """JSON for reading: what fits on one line stands on one, an object that barely does not on two, and numbers fill their lines."""
    flat, start = json.dumps(value, ensure_ascii=False), indent + before
    if start + len(flat) < COLUMNS or not isinstance(value, (dict, list)) or not value:  # after it may stand a comma
        return flat
    pad, end = " " * (indent + 2), "\n" + " " * indent
    if isinstance(value, dict):
        if start + len(flat) <= 118 and not any(isinstance(v, dict) for v in value.values()):
            fields = [f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in value.items()]
            cut = max((n for n in range(1, len(fields)) if start + 2 + len(", ".join(fields[:n])) <= COLUMNS), default=0)
            rest = " " * (start + 1) + ", ".join(fields[cut:]) + "}"
            if cut and len(rest) < COLUMNS:
                return "{" + ", ".join(fields[:cut]) + ",\n" + rest
        return "{\n" + ",\n".join(f"{pad}{json.dumps(k)}: {layout(v, indent + 2, len(k) + 4)}" for k, v in value.items()) + end + "}"
    if all(isinstance(item, (int, float)) for item in value):
        return "[\n" + textwrap.fill(flat[1:-1], COLUMNS, initial_indent=pad, subsequent_indent=pad, break_on_hyphens=False) + end + "]"
    return "[\n" + ",\n".join(pad + layout(item, indent + 2) for item in value) + end + "]"


def rows(path: Path) -> list[dict]:
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return sorted(found, key=lambda row: (row.get("_ng_task_index", 0), row.get("_ng_rollout_index", 0)))


def keep(folder: Path, out: Path) -> None:
    """Take from the runs what the page shows, each row whole."""
    done, failed = "rollouts.jsonl", "rollouts_failures.jsonl"
    picked = {
        "task.json": rows(folder / "plain.jsonl")[0],
        "materialized_input.json": rows(folder / "plain/rollouts_materialized_inputs.jsonl")[0],
        "materialized_task.json": rows(folder / "materialized.jsonl")[0],
        "single_turn.json": rows(folder / "plain" / done)[0],
        "truncated.json": rows(folder / "plain" / done)[1],
        "context_overflow.json": rows(folder / "too_long" / done)[0],
        "tool_call.json": rows(folder / "tool_call" / done)[0],
        "several_tool_calls.json": rows(folder / "weather" / done)[0],
        "reward_components.json": rows(folder / "components" / done)[0],
        "judged.json": rows(folder / "judged" / done)[0],
        "token_ids.json": rows(folder / "token_ids" / done)[0],
        "token_ids_several_calls.json": rows(folder / "token_ids_weather" / done)[0],
        "token_ids_broken.json": rows(folder / "token_ids_weather" / done)[1],
        "masked.json": rows(folder / "masked" / done)[0],
        "observed.json": rows(folder / "observed" / done)[0],
        "episode.json": rows(folder / "episode" / done)[0],
        "failed_agent_run.json": rows(folder / "run" / failed)[0],
        "failed_judge.json": rows(folder / "unjudged" / failed)[0],
        "failed_episode.json": rows(folder / "episode" / failed)[0],
    }
    for name, row in picked.items():
        (out / name).write_text(layout(row) + "\n", encoding="utf-8")
    (out / "run").mkdir(exist_ok=True)
    for path in (folder / "run").iterdir():
        shutil.copyfile(path, out / "run" / path.name)
    calls = (folder / "captures" / "0-0.capture.jsonl").read_text().splitlines()
    (out / "0-0.capture.jsonl").write_text(calls[0] + "\n", encoding="utf-8")  # a later run appended its own


def record(folder: Path) -> None:
    """All runs, in a folder of their own."""
    (folder / "env.yaml").write_text(ENV)
    for file in ("record.yaml", "record_more.yaml"):
        shutil.copyfile(HERE / file, folder / file)
    for file, its in tasks().items():
        (folder / f"{file}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in its))
    zero = ("--temperature", "0")
    by_tool = ("++environment_routing_mode=legacy", f"++environment_server_name={TOOL}")
    up = {"ready": "servers ready! Polling", "seconds": 900}

    if not (folder / "episode" / "rollouts.jsonl").exists():
        relay = running(folder, sys.executable, str(HERE / "token_ids_relay.py"), ready="Relaying", seconds=20)
        with relay, running(folder, "gym", "env", "start", "--config", "record.yaml", "--config", "record_more.yaml", **up):
            collect(folder, "run", "run", "-a", STRING_MATCH, "--num-repeats", "2", "--temperature", "0.7", "++route_failures_to_sidecar=true")
            collect(folder, "plain", "plain", "-a", STRING_MATCH, *zero)
            collect(folder, "tool_call", "tool_call", "-a", "xlam_fc_simple_agent", *zero)
            collect(folder, "weather", "weather", *by_tool)
            collect(folder, "components", "components", "-a", "example_tool_call_multireward_simple_agent", *zero)
            collect(folder, "judged", "judged", "-a", "equivalence_llm_judge_simple_agent", *zero)
            collect(folder, "unjudged", "judged", "-a", "judged_by_none_agent", *zero, may_fail=True)
            collect(folder, "token_ids", "plain", "-a", "token_ids_agent", *zero)
            collect(folder, "token_ids_weather", "weather", "-a", "token_ids_agent")
            collect(folder, "too_long", "too_long", "-a", "token_ids_agent", *zero)
            collect(folder, "episode", "materialized", "++environment_routing_mode=taskset", "++environment_server_routes.weather=single_tool_turn")
    gym(folder, "eval", "profile", "--inputs", "run/rollouts_materialized_inputs.jsonl", "--rollouts", "run/rollouts.jsonl",
        "++allow_partial_rollouts=True")

    captured = ("++observability_enabled=true", f"++model_call_capture_dir={folder / 'captures'}")
    # Token capture is on and the endpoint gives no token ids: what a trainer would get is masked.
    tokens = ("++token_id_capture.enabled=true", "++token_id_capture.all_agents=true", f"++token_id_capture.dir={folder / 'tokens'}")
    if not (folder / "masked" / "rollouts.jsonl").exists():
        with running(folder, "gym", "env", "start", "--config", "record.yaml", *captured, *tokens, **up):
            collect(folder, "observed", "plain", "-a", STRING_MATCH, *zero, *captured)
            collect(folder, "masked", "plain", "-a", STRING_MATCH, *zero, *tokens)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out-dir", type=Path, default=HERE / "examples", help="default: examples, beside this file")
    parser.add_argument("--work-dir", type=Path, help="folder for the runs themselves (default: a temporary one)")
    args = parser.parse_args()
    out = args.out_dir
    if not shutil.which("gym"):
        print("gym is not on the PATH: install nemo-gym first", file=sys.stderr)
        return 2
    try:
        urlopen("http://127.0.0.1:8000/v1/models", timeout=10).close()
    except (URLError, OSError):
        print("Nothing answers on port 8000. Start the practice endpoint first: uv run practice_endpoint.py", file=sys.stderr)
        return 2
    if not out.is_dir():
        print(f"No such folder: {out}. Make it first: mkdir -p {out}", file=sys.stderr)
        return 2
    folder = (args.work_dir or Path(tempfile.mkdtemp())).resolve()
    folder.mkdir(exist_ok=True)
    print(f"Working in {folder}", flush=True)
    try:
        record(folder)
        keep(folder, out)
    except RuntimeError as error:
        print(f"{error}\nGo on with: --work-dir {folder}", file=sys.stderr)
        return 1
    if not args.work_dir:
        shutil.rmtree(folder)
    print(f"Wrote the examples to {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
