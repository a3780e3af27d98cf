"""Run a command and tell what each model endpoint received meanwhile, from the endpoints' own counters.

    python endpoint_load.py policy=http://127.0.0.1:8000 judge=http://127.0.0.1:8001 [--expect policy judge] -- COMMAND ...

Reads /metrics of every endpoint before and after the command (tokens) and twice a second during it (requests in work,
requests that wait). Knows the names of vLLM and of llama.cpp, which the practice endpoint runs.
Exit code: 0 fine, 1 the command failed or an endpoint received what --expect does not say, 2 bad input.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import threading
from urllib.error import URLError
from urllib.request import urlopen

# What is counted, and the counters that hold it: those of one engine are added.
COUNTERS = {
    "prompt": ("vllm:prompt_tokens_total", "llamacpp:prompt_tokens_total", "llamacpp:prompt_tokens_cached_total"),
    "generated": ("vllm:generation_tokens_total", "llamacpp:tokens_predicted_total"),
    "running": ("vllm:num_requests_running", "llamacpp:requests_processing"),
    "waiting": ("vllm:num_requests_waiting", "llamacpp:requests_deferred"),
}
SAMPLE = re.compile(r"^(?P<name>[a-z:_]+)(?:\{[^}]*\})? (?P<value>[-+.\deE]+)", re.M)
SECONDS = 0.5


class BadInput(Exception):
    """Something the reader can put right; shown as one line."""


def parse_metrics(text: str) -> dict[str, float] | None:
    """Tokens (since the endpoint's start) and requests (now); None if the text holds no name that we know."""
    found = [(match["name"], float(match["value"])) for match in SAMPLE.finditer(text)]
    if not any(name in names for name, _ in found for names in COUNTERS.values()):
        return None
    return {what: sum(value for name, value in found if name in names) for what, names in COUNTERS.items()}


def read(name: str, address: str) -> dict[str, float]:
    try:
        with urlopen(f"{address}/metrics", timeout=10) as answer:
            numbers = parse_metrics(answer.read().decode("utf-8", "replace"))
    except (URLError, OSError, ValueError) as error:
        raise BadInput(f"{name}: {address}/metrics does not answer ({error}). Is the endpoint up, and the address right?") from None
    if numbers is None:
        raise BadInput(f"{name}: {address}/metrics holds no counters of vLLM or llama.cpp.")
    return numbers


def watch(endpoints: dict[str, str], stop: threading.Event, samples: dict[str, list[tuple[float, float]]]) -> None:
    """Requests in work and requests waiting of each endpoint, every SECONDS, until ``stop`` is set."""
    while not stop.wait(SECONDS):
        for name, address in endpoints.items():
            try:
                now = read(name, address)
            except BadInput:  # an endpoint may go down during the command: that is for the command to tell
                continue
            samples[name].append((now["running"], now["waiting"]))


def table(endpoints: dict[str, str], before: dict, after: dict, samples: dict) -> list[str]:
    lines = [f"{'endpoint':<16}{'prompt tokens':>15}{'generated':>11}{'in work':>9}{'waiting':>9}"]
    for name in endpoints:
        prompt, generated = (after[name][what] - before[name][what] for what in ("prompt", "generated"))
        means = [sum(column) / len(column) for column in zip(*samples[name])] or [0.0, 0.0]
        lines.append(f"{name:<16}{prompt:>15.0f}{generated:>11.0f}{means[0]:>9.1f}{means[1]:>9.1f}")
    return lines


def run(endpoints: dict[str, str], command: list[str], expect: list[str] | None) -> int:
    before = {name: read(name, address) for name, address in endpoints.items()}
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in endpoints}
    stop = threading.Event()
    watcher = threading.Thread(target=watch, args=(endpoints, stop, samples), daemon=True)
    watcher.start()
    try:
        status = subprocess.run(command).returncode
    except OSError as error:
        raise BadInput(f"Cannot run {command[0]}: {error.strerror}.") from None
    finally:
        stop.set()
        watcher.join()
    after = {name: read(name, address) for name, address in endpoints.items()}
    print("\n".join(table(endpoints, before, after, samples)))
    if status:
        print(f"endpoint_load.py: the command ended with exit code {status}.", file=sys.stderr)
        return 1
    received = {name for name in endpoints if after[name]["generated"] > before[name]["generated"]}
    if expect is not None and received != set(expect):
        print(f"Not as expected: {', '.join(sorted(received)) or 'no endpoint'} generated tokens.")
        return 1
    if expect is not None:
        print(f"As expected: {', '.join(sorted(received))} generated tokens{'; no other' if set(endpoints) - received else ''}.")
    return 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("endpoints", nargs="+", metavar="NAME=ADDRESS", help="an endpoint, with or without /v1")
    parser.add_argument("--expect", nargs="+", metavar="NAME", help="exactly these generate tokens, else exit code 1")
    argv = sys.argv[1:] if argv is None else argv
    own, command = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    args = parser.parse_args(own)
    pairs = [text.partition("=") for text in args.endpoints]
    endpoints = {name: address.rstrip("/").removesuffix("/v1") for name, _, address in pairs}
    for wrong, message in (
        (not command, "put the command to run behind --"),
        (not all(name and address.startswith("http") for name, _, address in pairs), "an endpoint looks like judge=http://127.0.0.1:8001"),
        (len(endpoints) < len(pairs), "two endpoints have the same name"),
        (set(args.expect or []) - set(endpoints), "--expect names an endpoint that is not given"),
    ):
        if wrong:
            parser.error(message)
    try:
        return run(endpoints, command, args.expect)
    except BadInput as error:
        print(f"endpoint_load.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
