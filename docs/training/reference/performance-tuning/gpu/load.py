"""Put an endpoint under load, straight or through Gym, and measure rate, latency and CPU per process at each concurrency.

    python load.py -o speed.json --name 8b --ways engine gym --agents bench_simple_agent --levels 8 32 128 --tokens 512

Every answer has the same length (``ignore_eos``), so that only the concurrency differs between levels. Prompts are random words, with
a number of their own in front unless --same-prompt asks for one prompt per group of repeats. The load comes from --drivers processes
that start together. Each level is added to the output file as it ends; run again with other options to add more.
Run it with the Python that has nemo-gym installed. Exit code: 0 done, 1 a request failed, 2 bad input.
"""

import argparse
import asyncio
import contextlib
import io
import json
import multiprocessing
import os
import random
import sys
import time
import urllib.request
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from machine import BadInput, record, write  # noqa: E402

WORDS = ("time year people way day man thing woman life child world school state family student group country problem hand part place "
         "case week company system program question work government number night point home water room mother area money story fact month "
         "lot right study book eye job word business issue side kind head house service friend father power hour game line end").split()
LIMIT_S = 240


def prompt(words: int, number: int) -> str:
    """Random words, about one token each; the number in front makes it a prompt of its own."""
    pick = random.Random(number)
    return " ".join([f"{number}:", *pick.choices(WORDS, k=words)])


async def straight(spec: dict, numbers: list[int]) -> list[tuple]:
    """(seconds, prompt tokens, output tokens, failed) of each request, sent to the endpoint itself; turns of a conversation one after the other."""
    import aiohttp

    gate, found = asyncio.Semaphore(spec["concurrency"]), []
    connections = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connections, timeout=aiohttp.ClientTimeout(total=LIMIT_S)) as session:
        async def one(number: int) -> None:
            messages: list[dict] = []
            body = {"model": spec["model"], "messages": messages, "max_tokens": spec["tokens"], "temperature": 1.0, "ignore_eos": True} | spec["extra"]
            async with gate:
                for turn in range(spec["turns"]):
                    messages.append({"role": "user", "content": prompt(spec["prompt"], number + 10**9 * turn)})
                    started = time.monotonic()
                    try:
                        async with session.post(f"{spec['base']}/chat/completions", json=body) as reply:
                            answer = await reply.json(content_type=None)
                        usage = answer["usage"]
                        messages.append({"role": "assistant", "content": answer["choices"][0]["message"]["content"] or ""})
                        found.append((time.monotonic() - started, usage["prompt_tokens"], usage["completion_tokens"], False))
                    except (OSError, aiohttp.ClientError, KeyError, ValueError, TypeError, asyncio.TimeoutError):
                        found.append((time.monotonic() - started, 0, 0, True))
                        return

        await asyncio.gather(*map(one, numbers))
    return found


async def through_gym(spec: dict, numbers: list[int]) -> list[tuple]:
    """The same, as rollouts of the agents named, by the dispatcher of `gym eval run`."""
    from nemo_gym.rollout_collection import DispatchLatencyTracker, RolloutCollectionHelper
    from nemo_gym import BaseServerConfig

    extra = json.dumps({"ignore_eos": True})
    rows = [{
        "responses_create_params": {"input": prompt(spec["prompt"], number), "max_output_tokens": spec["tokens"], "temperature": 1.0,
                                    "metadata": {"extra_body": extra}},
        "expected_answer": "none", "extraction_mode": "full_response", "agent_ref": {"name": spec["agents"][place % len(spec["agents"])]},
    } for place, number in enumerate(numbers)]
    tracker = DispatchLatencyTracker()
    found = []
    with contextlib.redirect_stdout(io.StringIO()):
        futures = RolloutCollectionHelper().run_examples(
            rows, head_server_config=BaseServerConfig(host="127.0.0.1", port=spec["head"]), semaphore=asyncio.Semaphore(spec["concurrency"]),
            route_failures_to_sidecar=True, latency_tracker=tracker)
        for future in futures:
            _, result = await asyncio.wait_for(future, LIMIT_S)
            usage = (result.get("response") or {}).get("usage") or {}
            failed = "_ng_failure_class" in result
            found.append((None, usage.get("input_tokens", 0), usage.get("output_tokens", 0), failed))
    # The tracker holds the seconds of each rollout, and gives quantiles alone: as many of them as there are rollouts.
    seconds = [tracker.quantile((place + 0.5) / len(found)) or 0.0 for place in range(len(found))]
    return [(second, *one[1:]) for second, one in zip(seconds, found)]


