# /// script
# requires-python = ">=3.11"
# dependencies = ["jsonschema-rs>=0.60", "orjson>=3.10"]
# ///
"""Measure how fast validate_rollouts.py reads, and the memory it takes; the results go into a JSON file.

    uv run measure_validator.py [--rows 40000] [--out validator_speed.json]

Rows are the recorded examples of this folder, repeated under new keys. Each file is checked three times; the best counts.
Seconds are those of the processor, start of Python included, so that other programs on the machine do not count.
``json_seconds`` is what Python's own json module takes to read the same lines: a measure of the machine.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The validator; on the last line its exit code, CPU seconds and peak memory in kB.
CHECK = """
import resource, runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(end.code, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""

PARSE = """
import json, sys, time
started = time.process_time()
for line in open(sys.argv[1], "rb"):
    json.loads(line)
print(time.process_time() - started)
"""


def copies(row: dict, count: int) -> Iterator[bytes]:
    for number in range(count):
        row["_ng_task_index"], row["_ng_rollout_index"] = divmod(number, 8)
        yield json.dumps(row, separators=(",", ":")).encode() + b"\n"


def verdicts(count: int) -> Iterator[bytes]:
    for task in range(count):
        yield b'{"_ng_task_index":%d,"_ng_rollout_index":0,"rollout_id":"%d-0","verdict":"healthy","findings":[],"unobserved":[]}\n' % (task, task)


def measure(path: Path) -> dict:
    best = parsed = float("inf")
    for _ in range(3):
        said = subprocess.run([sys.executable, "-c", CHECK, HERE / "validate_rollouts.py", path], capture_output=True, text=True, check=True)
        code, seconds, memory = said.stdout.split()[-3:]
        best = min(best, float(seconds))
        parsed = min(parsed, float(subprocess.run([sys.executable, "-c", PARSE, path], capture_output=True, text=True, check=True).stdout))
        if code != "0":
            sys.exit(said.stdout)
    size = path.stat().st_size
    return {"seconds": round(best, 2), "json_seconds": round(parsed, 2), "MB_per_second": round(size / best / 1e6), "peak_MB": round(int(memory) / 1000)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=40_000, help="rows of each file (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=HERE / "validator_speed.json", help="default: validator_speed.json, beside this file")
    args = parser.parse_args()
    if args.rows < 1:
        parser.error("--rows must be at least 1")
    cpu = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("single_turn", "several_tool_calls", "token_ids_several_calls", "observed"):
            row, path = json.loads((HERE / "examples" / f"{name}.json").read_text()), Path(folder, "rollouts.jsonl")
            with path.open("wb") as file:
                file.writelines(copies(row, args.rows))
            found = measure(path)
            results.append({"rows": name, "kB_per_row": round(path.stat().st_size / args.rows / 1000, 1), "rows_per_second": round(args.rows / found["seconds"]), **found})
            print(json.dumps(results[-1]), flush=True)
        path = Path(folder, "rollout_verdicts.jsonl")
        with path.open("wb") as file:
            file.writelines(verdicts(1_000_000))
        results.append({"rows": "a million tasks", "rows_per_second": None, **measure(path)})
        print(json.dumps(results[-1]), flush=True)
    machine = {"date": datetime.date.today().isoformat(), "cpu": cpu, "cores": os.cpu_count(), "python": platform.python_version()}
    part = args.out.with_suffix(".part")
    part.write_text(json.dumps({**machine, "results": results}, indent=1) + "\n", encoding="utf-8")
    os.replace(part, args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
