"""State match: replay the tool calls on a fresh copy of the state.

Then compare where they lead with the expected end state.
"""

import json
from typing import ClassVar, Literal

from fastapi import FastAPI, Request
from nemo_gym import (
    BaseResourcesServerConfig,
    BaseSeedSessionRequest,
    BaseSeedSessionResponse,
    BaseVerifyRequest,
    BaseVerifyResponse,
    ReverifyMode,
    SESSION_ID_KEY,
    SimpleResourcesServer,
)
from pydantic import BaseModel, Field, PrivateAttr, ValidationError


class SetDevice(BaseModel):
    device: str
    state: Literal["on", "off"]

    def apply(self, home: dict[str, str]) -> dict:
        if self.device not in home:
            return {"error": f"no device {self.device}"}
        home[self.device] = self.state
        return {"device": self.device, "state": self.state}


class StateMatchConfig(BaseResourcesServerConfig):
    # A replay needs no session.
    REVERIFY_MODE: ClassVar[ReverifyMode] = ReverifyMode.STATELESS


class StateMatchSeed(BaseSeedSessionRequest):
    initial_state: dict[str, str] = {}


class StateMatchRequest(BaseVerifyRequest):
    initial_state: dict[str, str]
    expected_state: dict[str, str] = Field(min_length=1)


class StateMatchResponse(BaseVerifyResponse):
    expected_state: dict[str, str]
    end_state: dict[str, str]
    calls_refused: int


class StateMatchServer(SimpleResourcesServer):
    ray_enabled = False
    config: StateMatchConfig
    _homes: dict[str, dict[str, str]] = PrivateAttr(default_factory=dict)

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/set_device")(self.set_device)
        return app

    async def seed_session(
        self, request: Request, body: StateMatchSeed
    ) -> BaseSeedSessionResponse:
        self._homes[request.session[SESSION_ID_KEY]] = dict(body.initial_state)
        return BaseSeedSessionResponse()

    async def set_device(self, request: Request, body: SetDevice) -> dict:
        """The tool, as the model sees it during the rollout."""
        return body.apply(self._homes.get(request.session[SESSION_ID_KEY], {}))

    async def verify(
        self, request: Request, body: StateMatchRequest
    ) -> StateMatchResponse:
        # Else the server keeps every rollout in memory.
        self._homes.pop(request.session.get(SESSION_ID_KEY), None)
        home, refused = dict(body.initial_state), 0
        for call in body.response.output:
            if call.type != "function_call":
                continue
            try:
                change = SetDevice.model_validate(json.loads(call.arguments))
                known = call.name == "set_device"
                refused += not known or "error" in change.apply(home)
            except (ValueError, RecursionError, ValidationError):
                refused += 1
        # Everything else must be as it was.
        reward = float(home == body.expected_state)
        return StateMatchResponse(
            **body.model_dump(),
            reward=reward,
            end_state=home,
            calls_refused=refused,
        )


if __name__ == "__main__":
    StateMatchServer.run_webserver()
