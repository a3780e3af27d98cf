"""Measure what one verification costs: CPU time of verify(), of the whole request, and of the worst answers.

    python measure_costs.py -o costs.json --hardware "2 cores, AMD EPYC"

Every pattern scores its own cases of cases.jsonl, in this process and without a network; a judge's replies are canned, so its
figure is what the server itself costs. Answers with labels (answers.jsonl) show how often a rule agrees. CPU time, not time on
the clock, so that a busy machine changes little. Exit code 0: done, 2: bad input.
"""

import argparse
import asyncio
import json
import os
import sys
import time
import warnings
from datetime import date
from pathlib import Path

from check_cases import PATTERNS, read, request_of, server_of

HERE = Path(__file__).parent
WORST = {
    "letters": "a" * 200_000, "braces": '{"a":' * 40_000, "lines": "answer: x\n" * 20_000, "digits": "1" * 200_000, "sources": "[1]" * 66_000,
}


def cpu(of: object, seconds: float) -> float:
    """CPU seconds of one call: the best of five rounds."""
    of()
    started, calls = time.process_time(), 0
    while time.process_time() - started < seconds / 5 or calls < 3:
        of()
        calls += 1
    rounds = []
    for _ in range(5):
        started = time.process_time()
        for _ in range(max(1, calls // 5)):
            of()
        rounds.append((time.process_time() - started) / max(1, calls // 5))
    return min(rounds)


def verifier(case: dict) -> object:
    """A function that verifies the case once, without a request around it."""
    says = case.get("says")
    server = server_of(case["pattern"], says, **case.get("settings", {}))
    request_class = server.verify.__annotations__["body"]
    body = request_class.model_validate(request_of(case))

    class NoSession:
        session: dict = {}

    arguments = {"body": body} | ({"request": NoSession()} if "request" in server.verify.__annotations__ else {})
    loop = asyncio.new_event_loop()
    if says is not None:
        async def ask(prompt: str) -> str:
            return "Verdict: DIFFERENT"
        object.__setattr__(server, "ask", ask)
    return lambda: loop.run_until_complete(server.verify(**arguments))


def with_request(case: dict, seconds: float) -> float:
    """CPU seconds of a whole request: parsing, validation, verify() and the answer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from starlette.testclient import TestClient
    server = server_of(case["pattern"], case.get("says"))
    if case.get("says") is not None:
        async def ask(prompt: str) -> str:
            return "Verdict: DIFFERENT"
        object.__setattr__(server, "ask", ask)
    request = request_of(case)
    with TestClient(server.setup_webserver()) as client:
        return cpu(lambda: client.post("/verify", json=request).raise_for_status(), seconds)


def agreement() -> dict:
    """How often two rules agree with the labels, and what they cost."""
    rows = [json.loads(line) for line in (HERE / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    results = {}
    for setting, pattern, field, threshold in (("binary", "binary", "expected_answers", 1.0), ("continuous, 0.5 or more", "continuous", "reference", 0.5)):
        outcomes = []
        for row in rows:
            expected = [row["expected_answer"]] if pattern == "binary" else row["expected_answer"]
            case = {"pattern": pattern, "task": {field: expected}, "answer": row["answer"]}
            outcomes.append((row["right"], verifier(case)().reward >= threshold))
        results[setting] = {
            "agree": sum(right == accepted for right, accepted in outcomes),
            "wrong_accepted": sum(accepted and not right for right, accepted in outcomes),
            "right_refused": sum(right and not accepted for right, accepted in outcomes),
            "answers": len(rows),
        }
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, help="write the record there")
    parser.add_argument("--hardware", default="", help="a word on the machine, for the record")
    parser.add_argument("--seconds", type=float, default=1.0, help="CPU seconds per figure (default: %(default)s)")
    args = parser.parse_args()
    cases = [case for case in read(HERE / "cases.jsonl") if case.get("lands", "scored") == "scored" and case.get("says") != []]
    patterns = {}
    for pattern in PATTERNS:
        case = next(case for case in cases if case["pattern"] == pattern)
        worst = 0.0
        for text in WORST.values():
            once = verifier({**case, "answer": text})
            started = time.process_time()
            once()
            worst = max(worst, time.process_time() - started)
        patterns[pattern] = {
            "verify_us": round(1e6 * cpu(verifier(case), args.seconds), 1),
            "request_us": round(1e6 * with_request(case, args.seconds), 0),
            "worst_ms": round(1e3 * worst, 1),
        }
        its = patterns[pattern]
        print(f"{pattern:15} verify {its['verify_us']:8.1f} us   request {its['request_us']:8.0f} us   worst answer {its['worst_ms']:8.1f} ms", flush=True)
    record = {
        "release": "nemo-gym 0.7.0", "date": date.today().isoformat(), "hardware": args.hardware, "python": sys.version.split()[0],
        "patterns": patterns, "agreement": agreement(),
    }
    for setting, its in record["agreement"].items():
        print(f"{setting:24} agrees with {its['agree']} of {its['answers']} labels")
    if args.output:
        partial = args.output.with_suffix(".partial")
        partial.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        os.replace(partial, args.output)
    return 0


if __name__ == "__main__":
    try:
        code = main()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code.replace("check_cases.py", "measure_costs.py"), file=sys.stderr)
            end.code = 2
        raise
    sys.exit(code)
