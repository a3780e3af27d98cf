"""Properties that a verifier should have. Copy it into the tests/ folder of a server that has a VERIFIER_FIXTURE."""

import asyncio
import json
import math
import random
from pathlib import Path

import pytest

from ..app import VERIFIER_FIXTURE

LOW, HIGH = 0.0, 1.0  # the range your verifier promises
CASES = [
    json.loads(line)
    for line in Path(VERIFIER_FIXTURE.cases_path).read_text().splitlines()
    if line.strip()
]
SCORED = [case["request"] for case in CASES if case["kind"] != "malformed"]
NASTY = [
    "",
    " ",
    "\x00",
    "\U0001f600" * 50,
    "\u202e\u0000\ufeff",
    "9" * 5000,
    "(" * 3000,
    "\\boxed{" * 500,
    "1e999999",
    "[[yes]]" * 20,
    "null",
    "{}",
    "```python\nwhile True: pass\n```",
    "A" * 200_000,
]


def garbage(seed: int) -> str:
    """Random text that mixes code points from everywhere, the same for a seed."""
    draw = random.Random(seed)
    return "".join(
        chr(draw.choice([draw.randrange(32, 127), draw.randrange(160, 0xD800)]))
        for _ in range(draw.randrange(400))
    )


def with_answer(request: dict, text: str) -> dict:
    """The same request, with another answer in place of the model's."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    message = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": content,
    }
    return request | {"response": request["response"] | {"output": [message]}}


def verify(request: dict):
    """One verdict, of a server that has seen nothing before."""
    return asyncio.run(
        VERIFIER_FIXTURE.server_factory().verify(
            VERIFIER_FIXTURE.request_model.model_validate(request)
        )
    )


@pytest.mark.parametrize(
    "text", [*NASTY, *map(garbage, range(40))], ids=lambda text: repr(text[:12])
)
def test_garbage_gets_a_finite_reward_within_bounds(text: str) -> None:
    verdict = verify(with_answer(SCORED[0], text))
    assert math.isfinite(verdict.reward) and LOW <= verdict.reward <= HIGH
    json.loads(verdict.model_dump_json())


@pytest.mark.parametrize(
    "request_", SCORED, ids=lambda request: request["response"]["id"]
)
def test_the_same_rollout_always_gets_the_same_verdict(request_: dict) -> None:
    first, second = verify(request_).model_dump(), verify(request_).model_dump()
    assert first == second


def test_an_empty_output_is_a_zero_and_no_crash() -> None:
    empty = SCORED[0] | {"response": SCORED[0]["response"] | {"output": []}}
    assert verify(empty).reward == LOW


def test_good_beats_bad() -> None:
    good = [
        verify(case["request"]).reward
        for case in CASES
        if case["kind"] == "full_reward"
    ]
    bad = [
        verify(case["request"]).reward
        for case in CASES
        if case["kind"] == "zero_reward"
    ]
    assert min(good) > max(bad)
