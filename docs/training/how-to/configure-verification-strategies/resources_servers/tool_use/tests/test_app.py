"""The known-good and known-bad answers in verifier_cases.jsonl get the reward that stands there."""

import asyncio
from dataclasses import replace

from nemo_gym.verifier_fixture import exercise_verifier_fixture

from ..app import VERIFIER_FIXTURE


def test_cases() -> None:
    # Partial credit can only be a case of the kind "determinism", and those run only with "seeded" and a reseed function.
    fixture = replace(VERIFIER_FIXTURE, reseed=lambda server, request: None)
    asyncio.run(exercise_verifier_fixture(fixture, reward_range=(0.0, 1.0), determinism="seeded"))