def drive(spec: dict, numbers: list[int], together, results) -> None:
    """One process of the load: import everything, wait for the others, send."""
    os.environ["TQDM_DISABLE"] = "1"
    work = through_gym if spec["way"] == "gym" else straight
    if spec["way"] == "gym":
        import nemo_gym.rollout_collection  # noqa: F401
    together.wait()
    before, started = time.process_time(), time.monotonic()
    try:
        found = asyncio.run(work(spec, numbers))
    except Exception as error:  # the parent must hear of it
        results.put({"error": f"{type(error).__name__}: {error}"})
        return
    results.put({"started": started, "ended": time.monotonic(), "cpu": time.process_time() - before, "found": found})


def watched(spec: dict, head: int | None) -> dict[str, list[psutil.Process]]:
    """Gym's servers by name, and the endpoint's processes."""
    found: dict[str, list[psutil.Process]] = {}
    if spec["way"] == "gym" and head:
        for its in json.load(urllib.request.urlopen(f"http://127.0.0.1:{head}/server_instances", timeout=30)):
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(its["pid"])
                found[its["process_name"]] = [process, *process.children(recursive=True)]
    port = int(spec["base"].rsplit(":", 1)[1].split("/")[0])
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
            process = psutil.Process(connection.pid)
            found["endpoint"] = [process]
            children = process.children(recursive=True)
            if children:
                found["endpoint: its other processes"] = children
    return found


def seconds_of(processes: dict[str, list[psutil.Process]]) -> dict[str, float]:
    found = {}
    for name, its in processes.items():
        found[name] = 0.0
        for process in its:
            with contextlib.suppress(psutil.NoSuchProcess):
                found[name] += sum(process.cpu_times()[:2])
    return found


