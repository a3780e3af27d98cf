"""Draw and tabulate what was measured on a GPU: python draw.py writes the tables into ../parts, beside those of figures.py."""

import argparse
import json
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
MODELS = {"small": "135M", "8b": "8B"}
DATA = ("speed", "ceiling", "ids", "tokens", "settings", "two", "learning")


def curve(data: dict, name: str, way: str, tokens: int) -> list[dict]:
    its = [run for run in data["runs"] if (run["name"], run["way"], run["tokens"]) == (name, way, tokens)]
    return sorted(its, key=lambda run: run["concurrency"])


def draw_rate(data: dict):
    """Output tokens per second for long answers, rollouts per minute for short ones, over the concurrency."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.2), layout="constrained")
    for axes, tokens, key, label in zip(figure.subplots(1, 2), (512, 16), ("output_tokens_per_s", "per_min"), ("output tokens per second", "requests per minute")):
        for color, (name, model) in zip(("C0", "C1"), MODELS.items()):
            for way, style, said in (("engine", "o--", "straight"), ("gym", "o-", "through Gym")):
                its = curve(data, name, way, tokens)
                axes.plot([run["concurrency"] for run in its], [run[key] for run in its], style, color=color, label=f"{model}, {said}")
        axes.set_xscale("log", base=2)
        ticks = [8, 32, 128, 512, 1024]
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.set_xlabel(f"in flight, answers of {tokens} tokens")
        axes.set_ylabel(label)
        axes.legend(fontsize=8)
    return figure


def best(data: dict, name: str) -> dict[str, float]:
    """Rollouts per minute of each set-up: the mean of its measurements at its highest concurrency."""
    found: dict[str, list[float]] = {}
    for run in data["runs"]:
        if run["name"] == name and run["concurrency"] >= 64:
            found.setdefault(run["note"], []).append(run["per_min"])
    return {note: statistics.fmean(rates) for note, rates in found.items()}


def draw_ceiling(data: dict):
    from matplotlib.figure import Figure

    rates = best(data, "fixed")
    figure = Figure(figsize=(7, 2.8), layout="constrained")
    axes = figure.subplots()
    order = sorted(rates, key=rates.get)
    bars = axes.barh(order, [rates[note] for note in order], color="C0")
    axes.bar_label(bars, [f"{rates[note]:,.0f}" for note in order], padding=3, fontsize=8)
    axes.set_xlim(right=1.15 * max(rates.values()))
    axes.set_xlabel("rollouts per minute, an endpoint that answers at once")
    return figure


def draw_learning(data: dict):
    """Held-out reward after each evaluated round, with its interval; and what SFT and DPO reached."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots()
    rounds = [one for one in data["grpo"]["rounds"] if "held_out" in one]
    axes.errorbar([one["round"] for one in rounds], [one["held_out"]["mean"] for one in rounds], [one["held_out"]["half_interval"] for one in rounds],
                  fmt="o-", color="C0", capsize=3, label="GRPO, held-out tasks")
    axes.plot([one["round"] for one in data["grpo"]["rounds"][1:]], [one["reward"] for one in data["grpo"]["rounds"][1:]], ".", color="C0", alpha=0.5,
              label="GRPO, the rollouts of the round")
    for place, (color, key, label) in enumerate((("C1", "sft_3", "SFT, held-out tasks"), ("C3", "sft_3_dpo", "DPO after it, 5e-6"), ("C2", "sft_3_dpo_slow", "DPO after it, 1e-6"))):
        its = data[key]
        axes.errorbar([rounds[-1]["round"] + 1 + place], [its["mean"]], [its["half_interval"]], fmt="s", color=color, capsize=3, label=label)
    axes.set_ylim(0, 1)
    axes.set_xlabel("round of GRPO")
    axes.set_ylabel("mean reward")
    axes.legend(fontsize=8, loc="lower right")
    return figure


def source(data: dict) -> str:
    return f"{data.get('release', 'nemo-gym 0.7.0')}, vLLM 0.25.1, {data['hardware']}, {data['date']}."


def rate_table(data: dict) -> str:
    lines = ["| Answers | In flight | Through Gym | Straight at vLLM | Gym ÷ straight |", "| --- | --- | --- | --- | --- |"]
    for name, tokens in (("8b", 512), ("8b", 16), ("small", 16)):
        straight = {run["concurrency"]: run for run in curve(data, name, "engine", tokens)}
        for run in curve(data, name, "gym", tokens):
            other = straight[run["concurrency"]]
            rate = lambda one: f"{one['per_min']:,.0f}/min" + (f", {one['output_tokens_per_s']:,.0f} tokens/s" if tokens == 512 else "")  # noqa: E731
            lines.append(f"| {MODELS[name]}, {tokens} tokens | {run['concurrency']} | {rate(run)} | {rate(other)} | {run['per_min'] / other['per_min']:.2f} |")
    return "\n".join([*lines, "", source(data)])


