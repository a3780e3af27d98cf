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
    except psutil.NoSuchProcess:
        return []


def load(instances: list[dict], seconds: float) -> list[tuple[str, float, float, int, int]]:
    """(name, CPU percent of its busiest process, memory in MB, connections, open files) per server, busiest first."""
    members = {its["process_name"]: family(its["pid"]) for its in instances}
    before = {process: process.cpu_times() for its in members.values() for process in its}
    time.sleep(seconds)
    rows = []
    for name, processes in members.items():
        alive = [process for process in processes if process.is_running()]
        percent = [100 * (sum(p.cpu_times()[:2]) - sum(before[p][:2])) / seconds for p in alive]
        memory = sum(p.memory_info().rss for p in alive) / 1e6
        rows.append((name, max(percent, default=0.0), memory, sum(len(p.net_connections()) for p in alive), sum(p.num_fds() for p in alive)))
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
    print(f"{'server':40} CPU of a core   memory  connections   files")
    for name, percent, memory, connections, files in rows:
        print(f"{name:40}{percent:12.0f} %{memory:6.0f} MB{connections:13}{files:8}")
    full = [row[0] for row in rows if row[1] >= LIMIT]
    print(f"At its limit: {', '.join(full)}" if full else "No server is at its limit: look at the endpoint, the judge, or the driver.")
    return 1 if full else 0


if __name__ == "__main__":
    sys.exit(main())
