"""Show what a verifier that computes does to the others: on the event loop, in a thread, in a process pool.

    python off_the_loop.py [--checks 16]

Prints the longest time that the event loop stood still: for so long no other rollout of that server moves. Exit code 0.
"""

import argparse
import asyncio
import time
from concurrent.futures import ProcessPoolExecutor


def check(steps: int = 2_000_000) -> int:
    """A verification that computes for some tenths of a second."""
    return sum(number * number for number in range(steps))


POOL = ProcessPoolExecutor(max_workers=2)


async def on_the_loop() -> int:
    return check()


async def in_a_thread() -> int:
    return await asyncio.to_thread(check)


async def in_a_process() -> int:
    answer = asyncio.get_running_loop().run_in_executor(POOL, check)
    return await asyncio.wait_for(answer, timeout=60)


async def longest_stop(verify, checks: int) -> float:
    """Seconds that the event loop was busy at a stretch while ``checks`` verifications ran."""
    longest, done = 0.0, asyncio.gather(*(verify() for _ in range(checks)))
    while not done.done():
        before = time.perf_counter()
        await asyncio.sleep(0.001)
        longest = max(longest, time.perf_counter() - before)
    return longest


async def compare(checks: int) -> None:
    await asyncio.get_running_loop().run_in_executor(POOL, check, 1)  # start the pool
    for verify in (on_the_loop, in_a_thread, in_a_process):
        print(f"{verify.__name__:13} stands still for {1000 * await longest_stop(verify, checks):6.0f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checks", type=int, default=16, metavar="N", help="verifications at a time (default: %(default)s)")
    with POOL:
        asyncio.run(compare(max(1, parser.parse_args().checks)))
