"""Plan a collection before it starts: its rate, hours, bound, memory, disk and jobs.

    python plan.py --tasks 10000 --repeats 8 --where gpus --gpus 2 --judge-calls 1 --deadline-hours 60

The arithmetic is that of capacity.py (rate, knee) and memory_worksheet.py (memory of a GPU); what they start from was measured
(measured.json) or is a data sheet's (hardware.json). The page's planner computes the same, and writes the files of the run. All
seconds, hours and bytes are estimates until you measure: the last lines say what first. With --json: every number, unrounded.
Exit code: 0 done, 1 the model does not fit the GPUs, or the deadline is too early, 2 bad input.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import textwrap
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from capacity import Workload
from memory_worksheet import GIB, HEADROOM, Model

HERE = Path(__file__).absolute().parent
MEASURED, HARDWARE = (json.loads((HERE / f"{name}.json").read_text(encoding="utf-8")) for name in ("measured", "hardware"))
ASSUMED = HARDWARE["assumed"]
WHERE = {"gpus": "my GPUs, with vLLM", "endpoint": "an endpoint whose speed I know", "unknown": "an endpoint of unknown speed",
         "practice": "the practice endpoint"}  # fmt: skip
GOALS = {"sft": "SFT", "dpo": "DPO", "rl": "RL", "evaluation": "evaluation"}
# What to change first, by the stage that bounds the rate.
ADVICE = {
    "endpoint: GPUs": "more GPUs, fewer tokens per call, or weights of 8 bits",
    "endpoint: slots": "more slots: another replica, or a higher limit of your provider",
    "endpoint: its own speed": "another endpoint: this one is full",
    "judge: its limit of calls": "a higher judge_endpoint_max_concurrency if the judge has room, else a faster judge, or a rule before it",
    "Gym: its busiest process": "a second set of servers, each with an agent of its own",
    "Gym: all processes on these cores": "more cores for Gym",
}


class BadInput(Exception):
    """Something the reader can put right; shown as one line."""


def asked(default, label: str, hint: str = "", least: float = 0, most: float = 1e9, choices: dict | None = None, group: str = "", only: str = ""):
    about = {"label": label, "hint": hint, "least": least, "most": most, "choices": choices, "group": group, "only": only}
    return field(default=default, metadata=about)


@dataclass
class Asked:
    """What the reader knows. ``group`` starts a part of the form; ``only`` names the ``where`` a field belongs to."""

    goal: str = asked("sft", "Goal", "sets sampling, repeats' seeds and token ids", choices=GOALS, group="The work")
    tasks: int = asked(10_000, "Tasks", least=1, most=100_000_000)
    repeats: int = asked(8, "Repeats of each task", least=1, most=10_000)
    calls: float = asked(1.0, "Model calls per rollout", "more than 1 with tools or turns", least=1, most=10_000)
    tokens: int = asked(512, "Answer tokens per call", least=1, most=1_000_000)
    prompt_tokens: int = asked(1024, "Prompt tokens", "of the longest task", least=1, most=1_000_000)
    tool_seconds: float = asked(0.0, "Tool seconds per call", most=100_000)
    judge_calls: float = asked(0.0, "Judge calls per rollout", "0: a rule gives the reward", most=1000, group="The judge")
    judge_seconds: float = asked(MEASURED["judge"]["seconds"], "Seconds per judge call", least=0.001, most=100_000)
    judge_limit: int = asked(MEASURED["judge"]["limit"], "Judge calls at a time", "judge_endpoint_max_concurrency", least=1, most=100_000)
    where: str = asked("gpus", "The model runs on", choices=WHERE, group="The model")
    model: str = asked("Qwen/Qwen3-8B", "Model", "the nearest in size", choices={name: name.partition("/")[2] for name in HARDWARE["models"]}, only="gpus")
    precision: str = asked("bfloat16", "Precision", choices=dict.fromkeys(HARDWARE["weight_bytes"]) | {"bfloat16": "bfloat16", "fp8": "8 bits", "int4": "4 bits"}, only="gpus")
    gpu: str = asked("H200", "Kind of GPU", choices={name: name for name in HARDWARE["gpus"]}, only="gpus")
    gpus: int = asked(1, "GPUs in all", least=1, most=4096, only="gpus")
    judge_gpus: int = asked(0, "GPUs of these for the judge", "0: it is served elsewhere", most=4096, only="gpus")
    judge_model: str = asked("Qwen/Qwen3-8B", "Judge model", choices={name: name.partition("/")[2] for name in HARDWARE["models"]}, only="gpus")
    call_seconds: float = asked(3.0, "Seconds per model call", "one call at a time", least=0.001, most=100_000, only="endpoint")
    slots: int = asked(16, "Calls it serves at a time", "its knee, or your quota", least=1, most=1_000_000, only="endpoint")
    cores: int = asked(16, "Cores for Gym", least=1, most=10_000, group="Time")
    walltime_hours: float = asked(0.0, "Time limit per job, hours", "0: no scheduler", most=10_000)
    deadline_hours: float = asked(0.0, "Must be done within, hours", "0: no deadline", most=100_000)


def served(name: str, gpus: int, asked: Asked, port: int) -> Model | None:
    """The model on these GPUs, with the smallest split that leaves room for a few sequences, and as many sequences as fit; None: too large."""
    per_node, memory = HARDWARE["gpus_per_node"], HARDWARE["gpus"][asked.gpu]["memory_gib"] * GIB
    parallel = 1
    while parallel <= min(gpus, per_node):
        model = Model(name="", model=name, gpus=list(range(gpus // parallel * parallel)), context_tokens=context(asked), sequences=1, port=port,
                      weight_bytes=HARDWARE["weight_bytes"][asked.precision], tensor_parallel=parallel, **HARDWARE["models"][name])
        room = (1 - HEADROOM) * memory - model.weights() - model.working_gib * GIB
        # A share is rounded up to a whole percent: keep one for that.
        model.sequences = min(MEASURED["gpu"]["many"], math.floor((room - 0.01 * memory) / (model.kv_per_token() * model.context_tokens) + 1e-9))
        if model.sequences >= ASSUMED["least_sequences"]:
            return model
        parallel *= 2
    return None


def context(asked: Asked) -> int:
    """Tokens of the longest sequence: the prompt and all answers."""
    return math.ceil(asked.prompt_tokens + asked.calls * asked.tokens)


def seconds_on(model: Model, asked: Asked) -> tuple[float, float]:
    """Seconds of a call with few and with many calls in flight: a straight line through both measured models, by the bytes of weights that a
    GPU reads for each token, over its bandwidth."""
    gpu, (small, large) = MEASURED["gpu"], MEASURED["gpu"]["models"]
    speed = {name: its["terabytes_per_s"] for name, its in HARDWARE["gpus"].items()}
    read = model.parameters_billion * model.weight_bytes / 2 / model.tensor_parallel * speed[gpu["kind"]] / speed[asked.gpu]
    part = (read - small["parameters_billion"]) / (large["parameters_billion"] - small["parameters_billion"])
    few, many = (asked.tokens / gpu["tokens"] * (low + part * (high - low)) for low, high in zip(small["seconds"], large["seconds"]))
    return few, many


def workload(asked: Asked, model: Model | None) -> tuple[Workload, int]:
    """What capacity.py calculates with, and the most that may be in flight (0: no limit)."""
    gym, common, limit = MEASURED["gym"], {}, 0
    if asked.where == "gpus":
        few, many = seconds_on(model, asked)
        limit = model.sequences * model.replicas
        common = {"call_seconds": few, "busy_seconds": many, "busy_at": MEASURED["gpu"]["many"] * model.replicas}
    elif asked.where == "practice":
        alone, busy = (seconds - gym["gym_seconds"] for seconds in MEASURED["practice"]["seconds"])
        limit = MEASURED["practice"]["slots"]
        common = {"call_seconds": alone, "busy_seconds": busy, "busy_at": limit}
    else:
        common = {"call_seconds": asked.call_seconds, "slots": asked.slots}
    return Workload(
        calls=asked.calls, tool_seconds=asked.tool_seconds, judge_calls=asked.judge_calls, judge_seconds=asked.judge_seconds, judge_limit=asked.judge_limit,
        gym_seconds=gym["gym_seconds"] * asked.calls, gym_cpu=gym["gym_cpu"] * asked.calls,
        busiest_cpu=60 / MEASURED["set_of_servers"]["per_min"] * asked.calls, cores=asked.cores, **common,
    ), limit


def bound_of(work: Workload, where: str) -> str:
    """The stage that is full at this concurrency."""
    name, least = min(work.capacities().items(), key=lambda item: item[1])
    if "grow" not in name and work.rate() > 0.99 * least:
        return name
    return {"gpus": "endpoint: GPUs", "practice": "endpoint: its own speed"}.get(where, "endpoint: slots")


def plan(asked: Asked) -> dict:
    """Every number of a plan. Keys without a value for this plan are None; ``problem`` says why there is none."""
    found: dict = {"problem": None, "rollouts": asked.tasks * asked.repeats, "context_tokens": context(asked)}
    model = judge = None
    if asked.where == "gpus":
        if asked.judge_gpus >= asked.gpus:
            return found | {"problem": "No GPU is left for the model: give the judge fewer, or have more."}
        model = served(asked.model, asked.gpus - asked.judge_gpus, asked, 8000)
        judge = served(asked.judge_model, asked.judge_gpus, asked, 8001) if asked.judge_gpus else None
        if model is None or (asked.judge_gpus and judge is None):
            return found | {"problem": f"{asked.model if model is None else asked.judge_model} does not fit: more GPUs or fewer bits."}
    for name, its in (("model", model), ("judge", judge)):
        memory = HARDWARE["gpus"][asked.gpu]["memory_gib"] * GIB
        found |= {f"{name}_{key}": value for key, value in {
            "replicas": its and its.replicas, "tensor_parallel": its and its.tensor_parallel, "sequences": its and its.sequences,
            "weights_gib": its and its.weights() / GIB, "cache_gib": its and its.kv_cache() / GIB, "share": its and its.share(memory),
        }.items()}  # fmt: skip
    found |= rate_of(asked, model) | files_of(asked, found["rollouts"])
    jobs = None
    if asked.walltime_hours and found["planned_per_min"]:
        start = MEASURED["start"]["gym_s"] / 3600
        usable = max(ASSUMED["share_of_walltime"] * asked.walltime_hours - start, 0.1 * asked.walltime_hours)
        jobs = max(1, math.ceil(found["rollouts"] / (60 * found["planned_per_min"] * usable) - 1e-9))
        jobs = min(jobs, asked.tasks)
    late = asked.deadline_hours and found["hours"] and found["hours"] > asked.deadline_hours
    needed = found["rollouts"] / asked.deadline_hours / 60 if asked.deadline_hours else None
    return found | {"jobs": jobs, "late": bool(late), "needed_per_min": needed}


def rate_of(asked: Asked, model: Model | None) -> dict:
    if asked.where == "unknown":  # any number here would be invented
        names = ("alone_s", "knee", "rate_per_min", "planned_per_min", "rollout_s", "hours", "bound", "stages")
        return dict.fromkeys(names) | {"concurrency": MEASURED["practice"]["slots"]}
    work, limit = workload(asked, model)
    knee = work.knee()
    work.concurrency = min(knee, limit) if limit else knee
    rate = work.rate()
    planned = ASSUMED["share_of_prediction"] * rate
    return {
        "alone_s": work.alone(), "knee": knee, "concurrency": work.concurrency, "rate_per_min": 60 * rate, "planned_per_min": 60 * planned,
        "rollout_s": work.concurrency / rate, "hours": asked.tasks * asked.repeats / planned / 3600, "bound": bound_of(work, asked.where),
        "stages": {name: 60 * value for name, value in work.capacities().items()},
    }


def files_of(asked: Asked, rollouts: int) -> dict:
    """Disk and the driver's memory. A row grows with its text, and with token ids if there are any."""
    driver, answers = MEASURED["driver"], asked.calls * asked.tokens
    row = driver["row_bytes"] + ASSUMED["bytes_per_token"] * (asked.prompt_tokens + answers)
    if asked.goal == "rl":
        row += ASSUMED["bytes_per_token_id"] * (answers + asked.prompt_tokens)
    bounded = rollouts > driver["bounded_above"] and asked.goal != "evaluation"  # its metrics need all rows
    memory = driver["bounded" if bounded else "default"]
    grown = rollouts * memory["each"] * (row / driver["row_bytes"] if not bounded else 1)
    return {"row_bytes": row, "disk_gb": rollouts * row / 1e9, "bounded": bounded, "driver_mb": memory["at_0"] + grown}


