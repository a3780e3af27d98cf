"""Format check: the form of an answer, not its truth. 1.0 if every check holds, else 0.0."""

import json
import re
from typing import ClassVar, Literal

from nemo_gym import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    ReverifyMode,
    SimpleResourcesServer,
)
from pydantic import BaseModel, Field, model_validator


class Check(BaseModel):
    kind: Literal[
        "min_words", "max_words", "lines", "pattern", "not_pattern", "json_keys"
    ]
    value: int | str | list[str]

    @model_validator(mode="after")
    def value_fits(self) -> "Check":
        """A task row with a broken check is refused with a reason.

        Otherwise it would cost a rollout its score.
        """
        kinds = {"json_keys": list, "pattern": str, "not_pattern": str}
        wanted = kinds.get(self.kind, int)
        if not isinstance(self.value, wanted):
            raise ValueError(
                f"the value of {self.kind} must be of type {wanted.__name__}"
            )
        if wanted is str:
            re.compile(self.value)
        return self

    def holds(self, text: str) -> bool:
        if self.kind == "min_words":
            return len(text.split()) >= self.value
        if self.kind == "max_words":
            return len(text.split()) <= self.value
        if self.kind == "lines":
            return len(text.splitlines()) == self.value
        if self.kind == "json_keys":
            try:
                found = json.loads(text)
            except (ValueError, RecursionError):
                return False
            return isinstance(found, dict) and list(found) == self.value
        return (re.search(self.value, text) is not None) == (self.kind == "pattern")


class FormatCheckConfig(BaseResourcesServerConfig):
    REVERIFY_MODE: ClassVar[ReverifyMode] = ReverifyMode.STATELESS
    # No pattern is tried on more: some patterns need quadratic time.
    max_chars: int = 20_000


class FormatCheckRequest(BaseVerifyRequest):
    checks: list[Check] = Field(min_length=1)


class FormatCheckResponse(BaseVerifyResponse):
    checks: list[Check]
    checks_held: float
    broken: list[str]


class FormatCheckServer(SimpleResourcesServer):
    ray_enabled = False
    config: FormatCheckConfig

    async def verify(self, body: FormatCheckRequest) -> FormatCheckResponse:
        text = body.response.output_text.strip()
        # An empty answer breaks everything.
        refused = not text or len(text) > self.config.max_chars
        broken = [
            check.kind for check in body.checks if refused or not check.holds(text)
        ]
        held = 1 - len(broken) / len(body.checks)
        reward = float(not broken)
        return FormatCheckResponse(
            **body.model_dump(), reward=reward, checks_held=held, broken=broken
        )


if __name__ == "__main__":
    FormatCheckServer.run_webserver()
