"""Show what each Gym server does while a run is on: CPU, memory, open connections and files.

    python server_load.py [--seconds 10] [--head-server 127.0.0.1:11000]

A process at 100 % is mostly the bottleneck, whatever the others do. Needs psutil, which comes with NeMo Gym.
Exit code: 0 every process below 90 % of a core, 1 one is at its limit, 2 bad input.
"""

import argparse
import json
import sys
import time
import urllib.request

import psutil

LIMIT = 90  # percent of a core


def family(pid: int) -> list[psutil.Process]:
    """A server's process and its workers; nothing if it is gone."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def reading(process: psutil.Process) -> tuple[float, float, int, int] | None:
    """CPU seconds, MB of memory, connections and open files of a process; None if it has ended, also if nobody waited for it yet."""
    try:
        return sum(process.cpu_times()[:2]), process.memory_info().rss / 1e6, len(process.net_connections()), process.num_fds()
    except psutil.Error:
        return None


def load(instances: list[dict], seconds: float) -> list[tuple[str, float, float, int, int]]:
    """(name, CPU percent of its busiest process, memory in MB, connections, open files) per server that runs here, busiest first."""
    members = {its["process_name"]: family(its["pid"]) for its in instances}
    before = {process: reading(process) for its in members.values() for process in its}
    time.sleep(seconds)
    rows = []
    for name, processes in members.items():
        pairs = [(before[process], reading(process)) for process in processes]
        alive = [(old, new) for old, new in pairs if old and new]
        if alive:
            percent = max(100 * (new[0] - old[0]) / seconds for old, new in alive)
            rows.append((name, percent, *(sum(new[which] for _, new in alive) for which in (1, 2, 3))))
    return sorted(rows, key=lambda row: -row[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10, metavar="S", help="how long to watch (default: %(default)s)")
    parser.add_argument("--head-server", default="127.0.0.1:11000", metavar="HOST:PORT", help="of gym env start (default: %(default)s)")
    args = parser.parse_args()
    if args.seconds <= 0:
        parser.error("--seconds must be above 0")
    try:
        instances = json.load(urllib.request.urlopen(f"http://{args.head_server}/server_instances", timeout=10))
    except (OSError, ValueError):
        print(f"server_load.py: no Gym servers answer at {args.head_server}: start them first (gym env start ...)", file=sys.stderr)
        return 2
    rows = load(instances, args.seconds)
    unseen = [name for name in dict.fromkeys(its["process_name"] for its in instances) if name not in {row[0] for row in rows}]
    if unseen:
        print(f"server_load.py: not measured, ended or on another machine or of another user: {', '.join(unseen)}", file=sys.stderr)
    if not rows:
        return 2
    print(f"{'server':40} CPU of a core   memory  connections   files")
    for name, percent, memory, connections, files in rows:
        print(f"{name:40}{percent:12.0f} %{memory:6.0f} MB{connections:13}{files:8}")
    full = [row[0] for row in rows if row[1] >= LIMIT]
    print(f"At its limit: {', '.join(full)}" if full else "No server is at its limit: look at the endpoint, the judge, or the driver.")
    return 1 if full else 0


if __name__ == "__main__":
    sys.exit(main())
