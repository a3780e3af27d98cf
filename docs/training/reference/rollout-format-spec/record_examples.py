"""Collect the recorded examples of this folder again: real runs of ``gym`` against the practice endpoint.

    python record_examples.py [--out-dir examples] [--work-dir DIR] [EXAMPLE ...]

Needs ``gym`` on the PATH, this folder as the current one, and the practice endpoint running (uv run
practice_endpoint.py). Starts the servers of record.yaml and record_more.yaml, then string_match alone with model-call
capture, makes small runs and keeps what each of them is to show: of all examples, or of those that are named, for example
observed.json (``run`` is the folder of that name). Says for each which fields the shipped one has not, and which it has
besides. All of them take about ten minutes on two cores. Runs that lie in the work folder already are not made again.
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
BY_TOOL = ("++environment_routing_mode=legacy", f"++environment_server_name={TOOL}")
CAPTURED = ("++observability_enabled=true", "++model_call_capture_dir={folder}/captures")
# Token capture is on and the endpoint gives no token ids: what a trainer would get is masked.
TOKENS = ("++token_id_capture.enabled=true", "++token_id_capture.all_agents=true", "++token_id_capture.dir={folder}/tokens")
ZERO = ("--temperature", "0")
ONE_VERIFIER = (
    "--config", "resources_servers/string_match/configs/string_match.yaml", "--config", "responses_api_models/vllm_model/configs/vllm_model.yaml",
)

# What `gym env start` gets, and the runs with these servers: their tasks and what `gym eval run` gets.
SESSIONS = [
    (("--config", "record.yaml", "--config", "record_more.yaml"), {
        "run": ("run", "-a", STRING_MATCH, "--num-repeats", "2", "--temperature", "0.7", "++route_failures_to_sidecar=true"),
        "plain": ("plain", "-a", STRING_MATCH, *ZERO),
        "tool_call": ("tool_call", "-a", "xlam_fc_simple_agent", *ZERO),
        "weather": ("weather", *BY_TOOL),
        "components": ("components", "-a", "example_tool_call_multireward_simple_agent", *ZERO),
        "judged": ("judged", "-a", "equivalence_llm_judge_simple_agent", *ZERO),
        "unjudged": ("judged", "-a", "judged_by_none_agent", *ZERO),
        "token_ids": ("plain", "-a", "token_ids_agent", *ZERO),
        "token_ids_weather": ("weather", "-a", "token_ids_agent"),
        "too_long": ("too_long", "-a", "token_ids_agent", *ZERO),
        "episode": ("materialized", "++environment_routing_mode=taskset", "++environment_server_routes.weather=single_tool_turn"),
    }),
    ((*ONE_VERIFIER, *CAPTURED, *TOKENS), {
        "observed": ("plain", "-a", STRING_MATCH, *ZERO, *CAPTURED),
        "masked": ("plain", "-a", STRING_MATCH, *ZERO, *TOKENS),
    }),
]  # fmt: skip
MAY_FAIL = {"unjudged"}

# Each example: the run it needs, the file in the work folder, and which of its rows.
DONE, FAILED = "rollouts.jsonl", "rollouts_failures.jsonl"
EXAMPLES = {
    "task.json": (None, "plain.jsonl", 0),
    "materialized_input.json": ("plain", "plain/rollouts_materialized_inputs.jsonl", 0),
    "materialized_task.json": (None, "materialized.jsonl", 0),
    "single_turn.json": ("plain", f"plain/{DONE}", 0),
    "truncated.json": ("plain", f"plain/{DONE}", 1),
    "context_overflow.json": ("too_long", f"too_long/{DONE}", 0),
    "tool_call.json": ("tool_call", f"tool_call/{DONE}", 0),
    "several_tool_calls.json": ("weather", f"weather/{DONE}", 0),
    "reward_components.json": ("components", f"components/{DONE}", 0),
    "judged.json": ("judged", f"judged/{DONE}", 0),
    "token_ids.json": ("token_ids", f"token_ids/{DONE}", 0),
    "token_ids_several_calls.json": ("token_ids_weather", f"token_ids_weather/{DONE}", 0),
    "token_ids_broken.json": ("token_ids_weather", f"token_ids_weather/{DONE}", 1),
    "masked.json": ("masked", f"masked/{DONE}", 0),
    "observed.json": ("observed", f"observed/{DONE}", 0),
    "0-0.capture.jsonl": ("observed", "captures/0-0.capture.jsonl", 0),
    "episode.json": ("episode", f"episode/{DONE}", 0),
    "failed_agent_run.json": ("run", f"run/{FAILED}", 0),
    "failed_judge.json": ("unjudged", f"unjudged/{FAILED}", 0),
    "failed_episode.json": ("episode", f"episode/{FAILED}", 0),
    "run": ("run", "run", None),
}


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
    print("gym", *arguments, file=sys.stderr, flush=True)
    done = subprocess.run(["gym", *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode and not may_fail:
        raise RuntimeError(f"gym {' '.join(arguments)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


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


def fields(value: object, path: str = "") -> set[str]:
    """The paths of all fields in it, whatever their place in a list."""
    if isinstance(value, list):
        return set().union(*(fields(item, path) for item in value))
    if isinstance(value, dict):
        return set().union(*({f"{path}{name}"} | fields(inner, f"{path}{name}.") for name, inner in value.items()))
    return set()


def keep(folder: Path, out: Path, names: list[str]) -> None:
    """Take from the runs what the page shows, each row whole, and say how its fields differ from those of the shipped one."""
    for name in names:
        _, source, number = EXAMPLES[name]
        if number is None:
            shutil.copytree(folder / source, out / name, dirs_exist_ok=True)
            print(f"{name}: {len(list((folder / source).iterdir()))} files")
            continue
        row = rows(folder / source)[number]
        seen, before = fields(row), fields(json.loads((HERE / "examples" / name).read_text(encoding="utf-8")))
        text = (folder / source).read_text().splitlines()[number] if name.endswith(".jsonl") else layout(row)
        (out / name).write_text(text + "\n", encoding="utf-8")
        changes = [f"{what}: {', '.join(sorted(its))}" for what, its in (("new", seen - before), ("gone", before - seen)) if its]
        print(f"{name}: {len(seen)} fields, {'; '.join(changes) or 'the same as in examples'}")


def record(folder: Path, names: list[str]) -> None:
    """The runs that these examples need, in a folder of their own."""
    (folder / "env.yaml").write_text(ENV)
    for file in ("record.yaml", "record_more.yaml"):
        shutil.copyfile(HERE / file, folder / file)
    for file, its in tasks().items():
        (folder / f"{file}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in its))
    needed = {EXAMPLES[name][0] for name in names}
    for started_with, runs in SESSIONS:
        wanted = [name for name in runs if name in needed and not (folder / f"{name}.done").exists()]
        if not wanted:
            continue
        servers = [its.format(folder=folder) for its in started_with]
        up = running(folder, "gym", "env", "start", *servers, ready="servers ready! Polling", seconds=900)
        with running(folder, sys.executable, str(HERE / "token_ids_relay.py"), ready="Relaying", seconds=20), up:
            for name in wanted:
                shutil.rmtree(folder / name, ignore_errors=True)
                of, *options = (its.format(folder=folder) for its in runs[name])
                gym(folder, "eval", "run", "--no-serve", "-i", f"{of}.jsonl", "-o", f"{name}/rollouts.jsonl", *options, may_fail=name in MAY_FAIL)
                (folder / f"{name}.done").touch()
    if "run" in needed:
        gym(folder, "eval", "profile", "--inputs", "run/rollouts_materialized_inputs.jsonl", "--rollouts", "run/rollouts.jsonl",
            "++allow_partial_rollouts=True")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out-dir", type=Path, default=HERE / "examples", help="default: examples, beside this file")
    parser.add_argument("--work-dir", type=Path, help="folder for the runs themselves (default: a temporary one)")
    parser.add_argument("examples", nargs="*", metavar="EXAMPLE", help="record only these, for example observed.json (default: all)")
    args = parser.parse_args()
    out, names = args.out_dir, args.examples or list(EXAMPLES)
    if unknown := [name for name in names if name not in EXAMPLES]:
        print(f"No such example: {', '.join(unknown)}. There are: {', '.join(EXAMPLES)}", file=sys.stderr)
        return 2
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
    print(f"Working in {folder}", file=sys.stderr, flush=True)
    try:
        record(folder, names)
        keep(folder, out, names)
    except RuntimeError as error:
        print(f"{error}\nGo on with: --work-dir {folder}", file=sys.stderr)
        return 1
    if not args.work_dir:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
