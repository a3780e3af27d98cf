"""Binary: 1.0 if the final answer is one of the accepted answers, else 0.0."""

import re
import unicodedata
from decimal import Decimal
from typing import ClassVar

from nemo_gym import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    ReverifyMode,
    SimpleResourcesServer,
)
from pydantic import Field


class BinaryConfig(BaseResourcesServerConfig):
    REVERIFY_MODE: ClassVar[ReverifyMode] = ReverifyMode.STATELESS


class BinaryRequest(BaseVerifyRequest):
    expected_answers: list[str] = Field(min_length=1)


class BinaryResponse(BaseVerifyResponse):
    expected_answers: list[str]
    extracted_answer: str


def final_answer(text: str) -> str:
    """What stands behind the last "Answer:", else the whole text."""
    marked = re.findall(r"^[ *]*(?:final )?answer:[ *]*(\S.*)$", text, re.I | re.M)
    return (marked[-1] if marked else text).strip()


def normal(text: str) -> str:
    """One spelling for equal answers: case, articles, final punctuation, numbers."""
    text = unicodedata.normalize("NFKC", text).casefold()
    text = text.rstrip(" \t\n.!?;:,\"'`*").lstrip(" \t\n!?;:,\"'`*")  # .5 is not 5
    text = re.sub(r"^(?:the|an?) ", "", re.sub(r"\s+", " ", text))
    if re.fullmatch(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d{1,30})(?:\.\d{1,30})?", text):
        return format(Decimal(text.replace(",", "")).normalize() + 0, "f")
    return text


def matches(answer: str, accepted: list[str]) -> bool:
    """The whole answer must match: a list of candidates matches nothing."""
    return normal(answer) in {normal(one) for one in accepted} - {""}


class BinaryServer(SimpleResourcesServer):
    ray_enabled = False
    config: BinaryConfig

    async def verify(self, body: BinaryRequest) -> BinaryResponse:
        answer = final_answer(body.response.output_text)
        reward = float(matches(answer, body.expected_answers))
        return BinaryResponse(
            **body.model_dump(), reward=reward, extracted_answer=answer[:200]
        )


if __name__ == "__main__":
    BinaryServer.run_webserver()
