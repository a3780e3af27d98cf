"""Keep a line per run in a history file, tell drift from noise, and draw the trend.

    python quality_history.py append history.jsonl results/nightly/rollouts.jsonl [--label 2026-11-23]
    python quality_history.py check history.jsonl [--reference 8]
    python quality_history.py plot history.jsonl -o trend.svg          # needs matplotlib
    python quality_history.py export history.jsonl -o history.json     # one JSON file, with release and hardware

`check` compares with the reference: the first runs of the same tasks, accepted as good. It knows two kinds of drift. A jump:
the last run differs by more than 3 standard errors. A creep of reward or output_tokens: the last 8 runs all lie on the same side
of the reference, which chance alone does once in 128 times if the reference is exact, and more often the fewer runs it has.
`append` replaces a run of the same label.
Exit code: 0 no drift, 1 drift, 2 bad input.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import platform
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # where a program that imports or runs this file finds its neighbor
from measuring import METRICS, BadInput, lines, measure  # noqa: E402
from noise import smoothed as noise  # noqa: E402
from run_quality import write  # noqa: E402

FOLLOWED = (
    "reward", "output_tokens", "cut_share", "empty_share", "tool_use_share", "same_answer_share", "no_signal_share",
    "missing_share", "failed_attempts", "unhealthy_share",
)
# A share that is mostly 0 lies below a reference with a single event in it, run after run: only these lie on either side by chance.
CREEPING = ("reward", "output_tokens")
JUMP, CREEP = 3.0, 8


def entry_of(quality: dict, label: str | None) -> dict:
    """What the history keeps of a run."""
    kept = {key: quality[key] for key in ("finished", "model", "scored", "planned", "tasks_fingerprint", "failures", "issues")}
    rounded = lambda metric: {key: round(value, 5) for key, value in metric.items()}  # noqa: E731
    groups = {name: rounded(metrics["reward"]) for name, metrics in quality["groups"].items() if "reward" in metrics}
    metrics = {name: rounded(quality["metrics"][name]) for name in METRICS if name in quality["metrics"]}
    return {"label": label or quality["finished"][:16], **kept, "metrics": metrics, "reward_by_group": groups}


def read(path: Path) -> list[dict]:
    """The runs of a history file, or of an export of it."""
    if path.suffix == ".json":
        try:
            runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
        except OSError as error:
            raise BadInput(f"Cannot read {path}: {error.strerror}. Check the path.") from None
        except (ValueError, KeyError, TypeError):
            raise BadInput(f"{path} holds no runs. Give a file that `export` wrote.") from None
    else:
        runs = [row for _, _, _, row in lines(path)]
    if not runs:
        raise BadInput(f"{path} holds no runs. Add one with `append`.")
    for number, run in enumerate(runs, 1):
        if not isinstance(run, dict) or not isinstance(run.get("metrics"), dict) or "label" not in run:
            raise BadInput(f"{path}, run {number} is no entry of a history. Give a file that `append` wrote.")
    return runs


def reference_of(runs: list[dict], name: str) -> tuple[float, float] | None:
    """Mean and standard error of a metric over the reference runs; what differs between these runs counts as noise too."""
    metrics = [run["metrics"][name] for run in runs if name in run["metrics"]]
    if not metrics:
        return None
    centre = sum(metric["value"] for metric in metrics) / len(metrics)
    error = math.sqrt(sum(noise(metric) ** 2 for metric in metrics)) / len(metrics)
    if len(metrics) > 2:
        spread = math.sqrt(sum((metric["value"] - centre) ** 2 for metric in metrics) / (len(metrics) - 1))
        error = max(error, spread / math.sqrt(len(metrics)))
    return centre, error


def drifts(runs: list[dict], reference: int) -> tuple[list[str], list[str]]:
    """What has drifted, and what kept runs from being compared."""
    last, notes = runs[-1], []
    same = [run for run in runs if run.get("tasks_fingerprint") == last.get("tasks_fingerprint")]
    if len(same) < len(runs):
        notes.append(f"{len(runs) - len(same)} runs of other tasks are left out: rewards of different tasks do not compare")
    base, later = same[:reference], same[reference:]
    if not later:
        return [], [*notes, f"{len(same)} runs of these tasks are too few: drift is checked from run {reference + 1} on"]
    if models := {run.get("model") for run in base} ^ {run.get("model") for run in later[-1:]}:
        notes.append(f"the model has changed: {', '.join(sorted(map(str, models)))}")
    found = []
    for name in FOLLOWED:
        known, now = reference_of(base, name), last["metrics"].get(name)
        if known is None or now is None:
            if known and not now:
                found.append(f"lost: {name} was measured before, and not in the last run")
            elif now:
                notes.append(f"{name} was measured only in the last run")
            continue
        centre, error = known
        z = (now["value"] - centre) / (math.hypot(error, noise(now)) or math.inf)
        if abs(z) > JUMP:
            found.append(f"jump: {name} is {now['value']:.4g}, the reference {centre:.4g} ({z:+.1f} standard errors)")
        tail = [run["metrics"][name]["value"] - centre for run in later[-CREEP:] if name in run["metrics"]]
        if name in CREEPING and len(tail) == CREEP and (all(d > 0 for d in tail) or all(d < 0 for d in tail)):
            found.append(f"creep: {name} has been {'above' if tail[0] > 0 else 'below'} the reference {centre:.4g} for {CREEP} runs")
    return found, notes


def draw(data: dict):
    """Reward, length and cut replies over the runs, each with the band that noise explains."""
    from matplotlib.figure import Figure

    runs, reference = data["runs"], data.get("reference", 8)
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    panels = figure.subplots(3, 1, sharex=True)
    x = range(1, len(runs) + 1)
    for axes, name, label in zip(panels, ("reward", "output_tokens", "cut_share"), ("mean reward", "output tokens", "cut off, share")):
        metrics = [run["metrics"][name] for run in runs]
        values = [metric["value"] for metric in metrics]
        centre, error = reference_of(runs[:reference], name)
        band = [JUMP * math.hypot(error, noise(metric)) for metric in metrics]
        axes.fill_between(x, [centre - b for b in band], [centre + b for b in band], color="C0", alpha=0.2, linewidth=0)
        axes.axhline(centre, color="C0", linestyle=":")
        axes.plot(x, values, "o-", color="C0")
        out = [number for number, value, b in zip(x, values, band) if abs(value - centre) > b]
        axes.plot(out, [values[number - 1] for number in out], "s", color="C3", markersize=9)
        axes.set_ylabel(label)
        axes.margins(y=0.15)
    panels[-1].set_xlabel("run (dotted: mean of the reference; band: 3 standard errors; squares: drift)")
    panels[-1].set_xticks(x)
    return figure


def this_machine() -> str:
    """CPU and number of cores, as far as the system tells."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line for line in lines if line.startswith("model name")).split(":", 1)[1].strip()
    except (OSError, StopIteration):
        pass
    return f"{name}, {os.cpu_count()} cores"


