"""Score instruction following: one rule per instruction of the task, all of them or the share that holds."""

import json
import re
from pathlib import Path
from typing import ClassVar, Literal

from nemo_gym import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    ReverifyMode,
    ServerClient,
    SimpleResourcesServer,
)
from nemo_gym.verifier_fixture import VerifierFixture
from pydantic import BaseModel


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


# Each rule: (answer, the instruction's value) -> does the answer follow it?
RULES = {
    "max_words": lambda text, value: len(text.split()) <= int(value),
    "min_words": lambda text, value: len(text.split()) >= int(value),
    "contains": lambda text, value: str(value).casefold() in text.casefold(),
    "avoids": lambda text, value: str(value).casefold() not in text.casefold(),
    "starts_with": lambda text, value: text.startswith(str(value)),
    "ends_with": lambda text, value: text.endswith(str(value)),
    "lowercase": lambda text, value: text == text.lower(),
    "bullets": lambda text, value: len(re.findall(r"^\s*[-*] ", text, re.M)) == int(value),
    "json": lambda text, value: is_json(text),
}


MASKED = {"mask_sample": True, "instance_config": {"mask_sample": True}}


class InstructionChecksConfig(BaseResourcesServerConfig):
    REVERIFY_MODE: ClassVar[ReverifyMode] = ReverifyMode.STATELESS
    grading: Literal["all", "fraction"] = "fraction"


class Instruction(BaseModel):
    rule: str
    value: str | int | None = None


class InstructionChecksRequest(BaseVerifyRequest):
    instructions: list[Instruction]


class InstructionChecksResponse(BaseVerifyResponse):
    instance_config: dict | None = None  # trainers look for mask_sample here or at the top level: set both
    instructions: list[Instruction]
    followed: list[bool]


class InstructionChecksServer(SimpleResourcesServer):
    ray_enabled = False
    config: InstructionChecksConfig

    async def verify(self, body: InstructionChecksRequest) -> InstructionChecksResponse:
        text, failure, followed = body.response.output_text.strip(), {}, []
        try:
            # An empty answer contains nothing forbidden, is short and lower case: it must not earn for that.
            followed = [RULES[one.rule](text, one.value) and bool(text) for one in body.instructions]
            if not followed:
                raise ValueError("the task row has no instructions")
        except (KeyError, TypeError, ValueError) as error:
            reason = f"bad instruction: {type(error).__name__} {error}"
            failure = {**MASKED, "failure_kind": "verifier_error", "failure_reason": reason}
        share = sum(followed) / len(followed) if followed else 0.0
        return InstructionChecksResponse(
            **body.model_dump(),
            **failure,
            followed=followed,
            reward=share if self.config.grading == "fraction" else float(share == 1.0),
        )


def offline(**settings: object) -> InstructionChecksServer:
    """The server without a network, for tests."""
    config = InstructionChecksConfig(name="instruction_checks", host="127.0.0.1", port=0, entrypoint="app.py", **settings)
    return InstructionChecksServer(config=config, server_client=ServerClient.model_construct())


VERIFIER_FIXTURE = VerifierFixture(
    offline, InstructionChecksRequest, Path(__file__).parent / "tests" / "verifier_cases.jsonl"
)


if __name__ == "__main__":
    InstructionChecksServer.run_webserver()
