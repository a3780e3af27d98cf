"""Measure what one call of verify() costs, for every server below resources_servers/ that has verifier cases. No network.

    python verify_cost.py [--calls 40]

Run it with the Python that has NeMo Gym, in the folder that holds resources_servers/. A judge is replaced by the one of its tests:
add the time of a model call. Exit code: 0 done, 2 bad input.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import statistics
import sys
import time
from pathlib import Path


async def cost(fixture: object, calls: int) -> list[float]:
    """Milliseconds of each call, one after the other, over the cases that have an answer."""
    cases = [json.loads(line) for line in Path(fixture.cases_path).read_text().splitlines() if line.strip()]
    requests = [case["request"] for case in cases if case["kind"] != "malformed"]
    server, spent = fixture.server_factory(), []
    for number in range(calls):
        body = fixture.request_model.model_validate(requests[number % len(requests)])
        began = time.perf_counter()
        await server.verify(body)
        spent.append(1000 * (time.perf_counter() - began))
    return spent


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=40, help="calls of each verifier (default: %(default)s)")
    args = parser.parse_args(argv)
    if args.calls < 1:
        parser.error("--calls must be 1 or more")
    sys.path.insert(0, str(Path.cwd()))
    names = sorted(path.parent.name for path in Path("resources_servers").glob("*/app.py") if (path.parent / "tests" / "verifier_cases.jsonl").exists())
    if not names:
        print("verify_cost.py: no resources_servers/NAME/app.py with tests/verifier_cases.jsonl here. Start it in their folder.", file=sys.stderr)
        return 2
    print(f"{'verify() of':<20}{'median':>12}{'slowest':>12}")
    for name in names:
        try:
            fixture = importlib.import_module(f"resources_servers.{name}.app").VERIFIER_FIXTURE
        except (ImportError, AttributeError) as error:
            print(f"verify_cost.py: {name}: {error}. Use the Python that has NeMo Gym.", file=sys.stderr)
            return 2
        spent = asyncio.run(cost(fixture, args.calls))
        print(f"{name:<20}{statistics.median(spent):>9.2f} ms{max(spent):>9.2f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
