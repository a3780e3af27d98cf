"""Draw and tabulate what the measure_*.py scripts wrote: figures for the page, tables into parts/.

    python figures.py [--out-dir parts]

The page calls the functions draw_* when it is built; run this file after a measurement to write the tables. Exit code: 0 done, 2 bad input.
"""

import argparse
import json
import sys
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from capacity import Workload  # noqa: E402  (the page's build runs this file from elsewhere)

LABELS = {"no-delay": "no delay", "100-ms": "0.1 s", "1-s": "1 s", "500-ms-8-slots": "0.5 s, 8 slots", "judge": "0.2 s, judge"}
NOT_GYM = ("endpoint",)  # stands in for a GPU


def costs(data: dict) -> tuple[float, float, float]:
    """Seconds that Gym adds to a rollout alone, its CPU seconds per rollout, and those of its busiest process, without delay."""
    levels = data["scenarios"]["no-delay"]["levels"]
    loaded = levels[-1]["cpu_ms"]
    own = [seconds for name, seconds in loaded.items() if name not in NOT_GYM]
    return levels[0]["p50_s"], sum(loaded.values()) / 1000, max(own) / 1000


def predicted(data: dict, name: str, concurrency: int) -> Workload:
    """The workload of a scenario; Gym's share comes from the scenario without delay alone."""
    gym_seconds, cpu, busiest = costs(data)
    its = data["scenarios"][name]
    return Workload(
        concurrency=concurrency, call_seconds=its["delay_s"], slots=its["slots"], judge_calls=1 if its["judge_s"] else 0,
        judge_seconds=its["judge_s"], judge_limit=its["judge_limit"], gym_seconds=gym_seconds, gym_cpu=cpu, busiest_cpu=busiest,
        cores=data["cores"],
    )


def logarithmic(axis, name: str) -> None:
    """Whole numbers in place of powers of ten, which take most of the time to draw."""
    getattr(axis.axes, f"set_{name}scale")("log")
    axis.set_major_formatter("{x:,.0f}")
    axis.minorticks_off()


