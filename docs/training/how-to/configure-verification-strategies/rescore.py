"""Run `gym eval reverify`, stop the servers that it leaves behind, and tell which rewards changed.

    python rescore.py ROLLOUTS.jsonl OUTPUT.jsonl --config CONFIG.yaml [--list] [options of gym eval reverify]

--list names each rollout whose reward changed. Gym writes the rows of OUTPUT in the order in which they are scored: compare
them by `_ng_task_index` and `_ng_rollout_index`, as this script does.
The tasks are read from ROLLOUTS_materialized_inputs.jsonl, which the run wrote beside its rollouts. Gym's servers may go
on running meanwhile: the re-scoring takes another port for its head server. What Gym prints goes to
OUTPUT.log. Exit code: 0 done, 1 Gym refused or failed (its message is shown), 2 bad input.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

KEY = ("_ng_task_index", "_ng_rollout_index")


class BadInput(Exception):
    """Something the reader can put right; shown as one line."""


def rewards(path: Path) -> dict[tuple, float]:
    """Task and repeat -> reward, for every row that counts. A file that is not there holds none."""
    found = {}
    if not path.exists():
        return found
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            key = tuple(row[name] for name in KEY)
        except (ValueError, KeyError, TypeError):
            raise BadInput(f"{path}, line {number} is no rollout. Give the file that gym eval run wrote.") from None
        if not row.get("mask_sample") and "_ng_failure_class" not in row:
            found[key] = float(row["reward"])
    return found


def reverify(command: list[str], log: Path) -> int:
    """Run Gym in a session of its own, and end what is left of it afterwards."""
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            return process.wait()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(process.pid, number)
                except ProcessLookupError:
                    break
                deadline = time.monotonic() + 5
                while time.monotonic() < deadline and alive(process.pid):
                    time.sleep(0.1)


def reason(log: str) -> str:
    """The last error that Gym itself printed, else its last line. What servers print starts with their name."""
    said = [line.strip() for line in log.splitlines() if line.strip() and not line.startswith(("(", "Shutting down"))]
    errors = [number for number, line in enumerate(said) if re.match(r"[\w.]*Error\b", line)]
    return " ".join(said[errors[-1] if errors else -1 :])[:500] if said else "it printed nothing"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def report(old: dict[tuple, float], new: dict[tuple, float]) -> list[str]:
    """One line per change of a reward, the commonest first, and the means."""
    lines = []
    for (before, after), count in Counter((old.get(key), value) for key, value in new.items()).most_common():
        name = "no score" if before is None else f"{before:.2f}"
        lines.append(f"{count:5} x {name} -> {after:.2f}{'' if before != after else '  (as before)'}")
    if missing := len(old.keys() - new.keys()):
        lines.append(f"{missing:5} x no longer scored")
    mean = lambda values: f"{sum(values) / len(values):.3f}" if values else "none"  # noqa: E731
    return [*lines, f"mean reward: {mean(old.values())} of {len(old)} -> {mean(new.values())} of {len(new)}"]


def changed(old: dict[tuple, float], new: dict[tuple, float]) -> list[str]:
    """One line per rollout whose reward is another one now, in the order of the tasks."""
    keys = sorted(key for key in new if new[key] != old.get(key))
    before = {key: f"{old[key]:.2f}" if key in old else "no score" for key in keys}
    return [f"task {key[0]}, rollout {key[1]}: {before[key]} -> {new[key]:.2f}" for key in keys]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rollouts", type=Path, metavar="ROLLOUTS.jsonl")
    parser.add_argument("output", type=Path, metavar="OUTPUT.jsonl")
    parser.add_argument("--list", action="store_true", help="name each rollout whose reward changed")
    args, options = parser.parse_known_args(argv)
    try:
        inputs = args.rollouts.with_name(f"{args.rollouts.stem}_materialized_inputs.jsonl")
        for path in (args.rollouts, inputs):
            if not path.exists():
                raise BadInput(f"Cannot read {path}: no such file. Both files come from the same gym eval run.")
        old = rewards(args.rollouts)
        args.output.parent.mkdir(parents=True, exist_ok=True)
        head = f"++head_server={{host: 127.0.0.1, port: {free_port()}}}"
        command = ["gym", "eval", "reverify", "--inputs", inputs, "--rollouts", args.rollouts, "-o", args.output, *options, head]
        log = args.output.with_suffix(".log")
        try:
            status = reverify([str(part) for part in command], log)
        except FileNotFoundError:
            raise BadInput("Cannot find gym: activate the environment that has NeMo Gym.") from None
        if status:
            print(f"gym eval reverify failed, see {log}:\n{reason(log.read_text(errors='replace'))}", file=sys.stderr)
            return 1
        unsafe = args.output.with_name(f"unsafe_{args.output.name}")
        new = rewards(unsafe if "--force" in options and unsafe.exists() else args.output)
        print("\n".join([*(changed(old, new) if args.list else []), *report(old, new)]))
    except BadInput as error:
        print(f"rescore.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
