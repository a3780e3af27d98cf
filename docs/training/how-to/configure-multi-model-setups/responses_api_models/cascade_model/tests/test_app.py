"""The cascade without a network: each model server is one fixed answer."""

import asyncio

import pytest
from nemo_gym import (
    NeMoGymResponse,
    NeMoGymResponseCreateParamsNonStreaming,
    ServerClient,
)

from responses_api_models.cascade_model.app import CascadeModel, CascadeModelConfig


def response(text: str | None = None, status: str = "completed", call: bool = False) -> NeMoGymResponse:
    output = []
    if text is not None:
        output.append({"type": "message", "id": "m", "role": "assistant", "status": "completed",
                       "content": [{"type": "output_text", "text": text, "annotations": []}]})
    if call:
        output.append({"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"})
    return NeMoGymResponse.model_validate({
        "id": "r", "object": "response", "created_at": 0, "model": "m", "output": output, "status": status,
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
    })


def ask(*answers: NeMoGymResponse) -> tuple[str, str]:
    """(text, what the cascade notes) if its model servers give these answers."""
    names = [f"model_{number}" for number in range(max(2, len(answers)))]
    given = dict(zip(names, answers))

    class Offline(CascadeModel):
        async def ask(self, name, body):
            return given[name]

    servers = [{"type": "responses_api_models", "name": name} for name in names]
    config = CascadeModelConfig(name="cascade", host="127.0.0.1", port=0, entrypoint="app.py", model_servers=servers)
    server = Offline(config=config, server_client=ServerClient.model_construct())
    got = asyncio.run(server.responses(NeMoGymResponseCreateParamsNonStreaming(input="q")))
    return got.output_text, got.metadata["cascade"]


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (response("Par", status="incomplete"), "cut off"),
        (response(" "), "empty"),
        (response(), "empty"),
        (response("I don't know."), "unsure"),
    ],
)
def test_a_bad_first_answer_goes_on(first: NeMoGymResponse, reason: str) -> None:
    assert ask(first, response("Paris")) == ("Paris", f"model_0: {reason}; model_1: answered")


@pytest.mark.parametrize("first", [response("Paris"), response(call=True), response("I know: 4")])
def test_a_good_first_answer_is_the_answer(first: NeMoGymResponse) -> None:
    assert ask(first) == (first.output_text, "model_0: answered")


def test_the_last_answer_counts_whatever_it_is() -> None:
    assert ask(response(""), response("I don't know.")) == ("I don't know.", "model_0: empty; model_1: unsure")


def test_one_model_is_no_cascade() -> None:
    with pytest.raises(ValueError, match="model_servers"):
        CascadeModelConfig(name="cascade", host="127.0.0.1", port=0, entrypoint="app.py",
                           model_servers=[{"type": "responses_api_models", "name": "only"}])
