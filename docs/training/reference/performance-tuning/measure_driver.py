"""Measure the driver, `gym eval run`: its peak memory over the number of rollouts, its rate, and how long a resume takes to begin.

    python measure_driver.py -o driver.json [--rollouts 1000 10000 100000] [--modes default not-retained bounded] [--add]

The driver is the real one. In place of all servers stands one that answers each rollout at once with a row of --bytes, so that
100,000 rollouts take minutes. Run it with the Python that has nemo-gym installed. Exit code: 0 done, 1 a run failed, 2 bad input.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

import psutil
from aiohttp import web
from machine import BadInput, program, record, stop_in_order, write

MODES = {
    "default": [],
    "not-retained": ["++retain_results_in_memory=false"],
    "bounded": ["++retain_results_in_memory=false", "++max_resident_rollout_tasks=512", "--disable-aggregation"],
}
AGENT = "instant_agent"


class Instant:
    """Head server and environment server in one: hands out the configuration, and answers each rollout at once."""

    def __init__(self, size: int) -> None:
        self.first: float | None = None
        message = {"type": "message", "id": "m", "role": "assistant", "status": "completed",
                   "content": [{"type": "output_text", "text": "x" * size, "annotations": []}]}
        usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2,
                 "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        response = {"id": "r", "object": "response", "created_at": 0, "model": "instant", "output": [message], "usage": usage,
                    "tools": [], "tool_choice": "auto", "parallel_tool_calls": True}
        self.rollout = {"responses_create_params": {"input": "What is the capital of France?"}, "response": response, "reward": 1.0}
        self.port = 0

    async def start(self) -> web.AppRunner:
        app = web.Application(client_max_size=2**30)
        app.add_routes([web.get("/global_config_dict_yaml", self.configuration), web.post("/run", self.run),
                        web.post("/aggregate_metrics", self.aggregate)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        return runner

    async def configuration(self, _: web.Request) -> web.Response:
        place = {"host": "127.0.0.1", "port": self.port, "entrypoint": "app.py"}
        agent = {"responses_api_agents": {"simple_agent": place}}
        server = {"environment_servers": {"legacy_agent": place | {"agent_server": {"type": "responses_api_agents", "name": AGENT}}}}
        return web.json_response(json.dumps({AGENT: agent, "instant_environment": server}))

    async def run(self, request: web.Request) -> web.Response:
        self.first = self.first or time.monotonic()
        row = await request.json()
        return web.json_response(row | self.rollout)

    async def aggregate(self, request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"agent_metrics": {}, "key_metrics": {}, "group_level_metrics": [], "repeat_level_metrics": []})


async def drive(server: Instant, folder: Path, tasks: Path, extra: list[str]) -> dict:
    """One run of the driver: seconds until it asks for the first rollout, seconds in all, and its peak memory."""
    command = [program("gym"), "eval", "run", "--no-serve", "--agent", AGENT, "-i", tasks, "-o", folder / "rollouts.jsonl",
               "--concurrency", "64", "--no-health-check", f"++head_server={{host: 127.0.0.1, port: {server.port}}}", *extra]
    server.first, peak, started = None, 0, time.monotonic()
    log = folder / "driver.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(*map(str, command), cwd=folder, stdout=output, stderr=output)
        driver = psutil.Process(process.pid)
        while process.returncode is None:
            try:
                # The program on PATH may be a wrapper that starts the driver.
                peak = max(peak, *(member.memory_info().rss for member in [driver, *driver.children(recursive=True)]))
            except psutil.NoSuchProcess:
                pass
            await asyncio.sleep(0.05)
    if process.returncode:
        print(f"measure_driver.py: the run failed: {log.read_text(errors='replace')[-1500:]}", file=sys.stderr)
        raise SystemExit(1)
    now = time.monotonic()
    first = server.first or now
    return {"first_s": first - started, "rest_s": now - first, "peak_mb": peak / 1e6}


async def measure(args: argparse.Namespace) -> dict:
    data = record(args.hardware) | {"row_bytes": 0, "modes": {}, "resume": []}
    server = Instant(args.bytes)
    runner = await server.start()
    data["row_bytes"] = len(json.dumps(server.rollout))
    try:
        for mode in args.modes:
            for count in args.rollouts:
                with tempfile.TemporaryDirectory() as name:
                    folder = Path(name)
                    tasks = folder / "tasks.jsonl"
                    task = json.dumps({"responses_create_params": {"input": "What is the capital of France?"}}) + "\n"
                    tasks.write_text(task * count)
                    its = await drive(server, folder, tasks, MODES[mode])
                    size = (folder / "rollouts.jsonl").stat().st_size
                    data["modes"].setdefault(mode, []).append({
                        "rollouts": count, "first_s": round(its["first_s"], 2), "peak_mb": round(its["peak_mb"]),
                        "rollouts_per_s": round(count / its["rest_s"]), "file_mb": round(size / 1e6, 1),
                    })
                    print(f"{mode:>13} {count:>7} rollouts  peak {its['peak_mb']:6.0f} MB  first after {its['first_s']:5.1f} s  "
                          f"{count / its['rest_s']:5.0f} rollouts/s", flush=True)
                    if mode == "bounded":
                        drop_last_row(folder / "rollouts.jsonl")
                        its = await drive(server, folder, tasks, [*MODES[mode], "--resume"])
                        data["resume"].append({"rollouts": count, "first_s": round(its["first_s"], 2), "peak_mb": round(its["peak_mb"])})
                        print(f"{'resume':>13} {count:>7} rollouts  peak {its['peak_mb']:6.0f} MB  first after {its['first_s']:5.1f} s", flush=True)
    finally:
        await runner.cleanup()
    return data


def drop_last_row(path: Path) -> None:
    """As if the run had been killed before its last rollout."""
    with path.open("rb+") as file:
        end = file.seek(0, 2)
        file.seek(max(0, end - 2**20))
        tail = file.read()
        file.truncate(end - len(tail) + tail.rindex(b"\n", 0, -1) + 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where to write the measurement (JSON)")
    parser.add_argument("--rollouts", type=int, nargs="+", default=[1000, 10_000, 100_000], metavar="N", help="sizes of the run")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES), metavar="MODE", help=f"of {', '.join(MODES)} (default: all)")
    parser.add_argument("--bytes", type=int, default=8000, metavar="N", help="length of the text in each rollout (default: %(default)s)")
    parser.add_argument("--add", action="store_true", help="keep what the output file already holds of other modes and sizes")
    parser.add_argument("--hardware", help="a word on the machine, for the record (default: what the system says)")
    args = parser.parse_args()
    stop_in_order()
    args.output = args.output.absolute()
    if min(args.rollouts) < 2 or args.bytes < 0 or not args.output.parent.is_dir():
        parser.error("--rollouts must be 2 or more, --bytes 0 or more, and the folder of -o must exist")
    try:
        before = json.loads(args.output.read_text()) if args.add and args.output.exists() else {"modes": {}, "resume": []}
        data = asyncio.run(measure(args))
    except BadInput as error:
        print(f"measure_driver.py: {error}", file=sys.stderr)
        return 2
    merge = lambda old, new: sorted(({its["rollouts"]: its for its in [*old, *new]}).values(), key=lambda its: its["rollouts"])  # noqa: E731
    data["modes"] = before["modes"] | {mode: merge(before["modes"].get(mode, []), its) for mode, its in data["modes"].items()}
    data["resume"] = merge(before["resume"], data["resume"])
    write(args.output, data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
