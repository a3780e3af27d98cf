# /// script
# requires-python = ">=3.11"
# dependencies = ["matplotlib>=3.10"]
# ///
"""Draw the distributions that `describe_rollouts.py -o DATA.json` wrote: rewards, lengths, pass rates.

    uv run plot_distributions.py DATA.json FOLDER

writes rewards.svg, lengths.svg and pass_rates.svg. Exit code: 0 done, 2 bad input.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

KINDS = (("never solved", "C3"), ("sometimes", "C0"), ("always solved", "C2"))


def kind(rate: float) -> str:
    return KINDS[0 if rate <= 0 else 2 if rate >= 1 else 1][0]


def draw_rewards(data: dict):
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 2.6))
    values = [reward for group in data["groups"].values() for reward, _ in group["rewards"]]
    low, high = min(0.0, *values), max(1.0, *values)
    bottom = [0] * 10
    for name, group in data["groups"].items():
        bins = [0] * 10
        for reward, count in group["rewards"]:
            bins[min(9, int(10 * (reward - low) / (high - low)))] += count
        places = [low + (high - low) * (i + 0.5) / 10 for i in range(10)]
        axes.bar(places, bins, width=0.09 * (high - low), bottom=bottom, label=name)
        bottom = [a + b for a, b in zip(bottom, bins)]
    axes.set(xlabel="reward", ylabel="rollouts", xlim=(low - 0.02, high + 0.02))
    axes.legend(loc="upper center")
    return figure


def draw_lengths(data: dict):
    from matplotlib import pyplot

    names = [name for name, group in data["groups"].items() if group["tokens"]]
    figure, axes = pyplot.subplots(figsize=(7, 0.9 + 0.7 * len(names)))
    for place, name in enumerate(names):
        group = data["groups"][name]
        for inside, color, label in ((True, "C0", "within the fence"), (False, "C1", "outlier")):
            points = [(tokens, n) for tokens, n in group["tokens"] if (tokens <= group["fence"]) is inside]
            axes.scatter([t for t, _ in points], [place] * len(points), [12 + 4 * n for _, n in points], color, alpha=0.7,
                         label=label if place == 0 else None)
        axes.plot([group["fence"]] * 2, [place - 0.3, place + 0.3], "C3", label="fence" if place == 0 else None)
    axes.set(xlabel="output tokens of a rollout (area: number of rollouts)", yticks=range(len(names)), yticklabels=names, ylim=(-0.6, len(names) - 0.4))
    axes.legend(loc="upper right", ncols=3, bbox_to_anchor=(1, 1.25))
    return figure


def draw_pass_rates(data: dict):
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 2.6))
    rates = sorted(rate for group in data["groups"].values() for rate in group["pass_rates"])
    for label, color in KINDS:
        at = [i for i, rate in enumerate(rates) if kind(rate) == label]
        # A bar of height 0 would not be seen.
        axes.bar(at, [max(rates[i], 0.02) for i in at], color=color, label=f"{label}: {len(at)}")
    axes.set(xlabel="task, sorted", ylabel="pass rate", xticks=[], ylim=(0, 1.05))
    axes.legend(loc="upper left")
    return figure


def draw_stages(data: dict):
    """What each stage of `filter_rollouts.py --report` kept and removed."""
    from matplotlib import pyplot

    stages = data["stages"][::-1]
    figure, axes = pyplot.subplots(figsize=(7, 0.8 + 0.35 * len(stages)))
    axes.barh([s["stage"] for s in stages], [s["out"] for s in stages], color="C0", label="kept")
    axes.barh([s["stage"] for s in stages], [s["in"] - s["out"] for s in stages], left=[s["out"] for s in stages], color="C1", label="removed")
    for place, stage in enumerate(stages):
        axes.text(stage["in"] + data["rollouts"] * 0.01, place, f"{stage['in'] - stage['out']} removed, {stage['out']} kept", va="center")
    axes.set(xlabel="rollouts", xlim=(0, data["rollouts"] * 1.4))
    axes.legend(loc="lower right")
    return figure


FIGURES = {"rewards.svg": draw_rewards, "lengths.svg": draw_lengths, "pass_rates.svg": draw_pass_rates}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA.json", help="what describe_rollouts.py wrote with -o")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the figures go")
    args = parser.parse_args(argv)
    try:
        data = json.loads(args.data.read_text(encoding="utf-8"))
        if not data["groups"]:
            raise KeyError
    except OSError as error:
        print(f"plot_distributions.py: {args.data}: {error.strerror or error}. Check the path", file=sys.stderr)
        return 2
    except (ValueError, KeyError, TypeError):
        print(f"plot_distributions.py: {args.data} holds no distributions. Give what describe_rollouts.py wrote with -o", file=sys.stderr)
        return 2
    try:
        import matplotlib
    except ModuleNotFoundError:
        print("plot_distributions.py: matplotlib is missing. Start it with uv run plot_distributions.py", file=sys.stderr)
        return 2
    matplotlib.use("svg")
    matplotlib.rcParams["text.parse_math"] = False  # a name with two $ is no formula
    try:
        args.folder.mkdir(parents=True, exist_ok=True)
        for name, draw in FIGURES.items():
            temporary = args.folder / f"{name}.tmp"
            draw(data).savefig(temporary, format="svg", bbox_inches="tight")
            temporary.replace(args.folder / name)
    except OSError as error:
        print(f"plot_distributions.py: {args.folder}: {error.strerror or error}", file=sys.stderr)
        return 2
    print(f"Wrote {', '.join(FIGURES)} to {args.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