def on_concurrency(axes, levels: list[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.xaxis.minorticks_off()
    axes.set_xticks(levels, [str(level) for level in levels])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("concurrency (rollouts in flight)")


def draw_throughput(data: dict):
    """Rate and latency over concurrency, and what the model says, without fitting."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.4), layout="constrained")
    rate, latency = figure.subplots(1, 2)
    for number, (name, its) in enumerate(data["scenarios"].items()):
        levels = [level["concurrency"] for level in its["levels"]]
        rate.plot(levels, [level["rollouts_per_min"] for level in its["levels"]], "o", color=f"C{number}", label=LABELS[name])
        rate.plot(levels, [60 * predicted(data, name, level).rate() for level in levels], "--", color=f"C{number}")
        latency.plot(levels, [level["p50_s"] for level in its["levels"]], "o", color=f"C{number}")
        latency.plot(levels, [level / predicted(data, name, level).rate() for level in levels], "--", color=f"C{number}")
    ticks = [1, 4, 16, 64, 256]
    on_concurrency(rate, ticks)
    on_concurrency(latency, ticks)
    logarithmic(rate.yaxis, "y")
    rate.set_ylim(50, 20_000)
    rate.set_ylabel("rollouts per minute")
    latency.set_ylabel("seconds per rollout (p50)")
    figure.legend(*rate.get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8, title="seconds per call", title_fontsize=8)
    return figure


def draw_memory(data: dict):
    """The driver's peak memory over the number of rollouts."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    labels = {"default": "default", "not-retained": "retain_results_in_memory=false", "bounded": "the same, bounded, not aggregated"}
    for number, (mode, label) in enumerate(labels.items()):
        its = data["modes"][mode]
        axes.plot([one["rollouts"] for one in its], [one["peak_mb"] for one in its], "os^"[number] + "-", color=f"C{number}", label=label)
    logarithmic(axes.xaxis, "x")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("rollouts")
    axes.set_ylabel("peak memory of the driver (MB)")
    axes.legend(fontsize=8)
    return figure


def draw_io(data: dict):
    """Rows per second of each way to write and to read."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    bars = [(f"{kind} {name}", its["rows_per_s"], color) for kind, color in (("write", "C0"), ("read", "C1")) for name, its in data[kind].items()]
    names, rates, colors = zip(*reversed(bars))
    axes.barh(names, rates, color=colors)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel(f"rows of {data['row_bytes'] / 1000:.0f} kB per second")
    return figure


def source(data: dict) -> str:
    return (f"{data['release']}, Python {data['python']}, {data['hardware'].split(',')[0]}, {data['cores']} cores, {data['memory_gb']} GB, "
            f"{data['date']}; other programs used {data['busy_before']:g} of a core before the measurement.\n")


def prediction_table(data: dict) -> str:
    lines = ["| Endpoint | Concurrency | Predicted /min | Measured /min | Measured ÷ predicted |", "| --- | --- | --- | --- | --- |"]
    for name, its in data["scenarios"].items():
        if name == "no-delay":
            continue
        for level in its["levels"]:
            said = 60 * predicted(data, name, level["concurrency"]).rate()
            got = level["rollouts_per_min"]
            lines.append(f"| {LABELS[name]} | {level['concurrency']} | {said:.0f} | {got:.0f} | {got / said:.2f} |")
    return "\n".join([":::{dropdown} Every prediction", *lines, ":::", ""])


def prediction_sentence(data: dict) -> str:
    """How far off, in sentences that change with the data, and what was measured at the worst miss."""
    found = errors(data)
    near = sum(0.8 <= share <= 1.2 for share in found)
    levels = [(name, level) for name, its in data["scenarios"].items() if name != "no-delay" for level in its["levels"]]
    name, worst = levels[found.index(min(found))]
    said = 60 * predicted(data, name, worst["concurrency"]).rate()
    last = data["scenarios"]["no-delay"]["levels"][-1]
    ceiling = 60 * predicted(data, "no-delay", last["concurrency"]).rate()
    return (
        f"In {len(found)} cases, measured rates were {100 * min(found):.0f} to {100 * max(found):.0f} % of the prediction, with a median of "
        f"{100 * median(found):.0f} %; {near} lay within 20 % of it. The worst: {LABELS[name]} per call and {worst['concurrency']} in flight gave "
        f"{worst['rollouts_per_min']:,.0f} rollouts per minute instead of the predicted {said:,.0f}, at {worst['p50_s']:.2f} s per rollout. Gym and the endpoint "
        f"used {cores_used(worst):.1f} of {data['cores']} cores, all programs of the machine {worst['cores_busy']:.1f}.\n\n"
        f"The endpoint that answers at once is not among the {len(found)}, because Gym's own part was measured with it. It reached {last['rollouts_per_min']:,.0f} per minute of "
        f"{ceiling:,.0f} at {last['concurrency']} in flight, with {cores_used(last):.1f} of {data['cores']} cores in use.\n\n"
    )


def cores_used(level: dict) -> float:
    """Cores that all processes of the measurement kept busy."""
    return level["rollouts_per_min"] / 60 * sum(level["cpu_ms"].values()) / 1000


def errors(data: dict) -> list[float]:
    """Measured over predicted, of all levels whose scenario gave nothing to the prediction."""
    return [level["rollouts_per_min"] / (60 * predicted(data, name, level["concurrency"]).rate())
            for name, its in data["scenarios"].items() if name != "no-delay" for level in its["levels"]]


def overhead_table(data: dict) -> str:
    scenario = data["scenarios"]["no-delay"]
    its = scenario["levels"][-1]
    names = {
        "driver": "driver (`gym eval run`)", "string_match_environment_server": "environment server", "string_match_simple_agent": "agent server",
        "policy_model": "model server", "string_match": "resources server", "endpoint": "the stand-in endpoint, not Gym",
    }
    lines = ["| Process | CPU per rollout |", "| --- | --- |"]
    rows = sorted(((its["cpu_ms"].get(key, 0), name) for key, name in names.items()), reverse=True)
    lines += [f"| {name} | {value:.1f} ms |" for value, name in rows]
    return "\n".join([*lines, "", source(data | {"busy_before": scenario["busy_before"]})])


def driver_table(data: dict) -> str:
    labels = {"default": "default", "not-retained": "`++retain_results_in_memory=false`",
              "bounded": "the same and `++max_resident_rollout_tasks=512 --disable-aggregation`"}
    counts = sorted({one["rollouts"] for its in data["modes"].values() for one in its})
    lines = ["| Peak memory of the driver | " + " | ".join(f"{count:,}" for count in counts) + " |", "| --- |" + " --- |" * len(counts)]
    for mode, label in labels.items():
        cells = {one["rollouts"]: f"{one['peak_mb']:,} MB" for one in data["modes"][mode]}
        lines.append(f"| {label} | " + " | ".join(cells.get(count, "-") for count in counts) + " |")
    return "\n".join([*lines, "", f"Rows of {data['row_bytes'] / 1000:.0f} kB. {source(data)}"])


def start_table(servers: dict, driver: dict) -> str:
    first = min(driver["modes"]["bounded"], key=lambda one: one["rollouts"])
    lines = ["| What | Seconds |", "| --- | --- |",
             f"| `gym env start`, {servers['servers']} servers, environments already built | {servers['start_s']:.0f} |",
             f"| `gym eval run --no-serve` until its first request, {first['rollouts']:,} rollouts | {first['first_s']:.1f} |"]
    lines += [f"| the same with `--resume`, {one['rollouts'] - 1:,} of {one['rollouts']:,} done | {one['first_s']:.1f} |" for one in driver["resume"]]
    return "\n".join([*lines, "", source(driver)])


def io_table(data: dict) -> str:
    lines = ["| Way | Rows per second | MB per second |", "| --- | --- | --- |"]
    for kind in ("write", "read"):
        lines += [f"| {kind}: {name} | {its['rows_per_s']:,} | {its['rows_per_s'] * data['row_bytes'] / 1e6:.0f} |" for name, its in data[kind].items()]
    memory = data["peak_mb"]
    return "\n".join([*lines, "", f"Rows of {data['row_bytes'] / 1000:.0f} kB, all alike, so gzip gains more than on real ones ({data['gzip_ratio']:.0f} times smaller). Reading all {data['file_mb']:.0f} MB "
                      f"line by line took {memory['line by line']:g} MB of memory, as a whole {memory['whole file']:.0f} MB. {source(data)}"])


# What each flag changes, and when to touch it. Names and defaults come from vllm_flags.json.
VLLM = {
    "--max-num-seqs": ("sequences in one batch: the slots. The engine takes 1024 on GPUs of 70 GB or more other than the A100, else 256",
                       "lower it if preemptions grow"),
    "--max-num-batched-tokens": ("tokens in one step, prompt and output. The engine takes 2048 or more, by GPU", "raise it for long prompts, lower it for steady latency"),
    "--max-model-len": ("longest prompt plus output", "set it to what your tasks use, so that the engine starts where a request of the model's full length would not fit"),
    "--gpu-memory-utilization": ("share of the GPU's memory for weights and cache", "raise it in steps of 0.02; lower it if two engines share a GPU"),
    "--enable-prefix-caching": ("prompts that begin alike are read once; on if the model allows it", "leave on; off only to measure without it"),
    "--enable-chunked-prefill": ("long prompts are read in pieces, each within a step's `--max-num-batched-tokens`; on if the model allows it", "leave on"),
    "--kv-cache-dtype": ("how the cache is stored", "`fp8` about doubles what fits; check the scores"),
    "--tensor-parallel-size": ("GPUs that share each layer", "as few as hold the model with room for a cache"),
    "--data-parallel-size": ("whole copies of a dense model behind one address, each with `--max-num-seqs` slots", "as many as GPUs allow: the first choice for rate"),
    "--async-scheduling": ("plans a step while the one before runs", "leave"),
    "--enforce-eager": ("no CUDA graphs: a faster start, slower steps", "only while you debug"),
    "--max-num-queued-reqs": ("calls in flight, waiting and running; beyond them HTTP 503", "leave: Gym's concurrency is the limit"),
}


UNSET = {"--max-num-queued-reqs": "no limit", "--max-model-len": "the model's own"}  # of the others, vLLM decides


def vllm_table(data: dict) -> str:
    lines = ["| Flag | Default | What it changes | When to touch it |", "| --- | --- | --- | --- |"]
    for flag, (what, when) in VLLM.items():
        default = data["flags"][flag]
        shown = UNSET.get(flag, "vLLM decides") if default is None else f"`{json.dumps(default).strip(chr(34))}`"
        lines.append(f"| `{flag}` | {shown} | {what} | {when} |")
    return "\n".join([*lines, ""])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out-dir", type=Path, default=HERE / "parts", help="where to write the tables (default: parts)")
    args = parser.parse_args()
    try:
        servers, driver, io, flags = (json.loads((HERE / f"{name}.json").read_text(encoding="utf-8")) for name in ("servers", "driver", "io", "vllm_flags"))
    except OSError as error:
        print(f"figures.py: cannot read {error.filename}: measure first", file=sys.stderr)
        return 2
    args.out_dir.mkdir(exist_ok=True)
    tables = {"prediction": prediction_sentence(servers) + prediction_table(servers) + "\n" + source(servers), "overhead": overhead_table(servers), "memory": driver_table(driver),
              "start": start_table(servers, driver), "io": io_table(io), "vllm": vllm_table(flags)}
    for name, text in tables.items():
        (args.out_dir / f"{name}.md").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
