"""Measure rollouts per minute at several concurrency levels and mark the knee.

    python find_knee.py --agent AGENT -i TASKS.jsonl -o knee.json   # measure; needs the servers of `gym env start`
    python find_knee.py --show knee.json [--plot knee.svg]          # print or draw an earlier measurement

Run it with the Python that has nemo-gym installed. Every level sends the same rollouts through the dispatcher that
`gym eval run` uses, after one uncounted warm-up pass, so that start-up and cold caches count for no level. The levels
take turns for several rounds, so that a machine that slows down meanwhile does so for all of them. How much a level's
rate varies from round to round, against the other levels, is the noise. The knee is the smallest level without failures
that is within the noise, or within 10 %, of the best rate. Above it, latency grows and the rate hardly does.
Exit code: 0 knee found, 1 every level had failures, 2 bad input.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import io
import itertools
import json
import os
import platform
import shlex
import socket
import statistics
import sys
import time
from importlib import metadata
from pathlib import Path

COLUMNS = ("concurrency", "rollouts_per_min", "rates", "p50_s", "p95_s", "p99_s", "failures")
HINT_SECONDS = 30
HEADER = "concurrency  rollouts/min  lowest-highest   p50 s   p95 s   p99 s  failures"


class BadInput(Exception):
    """Something the reader can put right; shown as one line."""


def read_tasks(path: Path, limit: int) -> list[dict]:
    """The first ``limit`` rows of a task file."""
    tasks: list[dict] = []
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except json.JSONDecodeError as error:
                    raise BadInput(f"{path}, line {number} is not JSON: {error.msg}. Repair or remove it.") from None
                if not isinstance(row, dict) or not isinstance(row.get("responses_create_params"), dict):
                    raise BadInput(f"{path}, line {number} has no responses_create_params. Give a file of task rows.")
                tasks.append(row)
                if len(tasks) == limit:
                    break
    except OSError as error:
        raise BadInput(f"Cannot read {path}: {error.strerror}. Check the path.") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not UTF-8 text. Give a file of task rows.") from None
    if not tasks:
        raise BadInput(f"{path} holds no task rows.")
    return tasks


def read_measurement(path: Path) -> dict:
    """A file that an earlier run wrote."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if not data["levels"] or any(set(COLUMNS) - level.keys() or not level["rates"] for level in data["levels"]):
            raise KeyError("levels")
    except OSError as error:
        raise BadInput(f"Cannot read {path}: {error.strerror}. Check the path.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadInput(f"{path} holds no measured levels. Give a file that this script wrote with -o.") from None
    return data


def compare(levels: list[dict], share: float = 0.9) -> tuple[list[int], float]:
    """The levels without failures that are as fast as the fastest, in order, and by how much they may differ."""
    clean = [level for level in levels if not level["failures"]]
    if not clean:
        return [], 1 - share
    # Against its round's mean, a rate does not tell how busy the machine was in that round.
    means = [statistics.fmean(rates) for rates in zip(*(level["rates"] for level in clean))]
    relative = {level["concurrency"]: [rate / mean for rate, mean in zip(level["rates"], means)] for level in clean}
    speed = {concurrency: statistics.fmean(rates) for concurrency, rates in relative.items()}
    squares = sum((rate - speed[concurrency]) ** 2 for concurrency, rates in relative.items() for rate in rates)
    # Standard error of the difference between two levels.
    freedom = (len(clean) - 1) * (len(means) - 1)
    noise = (2 * squares / freedom / len(means)) ** 0.5 if freedom else 0.0
    best = max(speed.values())
    margin = max(1 - share, noise / best)
    return sorted(concurrency for concurrency in speed if speed[concurrency] >= best * (1 - margin)), margin


def verdict(data: dict, share: float) -> str:
    """What to act on: the knee, the levels it stands for, and the next command if the knee may lie outside."""
    equal, margin = compare(data["levels"], share)
    if not equal:
        return "No knee: every level had failures. The servers' terminal says why; try lower levels."
    knee, levels = equal[0], sorted(level["concurrency"] for level in data["levels"])
    text = f"Within {margin:.0%} of the best rate: {', '.join(map(str, equal))}\nKnee: --concurrency {knee}, the smallest of them."
    further = []
    if knee == levels[-1]:
        text, further = f"{text}\nIt is the highest level measured.", [2 * knee, 4 * knee]
    elif knee == levels[0]:
        further = [level for level in (knee // 4, knee // 2) if level]
        text += "\nIt is the lowest level measured." * bool(further)
    if further:
        levels = sorted({*levels, *further})
        rollouts = max(data.get("rollouts_per_round", 0), levels[-1])
        text += f" Go on:\n{data.get('command', '')} --levels {' '.join(map(str, levels))} --rollouts {rollouts}"
    return text


def table_row(level: dict) -> str:
    cells = ["-" if level[key] is None else f"{level[key]:.2f}" for key in ("p50_s", "p95_s", "p99_s")]
    seconds = "".join(f"{cell:>8}" for cell in cells)
    spread = f"{min(level['rates']):.0f}-{max(level['rates']):.0f}"
    return f"{level['concurrency']:>11}{level['rollouts_per_min']:>14.0f}{spread:>16}{seconds}{level['failures']:>10}"


def draw(data: dict):
    """Rate and latency over concurrency, the knee marked."""
    from matplotlib.figure import Figure

    levels = sorted(data["levels"], key=lambda level: level["concurrency"])
    x = [level["concurrency"] for level in levels]
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    rate, latency = figure.subplots(1, 2)
    rate.plot(x, [level["rollouts_per_min"] for level in levels], "o-", color="C0", label="mean of the rounds")
    low, high = ([pick(level["rates"]) for level in levels] for pick in (min, max))
    rate.fill_between(x, low, high, color="C0", alpha=0.25, linewidth=0, label="lowest to highest round")
    rate.set_ylabel("rollouts per minute")
    for key, style in (("p95_s", "s--"), ("p50_s", "o-")):
        latency.plot(x, [level[key] for level in levels], style, color="C1", label=key.removesuffix("_s"))
    latency.set_ylabel("seconds per rollout")
    knee = next(iter(compare(levels, data.get("share", 0.9))[0]), None)
    for axes in (rate, latency):
        if knee is not None:
            axes.axvline(knee, color="C2", linestyle=":", label=f"knee: {knee}")
        axes.set_xscale("log", base=2)
        axes.set_xticks(x, [str(value) for value in x])
        axes.set_ylim(bottom=0)
        axes.set_xlabel("concurrency (rollouts in flight)")
        axes.legend(loc="lower right" if axes is rate else "upper left", fontsize=8)
    return figure


async def run_level(
    helper, rows: list[dict], head_server, concurrency: int, timeout: float, latencies
) -> tuple[float, int, str]:
    """Send every row once, ``concurrency`` at a time. Returns rollouts per minute, failures, the name of the model."""
    failures, model = 0, ""
    started = time.monotonic()
    futures = helper.run_examples(
        [dict(row) for row in rows], head_server_config=head_server, semaphore=asyncio.Semaphore(concurrency),
        route_failures_to_sidecar=True, latency_tracker=latencies,
    )
    for done, future in enumerate(futures, 1):
        # Gym calls an endpoint that is down again and again, and says so in the servers' terminal only.
        hint = asyncio.get_running_loop().call_later(
            HINT_SECONDS, lambda: print(f"No rollout in {HINT_SECONDS} s. Is the endpoint up? Still waiting.", file=sys.stderr)
        )
        try:
            _, result = await asyncio.wait_for(future, timeout)
        except TimeoutError:
            raise BadInput(f"No rollout in {timeout:g} s. Is the endpoint up? If so, raise --timeout.") from None
        finally:
            hint.cancel()
        failures += "_ng_failure_class" in result
        model = model or (result.get("response") or {}).get("model") or ""
        if sys.stderr.isatty():
            print(f"\rconcurrency {concurrency}: {done} of {len(rows)}  ", end="", file=sys.stderr)
    rate = 60 * (len(rows) - failures) / (time.monotonic() - started)
    if sys.stderr.isatty():
        print("\r" + " " * 40, end="\r", file=sys.stderr)
    return rate, failures, model


async def measure(args: argparse.Namespace, tasks: list[dict]) -> dict:
    """Warm up, then measure the levels in turn, round by round."""
    from nemo_gym import BaseServerConfig
    from nemo_gym.rollout_collection import (
        DispatchLatencyTracker,
        RolloutCollectionHelper,
    )

    head_server = BaseServerConfig(host=args.head_server[0], port=args.head_server[1])
    overrides = {"temperature": args.temperature, "max_output_tokens": args.max_output_tokens}
    overrides = {key: value for key, value in overrides.items() if value is not None}
    # No _ng_ indices: servers that capture model calls then keep no capture of these rollouts.
    tasks = [task | {"responses_create_params": task["responses_create_params"] | overrides} for task in tasks]
    tasks = [task | {"agent_ref": {"name": args.agent}} for task in tasks]
    rows = list(itertools.islice(itertools.cycle(tasks), args.rollouts))
    helper, levels = RolloutCollectionHelper(), []
    # Latency counts from a rollout's own dispatch: waiting for a free slot is not latency.
    rates, failures = {level: [] for level in args.levels}, dict.fromkeys(args.levels, 0)
    latencies = {level: DispatchLatencyTracker() for level in args.levels}
    for concurrency in (None, *args.levels * args.rounds):
        tracker = latencies.get(concurrency)
        with contextlib.redirect_stdout(io.StringIO()) as talk:
            try:
                rate, failed, model = await run_level(
                    helper, rows, head_server, concurrency or args.levels[-1], args.timeout, tracker
                )
            except ValueError as error:  # how Gym refuses an unknown agent
                raise BadInput(f"Gym refuses the run: {error}") from None
        if concurrency:
            rates[concurrency].append(round(rate, 1))
            failures[concurrency] += failed
        elif failed == len(rows):
            said = talk.getvalue().strip().splitlines()[-1:]
            raise BadInput(f"All {len(rows)} warm-up rollouts failed: {' '.join(said)} See the servers' terminal.")
        else:
            print(f"{args.rounds} x {len(rows)} rollouts per level, {model}\n{HEADER}", flush=True)
    for level in args.levels:
        seconds = (latencies[level].quantile(share) for share in (0.5, 0.95, 0.99))
        p50, p95, p99 = (value if value is None else round(value, 3) for value in seconds)
        row = level, round(statistics.fmean(rates[level]), 1), rates[level], p50, p95, p99, failures[level]
        levels.append(dict(zip(COLUMNS, row)))
        print(table_row(levels[-1]))
    return {
        "release": f"nemo-gym {metadata.version('nemo-gym')}", "date": datetime.date.today().isoformat(),
        "hardware": args.hardware or this_machine(), "model": model, "tasks": args.input.name,
        "rollouts_per_round": len(rows), "command": command(args), "levels": levels,
    }


def command(args: argparse.Namespace) -> str:
    """What measures the same again, without levels and rollouts."""
    words = ["python", "find_knee.py", "--agent", args.agent, "-i", str(args.input), "-o", str(args.output)]
    for option in ("rounds", "share", "temperature", "max_output_tokens", "timeout", "head_server", "hardware"):
        value = getattr(args, option)
        if value != args.default[option]:
            value = ":".join(map(str, value)) if option == "head_server" else str(value)
            words += ["--" + option.replace("_", "-"), value]
    return shlex.join(words)


def this_machine() -> str:
    """CPU and number of cores, as far as the system tells."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line for line in lines if line.startswith("model name")).split(":", 1)[1].strip()
    return f"{name}, {os.cpu_count()} cores"


def check_ready(host: str, port: int) -> None:
    """Fail at once rather than after the slow imports."""
    try:
        metadata.version("nemo-gym")
    except metadata.PackageNotFoundError:
        raise BadInput("nemo-gym is not installed here. Run the script with the Python that has it.") from None
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        raise BadInput(f"No Gym servers answer at {host}:{port}. Start them first: gym env start ...") from None


def write(path: Path, save) -> None:
    """Through a temporary name, so that a stopped run leaves no half file."""
    temporary = path.with_name(f".{path.stem}.part{path.suffix}")
    save(temporary)
    temporary.replace(path)
    print(f"Wrote {path}")


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--show", type=Path, metavar="FILE", help="print an earlier measurement instead of making one")
    add("-i", "--input", type=Path, metavar="FILE", help="task rows (JSONL)")
    add("-a", "--agent", help="agent that runs them, as in gym eval run")
    add("-o", "--output", type=Path, metavar="FILE", help="where to write the measurement (JSON)")
    add("--plot", type=Path, metavar="FILE", help="draw the curve too: .svg, .png or .pdf (needs matplotlib)")
    add("--levels", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32], metavar="N",
        help="concurrency levels to measure (default: 1 2 4 8 16 32)")
    add("--rollouts", type=int, metavar="N", help="per level and round (default: twice the highest level)")
    add("--rounds", type=int, default=3, metavar="N", help="how often each level is measured (default: %(default)s)")
    add("--share", type=float, default=0.9, help="of the best rate, that counts as equal to it (default: %(default)s)")
    add("--temperature", type=float, help="override every row's temperature")
    add("--max-output-tokens", type=int, metavar="N", help="override every row's max_output_tokens")
    add("--timeout", type=float, default=600, metavar="S", help="longest wait for a rollout (default: %(default)s s)")
    add("--head-server", default="127.0.0.1:11000", metavar="HOST:PORT",
        help="of the running gym env start (default: %(default)s)")
    add("--hardware", help="what the endpoint runs on, noted in the output (default: this machine)")
    args = parser.parse_args(argv)
    args.levels = sorted(set(args.levels))
    args.rollouts = 2 * args.levels[-1] if args.rollouts is None else args.rollouts
    host, _, port = args.head_server.rpartition(":")
    outputs = (args.output, args.plot)
    for wrong, message in (
        (args.levels[0] < 1, "--levels must be 1 or more"),
        (args.rollouts < args.levels[-1], f"--rollouts must be at least the highest level, {args.levels[-1]}"),
        (args.rounds < 1, "--rounds must be 1 or more"),
        (not 0 < args.share <= 1, "--share must be above 0 and at most 1"),
        (not host or not port.isdigit(), "--head-server must look like 127.0.0.1:11000"),
        (not args.show and None in (args.input, args.agent, args.output), "give --agent, -i and -o, or --show"),
        (args.plot and args.plot.suffix not in (".svg", ".png", ".pdf"), "--plot must end in .svg, .png or .pdf"),
        *((path and not path.parent.is_dir(), f"no folder for {path}. Create it first") for path in outputs),
        *((path and path.is_dir(), f"{path} is a folder. Name a file") for path in outputs),
    ):
        if wrong:
            parser.error(message)
    args.head_server = host, int(port)
    args.default = vars(parser.parse_args([])) | {"head_server": ("127.0.0.1", 11000)}
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    try:
        if args.show:
            data = read_measurement(args.show)
            print(", ".join(str(data.get(key)) for key in ("release", "model", "hardware", "date")))
            print("\n".join([HEADER, *map(table_row, data["levels"])]))
        else:
            tasks = read_tasks(args.input, args.rollouts)
            check_ready(*args.head_server)
            os.environ["TQDM_DISABLE"] = "1"  # Gym's own bars would cut the table apart
            data = asyncio.run(measure(args, tasks))
            write(args.output, lambda path: path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8"))
        if args.plot:
            try:
                figure = draw({**data, "share": args.share})
            except ModuleNotFoundError:
                raise BadInput("--plot needs matplotlib: uv pip install matplotlib") from None
            write(args.plot, figure.savefig)
    except BadInput as error:
        print(f"find_knee.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("find_knee.py: stopped, no measurement written", file=sys.stderr)
        return 130
    print(verdict(data, args.share))
    return 0 if compare(data["levels"], args.share)[0] else 1


if __name__ == "__main__":
    sys.exit(main())