def export(runs: list[dict], reference: int) -> dict:
    from importlib import metadata

    try:
        release = f"nemo-gym {metadata.version('nemo-gym')}"
    except metadata.PackageNotFoundError:
        raise BadInput("nemo-gym is not installed here. Use the Python that collects.") from None
    return {
        "release": release, "hardware": this_machine(), "date": datetime.date.today().isoformat(),
        "reference": reference, "runs": runs,
    }


def save_plot(runs: list[dict], reference: int, path: Path) -> None:
    try:
        import matplotlib
    except ImportError:
        raise BadInput("matplotlib is not installed here. Try: uv run --with matplotlib quality_history.py plot ...") from None
    if path.suffix not in (".svg", ".png", ".pdf"):
        raise BadInput("-o must end in .svg, .png or .pdf.")
    matplotlib.use("agg")
    partial = path.with_name(f".part-{path.name}")
    try:
        draw({"runs": runs, "reference": reference}).savefig(partial)
        partial.replace(path)
    except OSError as error:
        raise BadInput(f"Cannot write {path}: {error.strerror}.") from None


def trend(runs: list[dict]) -> str:
    """The last runs as a table."""
    names = [name for name in ("reward", "output_tokens", "cut_share", "tool_use_share", "missing_share", "unhealthy_share")
             if any(name in run["metrics"] for run in runs)]
    width = max(len(run["label"][:17]) for run in runs[-12:]) + 2
    lines = [f"{'run':<{width}}" + "".join(f" {name:>7}" for name in names)]
    for run in runs[-12:]:
        cells = (f"{run['metrics'][name]['value']:.3f}" if name in run["metrics"] else "-" for name in names)
        lines.append(f"{run['label'][:17]:<{width}}" + "".join(f" {cell:>{max(7, len(name))}}" for name, cell in zip(names, cells)))
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("append", "add a run"), ("check", "exit with 1 if the last run drifted"), ("plot", "draw the trend"), ("export", "write one JSON file")):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("history", type=Path, metavar="HISTORY.jsonl")
        if name == "append":
            command.add_argument("rollouts", type=Path, metavar="ROLLOUTS.jsonl")
            command.add_argument("--label", help="name of the run (default: when it finished)")
            command.add_argument("--success", type=float, default=1.0, help="reward from which a rollout is a success")
        else:
            command.add_argument("--reference", type=int, default=8, metavar="N", help="the first N runs are good (default: %(default)s)")
        if name in ("plot", "export"):
            command.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    args = parser.parse_args(argv)
    if getattr(args, "reference", 1) < 1:
        parser.error("--reference must be 1 or more")
    try:
        if args.command == "append":
            entry = entry_of(measure(args.rollouts, success=args.success), args.label)
            known = [run for _, _, _, run in lines(args.history) if run.get("label") != entry["label"]] if args.history.exists() else []
            write(args.history, "".join(json.dumps(run) + "\n" for run in [*known, entry]), args.rollouts)
            print(f"{args.history}: {len(known) + 1} runs")
            return 0
        runs = read(args.history)
        if args.command == "plot":
            save_plot(runs, args.reference, args.output)
        elif args.command == "export":
            write(args.output, json.dumps(export(runs, args.reference), indent=1) + "\n", args.history)
        if args.command != "check":
            print(f"{args.output}: {len(runs)} runs")
            return 0
        found, notes = drifts(runs, args.reference)
    except BadInput as error:
        print(f"quality_history.py: {error}", file=sys.stderr)
        return 2
    print(trend(runs))
    for line in [*(f"note: {note}" for note in notes), *found]:
        print(line)
    if not found and not any("too few" in note for note in notes):
        print("no drift")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