def duration(hours: float) -> str:
    if hours < 1 / 40:
        return "a minute" if hours >= 1 / 60 else "less than a minute"
    return f"{hours:.1f} hours" if hours >= 1.5 else f"{60 * hours:.0f} minutes"


def worksheet(asked: Asked, found: dict) -> str:
    def line(name: str, value: str) -> str:
        return textwrap.fill(f"{name:36} {value}", 84, subsequent_indent=" " * 37, break_long_words=False)

    def size(gigabytes: float) -> str:
        return f"{gigabytes:.1f} GB" if gigabytes >= 1 else f"{1000 * gigabytes:.0f} MB"

    lines = [line("rollouts", f"{found['rollouts']:,}")]
    if found["rate_per_min"]:
        lines += [
            line("rate, as predicted", f"{found['rate_per_min']:,.0f} rollouts/min, {found['rollout_s']:.2f} s per rollout"),
            line(f"plan with {ASSUMED['share_of_prediction']:.0%} of it", f"{found['planned_per_min']:,.0f} rollouts/min, {duration(found['hours'])}"),
            line("bound by", found["bound"]), line("change first", ADVICE[found["bound"]]),
        ]
        lines += [line(name, f"{value:,.0f} rollouts/min at most") for name, value in sorted(found["stages"].items(), key=lambda item: item[1])]
    lines += [line("concurrency", f"{found['concurrency']}" + ("" if found["rate_per_min"] else " until you have measured the knee"))]
    for name in ("model", "judge"):
        if found[f"{name}_replicas"]:
            parts = (found[f"{name}_{key}"] for key in ("replicas", "tensor_parallel", "sequences", "weights_gib", "cache_gib", "share"))
            lines.append(line(f"GPU memory, {name}", "{} x {} GPU, {} sequences, {:.1f} + {:.1f} GiB, share {:.2f}".format(*parts)))
    lines += [
        line("driver memory", f"{found['driver_mb']:,.0f} MB" + (", bounded, without aggregation" if found["bounded"] else "")),
        line("disk", f"{size(found['disk_gb'])}, {found['row_bytes']:,.0f} bytes per rollout"),
    ]
    if found["jobs"]:
        lines.append(line("jobs", f"{found['jobs']} of {asked.walltime_hours:g} hours, one after the other"))
    if found["needed_per_min"]:
        lines.append(line("deadline needs", f"{found['needed_per_min']:,.0f} rollouts/min" + (": too early" if found["late"] else "")))
    return "\n".join([*lines, line("measure first", "find_knee.py, with your tasks")])