def ceiling_table(data: dict) -> str:
    fixed, small = best(data, "fixed"), best(data, "small")
    first, base = fixed["one set, as shipped"], small["one set, as shipped"]
    lines = ["| Servers and drivers | Rollouts/min, endpoint that answers at once | Rollouts/min, 135M on vLLM | Its busiest Gym process |", "| --- | --- | --- | --- |"]
    for note in sorted(fixed, key=fixed.get):
        run = [run for run in data["runs"] if run["name"] == "fixed" and run["note"] == note][-1]
        name, cores = max(((key, value) for key, value in run["cores"].items() if not key.startswith("endpoint")), key=lambda item: item[1])
        kind = "agent server" if name.endswith("_agent") else "resources server"
        real = f"{small[note]:,.0f} ({small[note] / base:.1f} times)" if note in small else "-"
        lines.append(f"| {note} | {fixed[note]:,.0f} ({fixed[note] / first:.1f} times) | {real} | {kind}, {100 * cores:.0f} % |")
    return "\n".join([*lines, "", source(data)])


def ids_table(data: dict) -> str:
    names = {"real": "no token ids", "ids": "token ids", "ids_inline": "token ids, `request_prompt_and_generation_token_ids`"}
    lines = ["| Prompt | Recorded | Rollouts/min | p50 |", "| --- | --- | --- | --- |"]
    for run in sorted(data["runs"], key=lambda run: (run["prompt_tokens"] // 50, list(names).index(run["note"]))):
        lines.append(f"| {run['prompt_tokens']:,.0f} tokens | {names[run['note']]} | {run['per_min']:,.0f} | {run['p50_s']:.2f} s |")
    return "\n".join([*lines, "", source(data)])


def tokens_tables(data: dict) -> str:
    found = data["found"]
    lines = ["| Parser | Temperature | Rollouts with two calls or more | Contiguous | Same text, other tokens | Other text |", "| --- | --- | --- | --- | --- | --- |"]
    for name, its in found.items():
        if name.startswith("contiguity"):
            _, parser, temperature = name.split(", ")
            lines.append(f"| `{parser}` | {temperature.split()[1]} | {its['two calls or more']} | {its['contiguous']} | {its['same text, other tokens']} | {its['other text']} |")
    engines = {"as served": "bfloat16, as shipped", "engine in float32": "float32", "processed_logprobs": "bfloat16, `processed_logprobs`"}
    lines += ["", "| Engine | Sampled with | Computed again in | Logits divided by | Apart per token: mean, p99 | Ratio of a whole sequence: p5, median, p95 |", "| --- | --- | --- | --- | --- | --- |"]
    for name, its in found.items():
        if name.startswith("gap"):
            _, engine, sampled, *more = name.split(", ")
            sampled += f", {more[0]}" if more[0].startswith("top_k") else ""
            token, ratio = its["per token"], its["ratio of a sequence"]
            digits = ".2f" if 0.01 < ratio["p50"] < 100 else ".0e"
            lines.append(f"| {engines[engine]} | {sampled} | {its['dtype']} | {its['divided_by']:g} | {token['mean']:.3f}, {token['p99']:.3f} nats | "
                         f"{ratio['p5']:{digits}}, {ratio['p50']:{digits}}, {ratio['p95']:{digits}} |")
    lines += ["", "| Engine | In flight | Of 40 greedy answers differ from those at 1 in flight | First other token, median | Differ between two runs |", "| --- | --- | --- | --- | --- |"]
    for name in ("bfloat16", "float32"):
        for level, its in found[f"greedy, {name}"]["levels"].items():
            first = its["first different token, median"]
            lines.append(f"| {name} | {level} | {its['differ from the first']} | {'-' if first is None else f'{first:.0f}'} | {its['differ between two runs']} |")
    return "\n".join([*lines, "", f"SmolLM2-135M, answers of 256 tokens, in the first table 64 at most; what is not `hermes` with bfloat16 as shipped: 2026-11-30. For `llama3_json` one special token of its tokenizer was renamed `<|python_tag|>`. {source(data)}"])


LOADED = {"many": "1,024 answers of 256 tokens, 512 in flight", "long": "256 different prompts of 3,900 words, 64 in flight", "repeats": "32 prompts of 3,900 words, 8 repeats each, 64 in flight",
          "turns": "128 conversations of four turns, 950 words each, 64 in flight"}


def setting(data: dict, name: str, note: str) -> tuple[list[float], float]:
    """Output tokens per second of each run, and their median against the engine as shipped, of the same sitting where it has one."""
    its = [run for run in data["runs"] if (run["name"], run["note"]) == (name, note)]
    shipped = [run["output_tokens_per_s"] for run in data["runs"] if (run["name"], run["note"], run["sitting"]) == (name, "as shipped", its[0]["sitting"])]
    rates = [run["output_tokens_per_s"] for run in its if run["sitting"] == its[0]["sitting"]]
    return rates, statistics.median(rates) / statistics.median(shipped)


def settings_table(data: dict) -> str:
    lines = ["| Load | Setting | Output tokens/s, each run | Against as shipped | p50 | Preemptions |", "| --- | --- | --- | --- | --- | --- |"]
    for name, load in LOADED.items():
        for note in dict.fromkeys(run["note"] for run in data["runs"] if run["name"] == name):
            rates, share = setting(data, name, note)
            run = next(run for run in data["runs"] if (run["name"], run["note"], run["output_tokens_per_s"]) == (name, note, rates[0]))
            against = "" if note == "as shipped" else f"{round(100 * share) - 100:+d} %"
            lines.append(f"| {load} | {note if note == 'as shipped' else f'`{note}`'} | {', '.join(f'{rate:,.0f}' for rate in rates)} | {against} | {run['p50_s']:.1f} s | "
                         f"{run['counters']['num_preemptions_total']:.0f} |")
    return "\n".join([*lines, "", "8B, straight at vLLM; p50 and preemptions of the first run. `--no-enable-chunked-prefill` is of another sitting on the same day, "
                      f"in which the engine as shipped reached {next(run['output_tokens_per_s'] for run in data['runs'] if run['sitting'] == 1):,.0f}. {source(data)}"])


def two_table(data: dict, speed: dict) -> str:
    one = {run["concurrency"]: run for run in curve(speed, "8b", "gym", 512)}
    notes = list(dict.fromkeys(run["note"] for run in data["runs"]))
    lines = ["| In flight | One GPU | " + " | ".join(note[0].upper() + note[1:] for note in notes) + " |", "| --- | --- |" + " --- |" * len(notes)]
    for level in dict.fromkeys(run["concurrency"] for run in data["runs"]):
        rates = [next(run["per_min"] for run in data["runs"] if (run["concurrency"], run["note"]) == (level, note)) for note in notes]
        lines.append(f"| {level} | {one[level]['per_min']:,.0f} | " + " | ".join(f"{rate:,.0f} ({rate / one[level]['per_min']:.2f} times)" for rate in rates) + " |")
    return "\n".join([*lines, "", f"Rollouts a minute through Gym, 8B, answers of 512 tokens, one run each. {source(data)}"])


def predictions(data: dict) -> list[tuple[int, float, float, float]]:
    """(in flight, measured per minute, predicted without growth, with it): the 8B, 512 tokens. Two of its own times at the engine go in, nothing else."""
    from capacity import Workload

    straight = {run["concurrency"]: run for run in curve(data, "8b", "engine", 512)}
    most = max(run["output_tokens_per_s"] for run in straight.values())
    found = []
    for run in curve(data, "8b", "gym", 512):
        common = {"concurrency": run["concurrency"], "call_seconds": straight[8]["p50_s"], "tokens": 512, "endpoint_tokens": most, "cores": 16}
        old, new = Workload(**common), Workload(**common, busy_seconds=straight[512]["p50_s"], busy_at=512)
        found.append((run["concurrency"], run["per_min"], 60 * old.rate(), 60 * new.rate()))
    return found


def prediction_table(data: dict) -> str:
    lines = ["| In flight | Measured /min | One time per call | Measured ÷ predicted | Time grows with the load | Measured ÷ predicted |", "| --- | --- | --- | --- | --- | --- |"]
    lines += [f"| {level} | {measured:,.0f} | {old:,.0f} | {measured / old:.2f} | {new:,.0f} | {measured / new:.2f} |" for level, measured, old, new in predictions(data)]
    return "\n".join([*lines, "", f"8B, answers of 512 tokens, through Gym. {source(data)}"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out-dir", type=Path, default=HERE.parent / "parts", help="where to write the tables (default: ../parts)")
    args = parser.parse_args()
    speed, ceiling, ids, tokens, settings, two, _ = (json.loads((HERE / "h200" / f"{name}.json").read_text(encoding="utf-8")) for name in DATA)
    tables = {"gpu_rate": rate_table(speed), "gpu_ceiling": ceiling_table(ceiling), "gpu_ids": ids_table(ids), "gpu_tokens": tokens_tables(tokens),
              "gpu_prediction": prediction_table(speed), "gpu_settings": settings_table(settings), "gpu_two": two_table(two, speed)}
    for name, text in tables.items():
        (args.out_dir / f"{name}.md").write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
