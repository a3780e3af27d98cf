"""A verifier with partial credit for a new task."""

import json
import subprocess
from pathlib import Path

from kit import GYM, jsonl, message, need, read, rollout, thought

GUIDES = ("configure-verification-strategies",)
NEEDS_GYM = True
HERE = Path(__file__).resolve().parent
BIKE = ["Frame", "saddle", "pedal", "chain"]
# (reply, parts of the row, reward; None: masked)
CASES = [
    ("frame, saddle, pedal, chain", BIKE, 1.0), ("Chain\nPEDAL\nSaddle\nFrame.", BIKE, 1.0), ("frame, saddle", BIKE, 0.5), ("chain, chain, chain, chain.", BIKE, 0.25),
    ("frame, saddle, pedal, chain, engine", BIKE, 0.75), ("frame, engine, wing", BIKE, 0.0), ("engine, wing, keel, rotor, sail, mast", BIKE, 0.0),
    ("frame,\n saddle ,pedal", BIKE, 0.75), ("", BIKE, 0.0), ("   ", BIKE, 0.0), ("<think>frame, saddle, pedal, chain</think>\nchain", BIKE, 0.25),
    ("<think>frame, saddle, pedal, chain", BIKE, 0.0), ("frames", BIKE, 0.0), ("frame, engine", BIKE, 0.0), ("steering wheel, frame", ["steering wheel", "frame", "door"], 2 / 3),
    ("frame", [], None), ("frame", None, None), ("pan", ["pan"], 1.0), ("pan, lid", ["pan"], 0.75),
]


def files() -> dict[str, str]:
    things = {"pencil": ["lead", "wood", "eraser"], "kettle": ["lid", "spout", "handle", "base"], "book": ["cover", "spine", "pages"]}
    return {"tasks.jsonl": jsonl({"responses_create_params": {"input": f"List the parts of a {thing}, separated by commas."}, "parts": parts} for thing, parts in things.items())}


def case(text: str, parts: list | None) -> dict:
    row = rollout(0, 0, "List the parts.", [thought("bolts, nuts"), message(text)], None, "parts_list")
    return {"responses_create_params": row["responses_create_params"], "response": row["response"] | {"tools": []}, **({} if parts is None else {"parts": parts})}


def check(folder: Path) -> None:
    app = folder / "resources_servers" / "parts_list" / "app.py"
    read(folder, "resources_servers/parts_list/app.py")
    done = subprocess.run(
        [GYM / "python", HERE / "ask_verifier.py", app.resolve()], input=json.dumps([case(text, parts) for text, parts, _ in CASES]), cwd=app.parent, capture_output=True, text=True, timeout=300
    )
    need(done.returncode == 0, f"the server does not start: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    for (text, parts, reward), answer in zip(CASES, json.loads(done.stdout), strict=True):
        what = f"{text!r} for {parts}"
        need(answer["status"] == 200, f"{what}: status {answer['status']}")
        body = answer["body"]
        if reward is None:
            need(body.get("mask_sample") is True, f"{what} is scored {body.get('reward')}, not masked")
        else:
            need(not body.get("mask_sample") and abs(body["reward"] - reward) < 1e-6, f"{what} gets {body.get('reward')}, not {reward:.3g}")


APP = '''
import re

from nemo_gym import BaseResourcesServerConfig, BaseVerifyRequest, BaseVerifyResponse, SimpleResourcesServer


class PartsConfig(BaseResourcesServerConfig):
    pass


class PartsRequest(BaseVerifyRequest):
    parts: object = None


class PartsResponse(BaseVerifyResponse):
    parts: object = None


def items(text: str) -> set[str]:
    text = re.sub(r"<think>.*?(</think>|$)", "", text, flags=re.S)
    return {item.strip(" .").casefold() for item in re.split(r"[,\\n]", text)} - {""}


class PartsServer(SimpleResourcesServer):
    config: PartsConfig

    async def verify(self, body: PartsRequest) -> PartsResponse:
        right = {str(part).casefold() for part in body.parts} if isinstance(body.parts, list) else set()
        named = items(body.response.output_text)
        if not right:
            mask = {"mask_sample": True, "failure_kind": "verifier_error", "failure_reason": "no parts"}
            return PartsResponse(**body.model_dump(), reward=0.0, **mask)
        reward = max(0.0, len(named & right) / len(right) - 0.25 * len(named - right))
        return PartsResponse(**body.model_dump(), reward=reward)


if __name__ == "__main__":
    PartsServer.run_webserver()
'''


def right(folder: Path, app: str = APP) -> None:
    path = folder / "resources_servers" / "parts_list" / "app.py"
    path.parent.mkdir(parents=True)
    path.write_text(app)


def all_or_nothing(folder: Path) -> None:
    right(folder, APP.replace("max(0.0, len(named & right) / len(right) - 0.25 * len(named - right))", "float(named == right)"))


def lists_of_everything_pay(folder: Path) -> None:
    right(folder, APP.replace(" - 0.25 * len(named - right)", ""))


def a_broken_row_gets_zero(folder: Path) -> None:
    right(folder, APP.replace('"mask_sample": True, ', ""))


WRONG = (all_or_nothing, lists_of_everything_pay, a_broken_row_gets_zero)
