"""Run `gym eval reverify`, stop the servers that it leaves behind, and tell which rewards changed.

    python rescore.py ROLLOUTS.jsonl OUTPUT.jsonl --config CONFIG.yaml [--agent NAME] [--list] [options of gym eval reverify]

The task rows are read from ROLLOUTS_materialized_inputs.jsonl, which the run wrote beside its rollouts; --inputs names another file.
--agent scores only the rollouts of one agent again and copies the others; a file of several agents needs it, or --all-agents with a
CONFIG that has all of them. --list names each rollout whose reward changed.

Gym takes the mask and the environment server of a rollout from neither file. This script puts both back: what was masked
stays masked, unless --unmask lets the verifier decide anew. Gym's servers may go on running meanwhile: the re-scoring takes another
port for its head server. What Gym prints goes to OUTPUT.log. Where --force is needed, Gym puts `unsafe_` before the output's name.
Exit code: 0 done, 1 Gym refused or failed (its message is shown), 2 bad input.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from rollouts import REPEAT, TASK, BadInput, dict_of, dumps, lines, masked, unmeasured, writing

SERVER = "_ng_environment_server"


def rows_of(path: Path, once: bool = False) -> dict[tuple, dict]:
    """Task and repeat -> what is needed of each row, of several the last. A file that is not there, or empty, holds none."""
    found = {}
    for number, _, _, row in lines(path) if path.exists() and path.stat().st_size else ():
        key = row.get(TASK), row.get(REPEAT)
        if not all(isinstance(part, int) for part in key):
            raise BadInput(f"{path}, line {number} is no rollout with {TASK} and {REPEAT}. Give the file that gym eval run wrote.")
        if once and key in found:
            raise BadInput(f"{path}, line {number}: task {key[0]}, repeat {key[1]} is there twice. Take each run, and each stage, on its own.")
        kept = {name: row[name] for name in (SERVER, "failure_kind", "failure_reason", "_ng_failure_class", "reward") if name in row}
        found[key] = kept | {"agent": dict_of(row, "agent_ref").get("name"), "masked": masked(row), "counts": unmeasured(row) is None}
    return found


def rewards(rows: dict[tuple, dict]) -> dict[tuple, float]:
    """Task and repeat -> reward, for every row that counts."""
    return {key: float(row["reward"]) for key, row in rows.items() if row["counts"]}


def beside(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.stem}_{ending}.jsonl")


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


def part_of(path: Path, agent: str, folder: Path, name: str) -> Path:
    """The rows of one agent, in a file of their own. A task row without an agent stays: only rollouts choose."""
    kept = folder / name
    with writing(kept) as out:
        for _, _, raw, row in lines(path) if path.exists() and path.stat().st_size else ():
            if dict_of(row, "agent_ref").get("name") in (agent, None):
                out.write(raw)
    return kept


def put_back(output: Path, before: dict[tuple, dict], copied: Path | None, agent: str | None, unmask: bool) -> int:
    """Restore masks and environment servers in Gym's output, and append the rollouts of other agents. Returns the masks put back."""
    again = 0
    with writing(output.with_suffix(".part")) as out:
        for _, _, _, row in lines(output):
            old = before.get((row.get(TASK), row.get(REPEAT)), {})
            if SERVER in old:
                row.setdefault(SERVER, old[SERVER])
            if old.get("masked") and "_ng_failure_class" not in old and not unmask and not masked(row):
                again += 1  # in both places: some trainers look into one of them alone
                row |= {"mask_sample": True, "instance_config": dict_of(row, "instance_config") | {"mask_sample": True}}
                row |= {name: old[name] for name in ("failure_kind", "failure_reason") if old.get(name)}
            out.write(dumps(row))
        for _, _, raw, row in lines(copied) if copied else ():
            if dict_of(row, "agent_ref").get("name") != agent:
                out.write(raw)
    output.with_suffix(".part").replace(output)
    return again


def report(old: dict[tuple, float], new: dict[tuple, float]) -> list[str]:
    """One line per change of a reward, the commonest first, and the means."""
    out = []
    for (before, after), count in Counter((old.get(key), value) for key, value in new.items()).most_common():
        name = "no score" if before is None else f"{before:.2f}"
        out.append(f"{count:5} x {name} -> {after:.2f}{'' if before != after else '  (as before)'}")
    if missing := len(old.keys() - new.keys()):
        out.append(f"{missing:5} x no longer scored")
    mean = lambda values: f"{sum(values) / len(values):.3f}" if values else "none"  # noqa: E731
    return [*out, f"mean reward: {mean(old.values())} of {len(old)} -> {mean(new.values())} of {len(new)}"]


