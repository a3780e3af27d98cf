"""Score finished rollouts with the verifiers of running Gym servers, whichever the rows name in `score_with`.

    python score_rollouts.py results/rollouts.jsonl -o results/scored.jsonl

Every row goes to the /verify route of each server it names. Start the servers first (gym env start --config servers.yaml).
Exit code 0: every row has a score or a judge that failed, 1: a server refused a row, 2: bad input.
"""

import argparse
import asyncio
import json
import logging
import os
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path

from rollouts import BadInput, kind_of, lines


def stop(message: str) -> None:
    print(f"score_rollouts.py: {message}", file=sys.stderr)
    sys.exit(2)


def read(path: Path) -> list[dict]:
    rows = []
    try:
        for number, _, _, row in lines(path):
            if kind_of(row) != "rollout" or not isinstance(row.get("score_with"), list):
                stop(f"{path}, line {number} needs a response and score_with, a list of server names")
            rows.append(row)
    except BadInput as error:
        stop(str(error))
    return rows


async def score(client: object, row: dict, server: str) -> dict:
    """The row as the server returns it, and how long it took."""
    started = time.perf_counter()
    reply = await client.post(server_name=server, url_path="/verify", json=row)
    body = await reply.read()
    taken = round(1000 * (time.perf_counter() - started), 3)
    if reply.status != 200:
        return {"server": server, "milliseconds": taken, "refused": f"HTTP {reply.status}: {body.decode(errors='replace')[:300]}"}
    return {"server": server, "milliseconds": taken, **json.loads(body)}


async def score_all(rows: list[dict]) -> list[dict]:
    from nemo_gym import ServerClient

    logging.disable(logging.INFO)
    sys.argv = sys.argv[:1]  # Gym reads the command line as well
    try:
        client = ServerClient.load_from_global_config()
        known = set(client.global_config_dict)
    except (Exception, SystemExit) as error:
        stop(f"no Gym servers run here ({type(error).__name__}). Start them first: gym env start --config servers.yaml")
    jobs = [(row, server) for row in rows for server in row["score_with"]]
    if missing := sorted({server for _, server in jobs} - known):
        stop(f"the running servers do not include {', '.join(missing)}")
    first = {server: row for row, server in reversed(jobs)}
    await asyncio.gather(*(score(client, row, server) for server, row in first.items()))  # the first connection is not counted
    return [await score(client, row, server) for row, server in jobs]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rollouts", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="the scored rows, one per rollout and server")
    args = parser.parse_args()
    if args.output.exists():
        stop(f"{args.output} exists: remove it, or choose another name")
    rows = read(args.rollouts)
    scored = asyncio.run(score_all(rows))
    args.output.parent.mkdir(parents=True, exist_ok=True)
    partial = args.output.with_suffix(".partial")
    partial.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in scored), encoding="utf-8")
    os.replace(partial, args.output)
    by_server = defaultdict(list)
    for row in scored:
        by_server[row["server"]].append(row)
    print(f"{'server':15} rollouts  mean reward  between 0 and 1  unscored  median ms")
    for server, its in sorted(by_server.items()):
        rewards = [row["reward"] for row in its if "reward" in row and not row["mask_sample"]]
        between = sum(0 < reward < 1 for reward in rewards)
        mean = f"{statistics.mean(rewards):.2f}" if rewards else "-"
        print(f"{server:15} {len(its):8} {mean:>12} {between:16} {len(its) - len(rewards):9} {statistics.median(r['milliseconds'] for r in its):10.1f}")
    refused = [row for row in scored if "refused" in row]
    for row in refused[:3]:
        print(f"{row['server']} refused a row: {row['refused']}")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
