"""Score a short answer: partial credit for correctness, weighted with response quality.

Copy it to resources_servers/short_answer/app.py after `gym env init --resources-server short_answer`.
"""

import re
import unicodedata
from pathlib import Path
from typing import Any, ClassVar

from nemo_gym import (
    BaseMultiRewardVerifyResponse,
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    ReverifyMode,
    ServerClient,
    SimpleResourcesServer,
)
from nemo_gym.verifier_fixture import VerifierFixture
from pydantic import Field


class ShortAnswerConfig(BaseResourcesServerConfig):
    """What the server's YAML may set: every number of the reward."""

    # verify() reads nothing but the request and decides alike: re-scoring is safe.
    REVERIFY_MODE: ClassVar[ReverifyMode] = ReverifyMode.STATELESS

    partial_credit: float = Field(default=0.5, ge=0, le=1)
    max_words: int = Field(default=5, ge=1)
    weights: dict[str, float] = {"correct": 0.8, "concise": 0.1, "complete": 0.1}
    scale: float = 1.0
    offset: float = 0.0
    clip: tuple[float, float] = (0.0, 1.0)


class ShortAnswerRequest(BaseVerifyRequest):
    """The fields of a task row that verify() reads. No other field arrives.

    Lenient: a row that does not fit the types gets HTTP 422, which ends the run.
    verify() masks it instead.
    """

    expected_answer: Any = None
    aliases: Any = []


class ShortAnswerResponse(BaseMultiRewardVerifyResponse):
    """What a rollout keeps. A field that is not declared here is not written."""

    expected_answer: Any
    extracted_answer: str
    # Aggregate metrics read top-level numbers only: each objective once more.
    correct: float
    concise: float
    complete: float
    # Trainers look for mask_sample at the top level or in here: verify() sets both.
    instance_config: dict | None = None


def normalize(text: str) -> str:
    """Lower case, Unicode forms and spaces made equal, punctuation around the text dropped, but for the point of `.5`."""
    text = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(text.split()).rstrip(" .,;:!?\"'`*").lstrip(" ,;:!?\"'`*")


def texts_of(values: list) -> list[str]:
    """The values that an answer can be compared with: texts and numbers."""
    return [
        str(value)
        for value in values
        if isinstance(value, (str, int, float)) and normalize(str(value))
    ]


def correctness(answer: str, accepted: list[str], partial_credit: float) -> float:
    """1 for an accepted answer alone, partial credit inside a longer text, else 0."""
    answer = normalize(answer)
    accepted = [normalize(text) for text in accepted]
    if answer in accepted:
        return 1.0
    found = any(
        re.search(rf"(?<![\w.-]){re.escape(text)}(?!\w|[.,]\d)", answer)
        for text in accepted
        if text
    )
    return partial_credit if found else 0.0


def quality(answer: str, cut_off: bool, max_words: int) -> dict[str, float]:
    """Response quality that a rule can see: not too long, and not cut off."""
    return {
        "concise": min(1.0, max_words / max(1, len(answer.split()))),
        "complete": float(not cut_off),
    }


class ShortAnswerServer(SimpleResourcesServer):
    """POST /verify: a finished rollout in, its reward out."""

    ray_enabled = False
    config: ShortAnswerConfig

    async def verify(self, body: ShortAnswerRequest) -> ShortAnswerResponse:
        """Score one rollout: a fault of the policy is 0, one of the task is masked."""
        config, answer = self.config, body.response.output_text
        cut_off = body.response.incomplete_details is not None
        accepted = texts_of(
            [
                body.expected_answer,
                *(body.aliases if isinstance(body.aliases, list) else []),
            ]
        )
        parts = {
            "correct": correctness(answer, accepted, config.partial_credit),
            **quality(answer, cut_off, config.max_words),
        }
        # Quality counts only where the answer is right: short and wrong must not pay.
        weighted = sum(
            config.weights[name] * value for name, value in parts.items()
        ) / sum(config.weights.values())
        reward = config.offset + config.scale * (
            weighted if parts["correct"] else 0.0
        )
        low, high = config.clip
        failure = {}
        if not accepted:
            reason = "the task row has no expected_answer to compare with"
            failure = {
                "mask_sample": True,
                "instance_config": {"mask_sample": True},
                "failure_kind": "verifier_error",
                "failure_reason": reason,
            }
        return ShortAnswerResponse(
            **body.model_dump(),
            **parts,
            **failure,
            extracted_answer=normalize(answer),
            reward=min(high, max(low, reward)),
            reward_components=parts,
        )


def offline(**settings: object) -> ShortAnswerServer:
    """The server without a network, for tests."""
    config = ShortAnswerConfig(
        name="short_answer",
        host="127.0.0.1",
        port=0,
        entrypoint="app.py",
        **settings,
    )
    return ShortAnswerServer(
        config=config, server_client=ServerClient.model_construct()
    )


VERIFIER_FIXTURE = VerifierFixture(
    server_factory=offline,
    request_model=ShortAnswerRequest,
    cases_path=Path(__file__).parent / "tests" / "verifier_cases.jsonl",
)


if __name__ == "__main__":
    ShortAnswerServer.run_webserver()