def changed(old: dict[tuple, float], new: dict[tuple, float]) -> list[str]:
    """One line per rollout whose reward is another one now, in the order of the tasks."""
    keys = sorted(key for key in new if new[key] != old.get(key))
    before = {key: f"{old[key]:.2f}" if key in old else "no score" for key in keys}
    return [f"task {key[0]}, rollout {key[1]}: {before[key]} -> {new[key]:.2f}" for key in keys]


def sources(args: argparse.Namespace, before: dict[tuple, dict], recovery: bool) -> tuple[Path, Path]:
    """The task rows and rollouts that Gym is to read."""
    inputs = args.inputs or beside(args.rollouts, "materialized_inputs")
    if not inputs.exists():
        raise BadInput(f"Cannot read {inputs}: no such file. Gym needs the task rows of the run, which it wrote beside the rollouts. Name them with --inputs.")
    agents = sorted({str(row["agent"]) for row in before.values() if "_ng_failure_class" not in row})
    if args.agent is None:
        if len(agents) > 1 and not args.all_agents and not recovery:
            raise BadInput(
                f"{args.rollouts} holds rollouts of {', '.join(agents)}. A config with one server would score them all. "
                "Choose with --agent NAME, or give a config with all of them and --all-agents."
            )
        return inputs, args.rollouts
    if args.agent not in agents:
        raise BadInput(f"{args.rollouts} holds no rollouts of {args.agent}, but of {', '.join(agents)}.")
    folder = args.output.parent / f"{args.output.stem}_{args.agent}"
    folder.mkdir(exist_ok=True)
    return part_of(inputs, args.agent, folder, "inputs.jsonl"), part_of(args.rollouts, args.agent, folder, "rollouts.jsonl")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rollouts", type=Path, metavar="ROLLOUTS.jsonl")
    parser.add_argument("output", type=Path, metavar="OUTPUT.jsonl")
    parser.add_argument("--inputs", type=Path, metavar="TASKS.jsonl", help="the task rows (default: what the run wrote beside its rollouts)")
    parser.add_argument("--agent", metavar="NAME", help="score only the rollouts of this agent again; copy the others")
    parser.add_argument("--all-agents", action="store_true", help="the config has the servers of all agents in the file")
    parser.add_argument("--unmask", action="store_true", help="masked rollouts count again if the verifier does not mask them")
    parser.add_argument("--list", action="store_true", help="name each rollout whose reward changed")
    args, options = parser.parse_known_args(argv)
    try:
        recovery = "--judge-failed-only" in options
        if not args.rollouts.exists():
            raise BadInput(f"Cannot read {args.rollouts}: no such file. Give the file that gym eval run wrote with -o.")
        if args.output.resolve() in [path.resolve() for path in (args.rollouts, args.inputs or beside(args.rollouts, "materialized_inputs"))]:
            raise BadInput(f"{args.output} is an input, and would be overwritten. Name another file for the output.")
        if recovery and args.agent:
            raise BadInput("--judge-failed-only takes the rows to score from the failures: leave --agent out.")
        failed = rows_of(beside(args.rollouts, "failures"))
        before = rows_of(args.rollouts, once=True)
        if not before and not failed:
            raise BadInput(f"{args.rollouts} holds no rollouts.")
        args.output.parent.mkdir(parents=True, exist_ok=True)
        inputs, rollouts = sources(args, before, recovery)
        head = f"++head_server={{host: 127.0.0.1, port: {free_port()}}}"
        command = ["gym", "eval", "reverify", "--inputs", inputs, "--rollouts", rollouts, "-o", args.output, *options, head]
        log, unsafe = args.output.with_suffix(".log"), args.output.with_name(f"unsafe_{args.output.name}")
        earlier = unsafe.stat().st_mtime_ns if unsafe.exists() else None
        try:
            status = reverify([str(part) for part in command], log)
        except FileNotFoundError:
            raise BadInput("Cannot find gym: activate the environment that has NeMo Gym.") from None
        if status:
            print(f"gym eval reverify failed, see {log}:\n{reason(log.read_text(errors='replace'))}", file=sys.stderr)
            return 1
        written = "--force" in options and unsafe.exists() and unsafe.stat().st_mtime_ns != earlier  # not of a run before
        output = unsafe if written else args.output
        again = put_back(output, failed | before, args.rollouts if args.agent else None, args.agent, args.unmask)
        old, new = rewards(before), rewards(rows_of(output))
        print("\n".join([*(changed(old, new) if args.list else []), *report(old, new)]))
        if again:
            print(f"{again} rollouts were masked and stay so (--unmask to let the verifier decide)")
        print(f"{output}: {len(new)} rewards. Next: gym eval aggregate")
    except BadInput as error:
        print(f"rescore.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
