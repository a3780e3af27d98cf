"""Measure the scripts that read rollouts: processor time against a bare parse of each line, against an older state, and memory.

    python tests/support/measure_scripts.py [--rows 100000] [--runs 3] [--before b5b6574] [--only filter sft] [--no-orjson]

Run it with the Python that has nemo-gym. It writes rollouts of 4 kB to a temporary folder (eight of each task), runs every
script three times, the states in turn, and prints the medians. `--before` takes the scripts of a commit, side by side in the same run.
Memory does not depend on the size of a rollout: for a million of them, `--rows 1000000 --runs 1 --words 0.1` writes 2.7 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TRAINING = "docs/training"
WORDS = "the model answers a question about cities prices and trains with one call of a tool and a short reply that people can check".split()
FILTERS = "--whole --valid-calls --min-reward 0.5 --pass-rate 0.1 0.9 --distinct --best 2"
# The fields that Gym 0.7.0 writes into every request and response, mostly without a value.
REQUEST = dict.fromkeys((
    "background include instructions max_tool_calls metadata model previous_response_id prompt reasoning service_tier store context_management conversation "
    "moderation prompt_cache_key prompt_cache_retention safety_identifier stream_options text top_logprobs top_p truncation user stream").split())
RESPONSE = dict.fromkeys((
    "error incomplete_details instructions metadata temperature top_p background completed_at conversation max_output_tokens max_tool_calls moderation "
    "previous_response_id prompt prompt_cache_key prompt_cache_retention reasoning safety_identifier service_tier status text top_logprobs truncation user").split())
COMMANDS = {
    "filter": ("how-to/filter-and-curate-data", "filter_rollouts.py IN -o OUT.jsonl " + FILTERS),
    "sft": ("how-to/filter-and-curate-data", "make_training_sets.py sft IN -o OUT.jsonl"),
    "dpo": ("how-to/filter-and-curate-data", "make_training_sets.py dpo IN -o OUT.jsonl"),
    "describe": ("how-to/filter-and-curate-data", "describe_rollouts.py IN"),
    "quality": ("how-to/monitor-data-quality", "run_quality.py IN"),
    "convert": ("how-to/integrate-with-rl-frameworks", "convert_for_trainers.py sft IN --for trl -o OUT.jsonl"),
}
BARE = "import sys, LIB\nfor line in open(sys.argv[1], 'rb'):\n    LIB.loads(line)\n"


def rollout(task: int, repeat: int, chance: random.Random, share: float = 1.0) -> dict:
    """One rollout of about 4 kB, with a ``share`` of the words: the prompt of its task, reasoning, a call with its result, an answer."""
    asked = random.Random(task)
    prompt = lambda words: " ".join(asked.choices(WORDS, k=round(words * share) or 1))  # noqa: E731
    text = lambda words: " ".join(chance.choices(WORDS, k=round(words * share) or 1))  # noqa: E731
    say = lambda words: [{"type": "output_text", "text": text(words), "annotations": []}]  # noqa: E731
    tool = {"type": "function", "name": "look_up", "description": prompt(20), "strict": True,
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}}
    return {
        "responses_create_params": REQUEST | {"input": [{"role": "system", "content": prompt(40)}, {"role": "user", "content": f"{task}: {prompt(60)}"}], "tools": [tool],
                                    "temperature": 1.0, "parallel_tool_calls": True, "tool_choice": "auto"},
        "response": RESPONSE | {
            "id": f"resp_{chance.getrandbits(64):016x}", "created_at": 1.0, "model": "m", "object": "response", "parallel_tool_calls": True, "tool_choice": "auto", "tools": [tool],
            "usage": {"input_tokens": 300, "output_tokens": chance.randrange(60, 200), "total_tokens": 500},
            "output": [
                {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": text(60)}], "encrypted_content": None},
                {"type": "function_call", "call_id": "c1", "name": "look_up", "arguments": json.dumps({"city": chance.choice(WORDS)}), "status": "completed"},
                {"type": "function_call_output", "call_id": "c1", "output": text(40)},
                {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": say(50)},
            ],
        },
        "reward": float(chance.random() < 0.5), "mask_sample": False, "_ng_task_index": task, "_ng_rollout_index": repeat, "task_source": "cities",
        "agent_ref": {"type": "responses_api_agents", "name": "simple_agent"}, "expected_answer": prompt(3),
    }


def write_rollouts(path: Path, rows: int, share: float = 1.0) -> int:
    chance = random.Random(1)
    with path.open("w") as out:
        for number in range(rows):
            out.write(json.dumps(rollout(number // 8, number % 8, chance, share)) + "\n")
    return path.stat().st_size // rows


def cost(command: list, folder: Path, environment: dict) -> tuple[float, float]:
    """Seconds of processor time and the peak in MB of one run."""
    program = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(done.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *map(str, command)], cwd=folder, env=environment, capture_output=True, text=True)
    code, seconds, peak = done.stdout.split()
    if code not in ("0", "1") or "Traceback" in done.stderr:
        sys.exit(f"{' '.join(map(str, command))} ended with {code}: {done.stderr[-500:]}")
    return float(seconds), float(peak)


def needless(folder: str, names: list[str]) -> list[str]:
    """What is not copied: compiled files, and links that lead out of what was unpacked of a commit."""
    return [name for name in names if name == "__pycache__" or not Path(folder, name).exists()]


def unpack(folder: Path, commit: str | None) -> Path:
    """The scripts of a state, each page's folder with what all pages share."""
    source = folder / "source"
    if commit:
        source.mkdir(parents=True)
        packed = subprocess.run(["git", "archive", commit, TRAINING], cwd=ROOT, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", source], input=packed, check=True)
    for name in {name for name, _ in COMMANDS.values()}:
        for part in ("index", name):
            shutil.copytree((source if commit else ROOT) / TRAINING / part, folder / name, dirs_exist_ok=True, ignore=needless)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--words", type=float, default=1.0, metavar="SHARE", help="of the words of each rollout (default: %(default)s)")
    parser.add_argument("--before", metavar="COMMIT", help="measure the scripts of this commit, too")
    parser.add_argument("--only", nargs="+", choices=COMMANDS, default=list(COMMANDS))
    parser.add_argument("--no-orjson", action="store_true", help="hide orjson: the standard library alone")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "rollouts.jsonl"
        size = write_rollouts(data, args.rows, args.words)
        states = {"now": unpack(folder / "now", None)} | ({args.before: unpack(folder / "before", args.before)} if args.before else {})
        environment = dict(os.environ)
        if args.no_orjson:
            (folder / "hide").mkdir()
            (folder / "hide" / "orjson.py").write_text("raise ImportError('hidden for a measurement')\n")
            environment["PYTHONPATH"] = str(folder / "hide")
        library = "json" if args.no_orjson else "orjson"
        costs: dict[tuple[str, str], list] = {}
        for _ in range(args.runs):
            costs.setdefault(("bare", ""), []).append(cost([sys.executable, "-c", BARE.replace("LIB", library), data], folder, environment))
            for command in args.only:
                page, line = COMMANDS[command]
                for state, where in states.items():
                    words = line.replace("IN", str(data)).replace("OUT", str(folder / "out")).split()
                    costs.setdefault((command, state), []).append(cost([sys.executable, *words], where / page, environment))
        empty = cost([sys.executable, "-c", "pass"], folder, environment)[1]
        bare = statistics.median(seconds for seconds, _ in costs["bare", ""])
        print(f"{args.rows} rollouts of {size} bytes, {library}: {args.rows / bare:.0f} rows a second; Python {sys.version.split()[0]}, interpreter {empty:.0f} MB")
        print(f"{'script':<12}{'state':<10}{'seconds':>9}{'x parse':>9}{'MB over':>9}")
        for (command, state), found in costs.items():
            seconds, peak = (statistics.median(values) for values in zip(*found))
            print(f"{command:<12}{state:<10}{seconds:>9.2f}{seconds / bare:>9.2f}{peak - empty:>9.0f}")


if __name__ == "__main__":
    main()
