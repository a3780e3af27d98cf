"""Score tool calls, where one is wanted: the right tool, the right arguments, and no second call."""

import json
from pathlib import Path
from typing import ClassVar

from nemo_gym import (
    BaseMultiRewardVerifyResponse,
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    ReverifyMode,
    ServerClient,
    SimpleResourcesServer,
)
from nemo_gym.verifier_fixture import VerifierFixture
from pydantic import BaseModel


class ToolUseConfig(BaseResourcesServerConfig):
    REVERIFY_MODE: ClassVar[ReverifyMode] = ReverifyMode.STATELESS
    weights: dict[str, float] = {"tool": 0.3, "arguments": 0.5, "only_call": 0.2}


class Call(BaseModel):
    name: str
    arguments: dict


class ToolUseRequest(BaseVerifyRequest):
    expected_answers: list[Call]


class ToolUseResponse(BaseMultiRewardVerifyResponse):
    expected_answers: list[Call]
    calls: int
    tool: float
    arguments: float
    only_call: float


def parsed(arguments: str) -> dict:
    """The arguments of a call; what is no JSON object counts as none."""
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def equal(left: object, right: object) -> bool:
    """3 and 3.0 are the same, "Rome" and "rome " as well; "3" and 3 are not."""
    if isinstance(left, str) and isinstance(right, str):
        return left.strip().casefold() == right.strip().casefold()
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def score(call: object, expected: Call) -> tuple[float, float]:
    """(right tool, share of right arguments) of a call; one too many counts as wrong."""
    if call.name != expected.name:
        return 0.0, 0.0
    given = parsed(call.arguments)
    names = given.keys() | expected.arguments.keys()
    right = sum(
        name in given
        and name in expected.arguments
        and equal(given[name], expected.arguments[name])
        for name in names
    )
    return 1.0, right / len(names) if names else 1.0


class ToolUseServer(SimpleResourcesServer):
    ray_enabled = False
    config: ToolUseConfig

    async def verify(self, body: ToolUseRequest) -> ToolUseResponse:
        calls = [
            item for item in body.response.output if item.type == "function_call"
        ]
        best = [
            max(
                (score(call, right) for right in body.expected_answers),
                default=(0.0, 0.0),
            )
            for call in calls
        ]
        # The mean over all calls: calling every tool must not pay.
        tool, arguments = (
            (sum(column) / len(best) for column in zip(*best))
            if best
            else (0.0, 0.0)
        )
        parts = {
            "tool": tool,
            "arguments": arguments,
            "only_call": float(len(calls) == 1),
        }
        weighted = sum(
            self.config.weights[name] * value for name, value in parts.items()
        ) / sum(self.config.weights.values())
        return ToolUseResponse(
            **body.model_dump(),
            **parts,
            calls=len(calls),
            reward=weighted if tool else 0.0,
            reward_components=parts,
        )


def offline(**settings: object) -> ToolUseServer:
    """The server without a network, for tests."""
    config = ToolUseConfig(
        name="tool_use", host="127.0.0.1", port=0, entrypoint="app.py", **settings
    )
    return ToolUseServer(
        config=config, server_client=ServerClient.model_construct()
    )


VERIFIER_FIXTURE = VerifierFixture(
    offline,
    ToolUseRequest,
    Path(__file__).parent / "tests" / "verifier_cases.jsonl",
)


if __name__ == "__main__":
    ToolUseServer.run_webserver()
