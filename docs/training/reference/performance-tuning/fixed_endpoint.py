"""Serve a chat completions API that answers after a fixed time, without a model.

    python fixed_endpoint.py --port 8009 --delay 0.1 --slots 8

What a run takes beyond the delay is Gym's own work, and the number of slots is a knee that you know. Every answer is the same
text. Ctrl+C stops it. Needs aiohttp, which comes with NeMo Gym. Exit code 0: stopped, 1: the port is taken, 2: a wrong option.
"""

import argparse
import asyncio
import contextlib
import sys

from aiohttp import web


def application(delay: float, slots: int, text: str, tokens: int) -> web.Application:
    """Answers after ``delay`` seconds; at most ``slots`` calls at a time (0: no limit), the others wait in line."""
    free = asyncio.Semaphore(slots) if slots else contextlib.nullcontext()
    usage = {"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": tokens + 1}
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    completion = {"id": "fixed", "object": "chat.completion", "created": 0, "model": "fixed", "choices": [choice], "usage": usage}

    async def complete(request: web.Request) -> web.Response:
        await request.read()
        async with free:
            await asyncio.sleep(delay)
        return web.json_response(completion)

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "fixed", "object": "model"}]})

    app = web.Application(client_max_size=2**26)
    app.add_routes([web.post("/v1/chat/completions", complete), web.get("/v1/models", models)])
    return app


async def serve(args: argparse.Namespace) -> None:
    runner = web.AppRunner(application(args.delay, args.slots, args.text, args.tokens), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", args.port, backlog=4096).start()
    room = f"{args.slots} calls at a time" if args.slots else "Any number of calls at a time"
    print(f"fixed is ready at http://127.0.0.1:{args.port}/v1 ({args.delay:g} s per call)\n{room}. Ctrl+C stops it.", flush=True)
    await asyncio.Event().wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8009, help="where to listen, on 127.0.0.1 (default: %(default)s)")
    parser.add_argument("--delay", type=float, default=0.1, metavar="S", help="seconds per call (default: %(default)s)")
    parser.add_argument("--slots", type=int, default=0, metavar="N", help="calls at a time (default: 0, no limit)")
    parser.add_argument("--text", default="Answer: Paris", help="what it says (default: %(default)s)")
    parser.add_argument("--tokens", type=int, default=4, metavar="N", help="completion tokens it reports (default: %(default)s)")
    args = parser.parse_args()
    if not (0 < args.port < 65536 and args.delay >= 0 and args.slots >= 0 and args.tokens >= 0):
        parser.error("--port must be 1 to 65535; --delay, --slots and --tokens 0 or more")
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(args))
    except OSError as error:
        print(f"fixed_endpoint.py: port {args.port} is taken: try --port {args.port + 1} ({error.strerror})", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
