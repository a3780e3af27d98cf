"""Answer with a cheap model, and ask the next one only if the answer is cut off, empty, or admits that it does not know."""

import re

from fastapi import Body, HTTPException
from nemo_gym import (
    BaseResponsesAPIModelConfig,
    ModelServerRef,
    NeMoGymResponse,
    NeMoGymResponseCreateParamsNonStreaming,
    SimpleResponsesAPIModel,
    get_response_json,
    raise_for_status,
)
from pydantic import Field


class CascadeModelConfig(BaseResponsesAPIModelConfig):
    # Cheapest first. The answer of the last one counts, whatever it is.
    model_servers: list[ModelServerRef] = Field(min_length=2)
    unsure_pattern: str = r"(?i)\b(i (do not|don't) know|i am not sure|i'm not sure|as an ai)\b"


def why_escalate(response: NeMoGymResponse, unsure: re.Pattern[str]) -> str | None:
    """Why the next model is asked; None if this answer will do.

    A tool call without text is an answer.
    """
    if response.status == "incomplete":
        return "cut off"
    if any(item.type == "function_call" for item in response.output):
        return None
    text = response.output_text.strip()
    return "empty" if not text else "unsure" if unsure.search(text) else None


class CascadeModel(SimpleResponsesAPIModel):
    ray_enabled = False
    config: CascadeModelConfig

    async def ask(self, name: str, body: NeMoGymResponseCreateParamsNonStreaming) -> NeMoGymResponse:
        answer = await self.server_client.post(name, "/v1/responses", json=body)
        await raise_for_status(answer)
        return NeMoGymResponse.model_validate(await get_response_json(answer))

    async def responses(self, body: NeMoGymResponseCreateParamsNonStreaming = Body()) -> NeMoGymResponse:
        unsure, tried = re.compile(self.config.unsure_pattern), []
        for server in self.config.model_servers:
            response = await self.ask(server.name, body)
            reason = why_escalate(response, unsure)
            tried.append(f"{server.name}: {reason or 'answered'}")
            if reason is None:
                break
        # Kept in the rollout: which model answered, and what the others did wrong.
        return response.model_copy(update={"metadata": (response.metadata or {}) | {"cascade": "; ".join(tried)}})

    async def chat_completions(self, body: dict = Body()) -> None:
        raise HTTPException(501, "cascade_model serves /v1/responses only: its agents must call that")


if __name__ == "__main__":
    CascadeModel.run_webserver()
