"""Continuous: similarity to a reference text (chrF, as translation uses it), 0.0 to 1.0."""

from collections import Counter
from typing import ClassVar

from nemo_gym import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    ReverifyMode,
    SimpleResourcesServer,
)
from pydantic import Field


class ContinuousConfig(BaseResourcesServerConfig):
    REVERIFY_MODE: ClassVar[ReverifyMode] = ReverifyMode.STATELESS
    # Below it the reward is 0: texts with nothing in common still share letters.
    floor: float = 0.2
    # An answer longer than this, compared with the reference, gets 0.
    longest_ratio: float = 3.0


class ContinuousRequest(BaseVerifyRequest):
    reference: str = Field(min_length=1)


class ContinuousResponse(BaseVerifyResponse):
    reference: str
    similarity: float


def grams(text: str, size: int) -> Counter:
    return Counter(text[at : at + size] for at in range(len(text) - size + 1))


def chrf(answer: str, reference: str, longest: int = 6, beta: float = 2.0) -> float:
    """Character n-gram F-score. ``beta`` 2 weighs recall twice as much."""
    answer, reference = (
        "".join(text.split()).casefold() for text in (answer, reference)
    )
    precision, recall, orders = 0.0, 0.0, min(longest, len(reference))
    for size in range(1, orders + 1):
        have, want = grams(answer, size), grams(reference, size)
        shared = (have & want).total()
        precision += shared / max(1, have.total()) / orders
        recall += shared / max(1, want.total()) / orders
    weighted = beta**2 * precision + recall
    return (1 + beta**2) * precision * recall / weighted if weighted else 0.0


class ContinuousServer(SimpleResourcesServer):
    ray_enabled = False
    config: ContinuousConfig

    async def verify(self, body: ContinuousRequest) -> ContinuousResponse:
        answer = body.response.output_text.strip()
        longest = self.config.longest_ratio * len(body.reference) + 20
        too_long = len(answer) > longest
        similarity = 0.0 if too_long else round(chrf(answer, body.reference), 6)
        reward = similarity if similarity >= self.config.floor else 0.0
        return ContinuousResponse(
            **body.model_dump(), reward=reward, similarity=similarity
        )


if __name__ == "__main__":
    ContinuousServer.run_webserver()
