"""Measure how fast JSONL is written and read: what one rollout costs by buffer, flush, disk sync, parser and compression.

    python measure_io.py -o io.json [--rows 20000] [--bytes 8000] [--folder DIR]

Writes and reads rows of one size in --folder, which says how fast *that* disk is. Reads come from the page cache, so they show the
parser and not the disk. Needs orjson, which comes with NeMo Gym. Exit code: 0 done, 2 bad input.
"""

import argparse
import gzip
import json
import os
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import orjson
from machine import BadInput, record, write

SYNCED = 500  # rows of the test that waits for the disk after each


def append(path: Path, row: dict, rows: int, after: Callable | None = None) -> None:
    with path.open("wb") as file:
        for _ in range(rows):
            file.write(orjson.dumps(row) + b"\n")
            if after:
                after(file)


def append_json(path: Path, row: dict, rows: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for _ in range(rows):
            file.write(json.dumps(row) + "\n")


def append_gzip(path: Path, row: dict, rows: int) -> None:
    with gzip.open(path, "wb", compresslevel=6) as file:
        for _ in range(rows):
            file.write(orjson.dumps(row) + b"\n")


def sync(file) -> None:
    file.flush()
    os.fsync(file.fileno())


def stream(path: Path, loads: Callable, opened: Callable = open) -> int:
    """Rewards above 0, row by row: what a filter does."""
    with opened(path, "rb") as file:
        return sum(loads(line)["reward"] > 0 for line in file)


def whole(path: Path) -> int:
    rows = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    return sum(row["reward"] > 0 for row in rows)


def best(of: Callable, rows: int, rounds: int) -> dict:
    """Rows per second of the fastest round: on a busy machine the least disturbed one."""
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        of()
        seconds.append(time.perf_counter() - started)
    return {"rows_per_s": round(rows / min(seconds)), "rows": rows}


def peak(of: Callable) -> float:
    tracemalloc.start()
    of()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return round(most / 1e6, 1)


def measure(args: argparse.Namespace) -> dict:
    # Text that compresses as text does, in as many items as a rollout with tool calls has.
    words = " ".join(f"step {number} gives {number * 7919 % 104729}" for number in range(args.bytes))[:args.bytes]
    items = [{"type": "message", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": words[at:at + 200]}]}
             for at in range(0, len(words), 200)]
    row = {"_ng_task_index": 0, "_ng_rollout_index": 0, "reward": 1.0, "response": {"output": items, "usage": {"total_tokens": 2000}}}
    size = len(orjson.dumps(row)) + 1
    data = record(args.hardware) | {"row_bytes": size, "write": {}, "read": {}, "peak_mb": {}}
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        path, packed = Path(name) / "rows.jsonl", Path(name) / "rows.jsonl.gz"
        count, few = args.rows, min(SYNCED, args.rows)
        for kind, rows, of in (
            ("orjson, buffered", count, lambda: append(path, row, count)),
            ("orjson, flush per row", count, lambda: append(path, row, count, lambda file: file.flush())),
            ("orjson, fsync per row", few, lambda: append(path, row, few, sync)),
            ("json, buffered", count, lambda: append_json(path, row, count)),
            ("orjson, gzip", few, lambda: append_gzip(packed, row, few)),
        ):
            data["write"][kind] = best(of, rows, args.rounds)
            print(f"write {kind:22} {data['write'][kind]['rows_per_s']:>9} rows/s", flush=True)
        data["gzip_ratio"] = round(few * size / packed.stat().st_size, 1)
        for kind, rows, of in (
            ("orjson, line by line", count, lambda: stream(path, orjson.loads)),
            ("json, line by line", count, lambda: stream(path, json.loads)),
            ("orjson, gzip", few, lambda: stream(packed, orjson.loads, gzip.open)),
            ("orjson, whole file", count, lambda: whole(path)),
        ):
            data["read"][kind] = best(of, rows, args.rounds)
            print(f"read  {kind:22} {data['read'][kind]['rows_per_s']:>9} rows/s", flush=True)
        data["peak_mb"] = {"line by line": peak(lambda: stream(path, orjson.loads)), "whole file": peak(lambda: whole(path))}
        data["file_mb"] = round(path.stat().st_size / 1e6, 1)
    return data


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where to write the measurement (JSON)")
    parser.add_argument("--rows", type=int, default=20_000, metavar="N", help="per test (default: %(default)s)")
    parser.add_argument("--bytes", type=int, default=8000, metavar="N", help="of text in each row (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the fastest counts (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=Path("."), metavar="DIR", help="on the disk to measure (default: this folder)")
    parser.add_argument("--hardware", help="a word on the machine, for the record (default: what the system says)")
    args = parser.parse_args()
    if min(args.rows, args.bytes, args.rounds) < 1 or not args.folder.is_dir() or not args.output.absolute().parent.is_dir():
        parser.error("--rows, --bytes and --rounds must be 1 or more; --folder and the folder of -o must exist")
    try:
        write(args.output.absolute(), measure(args))
    except BadInput as error:
        print(f"measure_io.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
