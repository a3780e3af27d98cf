"""Partial credit: right fields of a JSON record less wrong ones; only a whole record earns 1.0."""

import json
from typing import ClassVar

from nemo_gym import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    ReverifyMode,
    SimpleResourcesServer,
)
from pydantic import Field, JsonValue


class PartialCreditConfig(BaseResourcesServerConfig):
    REVERIFY_MODE: ClassVar[ReverifyMode] = ReverifyMode.STATELESS
    # The most that a record with a gap can earn.
    incomplete_cap: float = Field(default=0.6, ge=0, lt=1)


class PartialCreditRequest(BaseVerifyRequest):
    expected_fields: dict[str, JsonValue] = Field(min_length=1)


class PartialCreditResponse(BaseVerifyResponse):
    expected_fields: dict[str, JsonValue]
    fields_right: int
    fields_wrong: int


def last_object(text: str) -> dict:
    """The last JSON object of a text, {} if there is none.

    100 tries: an answer full of braces must not cost seconds.
    """
    found, at, decoder = {}, text.find("{"), json.JSONDecoder()
    for _ in range(100):
        if at < 0:
            break
        try:
            found, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        at = text.find("{", end)
    return found


def equal(left: JsonValue, right: JsonValue) -> bool:
    """Text without case and outer blanks; 3 equals 3.0, true does not equal 1."""
    if isinstance(left, str) and isinstance(right, str):
        return left.strip().casefold() == right.strip().casefold()
    return left == right and isinstance(left, bool) == isinstance(right, bool)


class PartialCreditServer(SimpleResourcesServer):
    ray_enabled = False
    config: PartialCreditConfig

    async def verify(self, body: PartialCreditRequest) -> PartialCreditResponse:
        given = last_object(body.response.output_text)
        expected = body.expected_fields
        right = sum(
            name in given and equal(given[name], value)
            for name, value in expected.items()
        )
        # A wrong value and a field too many cost the same: guessing does not pay.
        wrong = len(given) - right
        share = max(0, right - wrong) / len(expected)
        reward = 1.0 if share == 1 else round(self.config.incomplete_cap * share, 6)
        return PartialCreditResponse(
            **body.model_dump(),
            reward=reward,
            fields_right=right,
            fields_wrong=wrong,
        )


if __name__ == "__main__":
    PartialCreditServer.run_webserver()