def measure(spec: dict, count: int, drivers: int, repeats: int, seed: int) -> dict:
    """One level. ``repeats`` rollouts in a row have the same prompt."""
    context = multiprocessing.get_context("spawn")
    together, results = context.Barrier(drivers + 1), context.Queue()
    numbers = [seed + place // repeats for place in range(count)]
    shares = [spec | {"concurrency": max(1, spec["concurrency"] // drivers)} for _ in range(drivers)]
    processes = [context.Process(target=drive, args=(share, numbers[place::drivers] if repeats == 1 else numbers[place * count // drivers:(place + 1) * count // drivers], together, results))
                 for place, share in enumerate(shares)]
    for process in processes:
        process.start()
    together.wait()
    family = watched(spec, spec.get("head"))
    before, busy = seconds_of(family), psutil.cpu_times()
    parts = [results.get(timeout=2 * LIMIT_S) for _ in processes]
    after, busy_after = seconds_of(family), psutil.cpu_times()
    for process in processes:
        process.join()
    if errors := [part["error"] for part in parts if "error" in part]:
        raise BadInput(errors[0])
    found = [one for part in parts for one in part["found"]]
    wall = max(part["ended"] for part in parts) - min(part["started"] for part in parts)
    good = sorted(one[0] for one in found if not one[3])
    cpu = {name: after[name] - seconds for name, seconds in before.items()}
    cpu |= {f"driver {place + 1}" if drivers > 1 else "driver": part["cpu"] for place, part in enumerate(parts)}
    quantile = lambda share: round(good[min(len(good) - 1, int(share * len(good)))], 4) if good else None  # noqa: E731
    done = max(1, len(good))
    return {
        "way": spec["way"], "agents": spec["agents"] if spec["way"] == "gym" else [], "drivers": drivers, "concurrency": spec["concurrency"], "tokens": spec["tokens"],
        "repeats": repeats, "turns": spec["turns"], "requests": count * spec["turns"], "failures": len(found) - len(good), "seconds": round(wall, 3), "per_min": round(60 * len(good) / wall, 1),
        "output_tokens_per_s": round(sum(one[2] for one in found) / wall, 1), "prompt_tokens": round(sum(one[1] for one in found) / done, 1),
        "p50_s": quantile(0.5), "p95_s": quantile(0.95), "p99_s": quantile(0.99),
        "cpu_ms": {name: round(1000 * seconds / done, 3) for name, seconds in cpu.items() if seconds > 0.005},
        "cores": {name: round(seconds / wall, 3) for name, seconds in cpu.items() if seconds > 0.005},
        "cores_busy": round((sum(busy_after) - busy_after.idle - busy_after.iowait - sum(busy) + busy.idle + busy.iowait) / wall, 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("-o", "--output", type=Path, required=True, metavar="FILE", help="where to write, or add to, the measurement (JSON)")
    add("--name", default="load", help="a word for what is measured, kept with each level (default: %(default)s)")
    add("--base", default="http://127.0.0.1:8000/v1", metavar="URL", help="of the endpoint (default: %(default)s)")
    add("--model", default="policy", help="the model's name there (default: %(default)s)")
    add("--ways", nargs="+", choices=("engine", "gym"), default=["engine"], help="straight, or through Gym (default: engine)")
    add("--agents", nargs="+", default=["string_match_simple_agent"], metavar="AGENT", help="for gym: rollouts go to them in turn")
    add("--head", type=int, default=11000, metavar="PORT", help="of gym env start (default: %(default)s)")
    add("--levels", type=int, nargs="+", default=[8, 32, 128], metavar="N", help="requests in flight (default: 8 32 128)")
    add("--tokens", type=int, nargs="+", default=[16], metavar="N", help="of each answer (default: 16)")
    add("--prompt", type=int, default=20, metavar="N", help="words of each prompt (default: %(default)s)")
    add("--least", type=int, default=64, metavar="N", help="requests per level, if the level itself is no more (default: %(default)s)")
    add("--repeats", type=int, default=1, metavar="N", help="requests in a row with the same prompt (default: %(default)s)")
    add("--turns", type=int, default=1, metavar="N", help="straight: calls per conversation, each with --prompt words more (default: %(default)s)")
    add("--drivers", type=int, default=1, metavar="N", help="processes that send (default: %(default)s)")
    add("--extra", type=json.loads, default={}, metavar="JSON", help="more fields of a request that goes straight to the endpoint")
    add("--note", default="", help="kept with each level")
    add("--hardware", help="a word on the machine, for the record (default: what the system says)")
    args = parser.parse_args()
    if min([*args.levels, *args.tokens, args.prompt, args.least, args.repeats, args.turns, args.drivers]) < 1 or not args.output.resolve().parent.is_dir():
        parser.error("all numbers must be 1 or more, and the folder of -o must exist")
    if args.turns > 1 and "gym" in args.ways:
        parser.error("--turns is for --ways engine: through Gym the environment decides how many calls there are")
    failed = 0
    try:
        data = json.loads(args.output.read_text()) if args.output.exists() else record(args.hardware) | {"runs": []}
        seed = random.Random(f"{args} {len(data['runs'])}").randrange(10**8)  # a run again must not find its prompts in a cache
        for way in args.ways:
            for tokens in args.tokens:
                for level in args.levels:
                    spec = {"way": way, "base": args.base, "model": args.model, "agents": args.agents, "head": args.head, "concurrency": level,
                            "tokens": tokens, "prompt": args.prompt, "turns": args.turns, "extra": args.extra}
                    count = max(level, args.least) // args.drivers * args.drivers or args.drivers
                    one = measure(spec, count, args.drivers, args.repeats, seed) | {"name": args.name, "note": args.note}
                    seed += count
                    failed += one["failures"]
                    data["runs"].append(one)
                    with contextlib.redirect_stdout(io.StringIO()):
                        write(args.output, data)
                    print(f"{args.name:>14} {way:>6} x{args.drivers} {level:>5} in flight {tokens:>4} tokens {one['per_min']:>8.0f}/min "
                          f"{one['output_tokens_per_s']:>8.0f} tokens/s  p50 {one['p50_s'] or 0:.2f} s  failed {one['failures']}", flush=True)
    except BadInput as error:
        print(f"load.py: {error}", file=sys.stderr)
        return 2
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