def options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for one in fields(Asked):
        about, flag = one.metadata, f"--{one.name.replace('_', '-')}"
        said = ", ".join(filter(None, [about["label"], about["hint"]])) + " (default: %(default)s)"
        if about["choices"]:
            parser.add_argument(flag, choices=list(about["choices"]), default=one.default, help=said)
        else:
            parser.add_argument(flag, type=type(one.default), default=one.default, metavar="N" if isinstance(one.default, int) else "X", help=said)
    parser.add_argument("--json", action="store_true", help="print every number as JSON")
    found = parser.parse_args(argv)
    for one in fields(Asked):
        value, about = getattr(found, one.name), one.metadata
        if not about["choices"] and not about["least"] <= value <= about["most"]:
            parser.error(f"--{one.name.replace('_', '-')} must be from {about['least']:g} to {about['most']:g}")
    return found


def main(argv: list[str] | None = None) -> int:
    given = vars(options(argv))
    as_json = given.pop("json")
    wanted = Asked(**given)
    found = plan(wanted)
    if as_json:
        print(json.dumps({"asked": asdict(wanted), **found}, indent=1))
    elif not found["problem"]:
        print(worksheet(wanted, found))
    if found["problem"]:
        print(f"plan.py: {found['problem']}", file=sys.stderr)
    return 1 if found["problem"] or found["late"] else 0


if __name__ == "__main__":
    sys.exit(main())
