"""Gather what the planner starts from out of the measurements of these pages: python read_measurements.py [-o measured.json]

Every number of measured.json comes from a file that a script has written, with its hardware and date. It reads the files of a copy of
the repository; exit code: 0 done, 2 a file is missing.
"""

import argparse
import json
import statistics
import sys
from dataclasses import fields
from pathlib import Path

HERE = Path(__file__).absolute().parent
TUNING, GUIDES = HERE.parent, HERE.parents[2] / "how-to"
sys.path.insert(0, str(TUNING))
MODELS = {"small": 0.1345, "8b": 8.19}  # billions of parameters of the two models of speed.json


def source(data: dict) -> dict:
    return {key: data[key] for key in ("release", "hardware", "date") if key in data}


def linear(levels: list[dict], key: str, by: str = "rollouts") -> dict:
    """The straight line through the first and the last level."""
    first, last = levels[0], levels[-1]
    slope = (last[key] - first[key]) / (last[by] - first[by])
    return {"at_0": first[key] - slope * first[by], "each": slope}


def gpu(speed: dict) -> dict:
    """Seconds of a call straight at the engine, for two models, with few and with as many calls in flight as were fastest."""
    runs = [run for run in speed["runs"] if run["way"] == "engine" and run["tokens"] == 512]
    fastest = max((run for run in runs if run["name"] == "8b"), key=lambda run: run["per_min"])["concurrency"]
    least = min(run["concurrency"] for run in runs)
    seconds = {(run["name"], run["concurrency"]): run["p50_s"] for run in runs}
    at = {name: [seconds[name, level] for level in (least, fastest)] for name in MODELS}
    return source(speed) | {"kind": "H200", "vllm": speed["vllm"], "tokens": 512, "few": least, "many": fastest,
                            "models": [{"parameters_billion": MODELS[name], "seconds": at[name]} for name in MODELS]}


def practice(knee: dict) -> dict:
    """The practice endpoint with its own tasks: a rollout's seconds alone and at its knee."""
    rates = {level["concurrency"]: level["rollouts_per_min"] for level in knee["levels"]}
    return source(knee) | {"slots": 4, "seconds": [60 / rates[1], 4 * 60 / rates[4]]}


def gather() -> dict:
    from capacity import Workload

    def read(path: Path) -> dict:
        return json.loads(path.read_text(encoding="utf-8"))

    default = {field.name: field.default for field in fields(Workload)}
    speed, ceiling, servers, driver, judge = (read(path) for path in (
        TUNING / "gpu/h200/speed.json", TUNING / "gpu/h200/ceiling.json", TUNING / "servers.json", TUNING / "driver.json",
        GUIDES.parent / "reference/verification-patterns-catalog/judge.json"))
    machine = read(TUNING / "gpu/h200/machine.json")
    shipped = statistics.fmean(run["per_min"] for run in ceiling["runs"]
                               if (run["name"], run["note"]) == ("fixed", "one set, as shipped") and run["concurrency"] >= 64)
    return {
        "gym": source(servers) | {key: default[key] for key in ("gym_seconds", "gym_cpu")},
        "set_of_servers": source(ceiling) | {"per_min": round(shipped)},
        "gpu": gpu(speed),
        "practice": practice(read(GUIDES / "optimize-rollout-collection/practice_knee.json")),
        "judge": source(judge) | {"seconds": judge["seconds_per_call"], "limit": default["judge_limit"]},
        "driver": source(driver) | {"row_bytes": driver["row_bytes"], "bounded_above": driver["modes"]["default"][1]["rollouts"]}
        | {mode: linear(driver["modes"][mode], "peak_mb") for mode in ("default", "bounded")},
        "start": {"gym_s": servers["start_s"], "engine_s": machine["start"]["engine_small_s"]},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=HERE / "measured.json", metavar="FILE", help="default: measured.json beside this script")
    output = parser.parse_args().output
    try:
        text = json.dumps(gather(), indent=1) + "\n"
        output.write_text(text, encoding="utf-8")
    except (OSError, ImportError) as error:
        print(f"read_measurements.py: {error}. Run it in a copy of the repository.", file=sys.stderr)
        return 2
    print(f"Wrote {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
