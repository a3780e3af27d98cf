"""Composite: a right answer, the right source cited, and brevity.

The last two count only where the answer is right.
"""

import re
from typing import ClassVar

from binary import matches
from nemo_gym import (
    BaseMultiRewardVerifyResponse,
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    ReverifyMode,
    SimpleResourcesServer,
)
from pydantic import Field


class CompositeConfig(BaseResourcesServerConfig):
    REVERIFY_MODE: ClassVar[ReverifyMode] = ReverifyMode.STATELESS
    weights: dict[str, float] = {"correct": 0.7, "cited": 0.2, "brief": 0.1}
    brief_words: int = 12


class CompositeRequest(BaseVerifyRequest):
    expected_answers: list[str] = Field(min_length=1)
    expected_sources: list[int]


class CompositeResponse(BaseMultiRewardVerifyResponse):
    expected_answers: list[str]
    expected_sources: list[int]
    # Numbers at the top level become metrics; those in reward_components do not.
    correct: float
    cited: float
    brief: float


def overlap(have: set, want: set) -> float:
    """F1 of two sets: naming every source costs precision."""
    return 2 * len(have & want) / (len(have) + len(want)) if have or want else 1.0


class CompositeServer(SimpleResourcesServer):
    ray_enabled = False
    config: CompositeConfig

    async def verify(self, body: CompositeRequest) -> CompositeResponse:
        text = body.response.output_text
        sources = {int(number) for number in re.findall(r"\[(\d{1,4})\]", text)}
        words = len(text.split())
        brevity = 2 - words / self.config.brief_words if words else 0.0
        answer = re.sub(r"\s*\[\d{1,4}\]", "", text)
        parts = {
            "correct": float(matches(answer, body.expected_answers)),
            "cited": round(overlap(sources, set(body.expected_sources)), 6),
            "brief": max(0.0, min(1.0, brevity)),
        }
        weights = self.config.weights
        total = sum(weight * parts[name] for name, weight in weights.items())
        reward = round(parts["correct"] * (total / sum(weights.values())), 6)
        return CompositeResponse(
            **body.model_dump(), **parts, reward=reward, reward_components=parts
        )


if __name__ == "__main__":
    CompositeServer.run_webserver()
