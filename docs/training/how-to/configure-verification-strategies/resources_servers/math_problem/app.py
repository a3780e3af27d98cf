"""Score the answer to a math problem: exact values, computed in a process that can be stopped."""

import asyncio
import re
import sys
from pathlib import Path
from typing import ClassVar

from nemo_gym import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    ReverifyMode,
    ServerClient,
    SimpleResourcesServer,
)
from nemo_gym.verifier_fixture import VerifierFixture
from pydantic import PrivateAttr

# Runs on its own: "9**9**9" is a short answer, and would keep the server from answering anyone.
EQUAL = r"""
import ast, operator, resource, sys
from fractions import Fraction
resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29))
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.Pow: operator.pow}
def value(node):
    if isinstance(node, ast.Constant) and type(node.value) in (int, float): return Fraction(ast.get_source_segment(SOURCE, node))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        return -value(node.operand) if isinstance(node.op, ast.USub) else value(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS: return OPERATORS[type(node.op)](value(node.left), value(node.right))
    raise ValueError
values = []
for SOURCE in sys.stdin.read().split("\0"):
    try: values.append(value(ast.parse(SOURCE, mode="eval").body))
    except Exception: values.append(None)
print("no reference" if values[0] is None else "unreadable" if values[1] is None else "equal" if values[0] == values[1] else "different")
"""


MASKED = {"mask_sample": True, "instance_config": {"mask_sample": True}}


class MathProblemConfig(BaseResourcesServerConfig):
    REVERIFY_MODE: ClassVar[ReverifyMode] = ReverifyMode.STATELESS
    timeout_seconds: float = 5.0
    max_processes: int = 8


class MathProblemRequest(BaseVerifyRequest):
    expected_answer: str


class MathProblemResponse(BaseVerifyResponse):
    instance_config: dict | None = (
        None  # trainers look for mask_sample here or at the top level: set both
    )
    expected_answer: str
    extracted_answer: str
    verdict: str


def extract(text: str) -> str:
    r"""The last \boxed{...}, else what follows the last "answer is" or "=", else the last number."""
    text = text[-20_000:]
    start = text.rfind(r"\boxed{")
    if start >= 0:
        depth = 1
        for end in range(start + 7, len(text)):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if not depth:
                return text[start + 7 : end]
    number = r"-?\d+(?:,\d+)*(?:\.\d+)?(?:\s*/\s*\d+)?"
    stated = re.findall(
        rf"(?:answer(?: is|:)|=)\s*\$?({number})", text, re.I
    ) or re.findall(number, text)
    return stated[-1] if stated else ""


def plain(text: str) -> str:
    r"""LaTeX and thousands separators to plain arithmetic: \frac{1}{2} to (1)/(2), 1,000 to 1000, 2^3 to 2**3.

    A command that it does not know stays, and makes the text unreadable: without it, \sqrt{2} would be 2.
    """
    text = re.sub(
        r"\\(?:left|right|displaystyle|quad)(?![a-zA-Z])|\\[ ,;:!]", "", text
    )
    text = re.sub(
        r"\\[dt]?frac(?:\{([^{}]*)\}|(\d))(?:\{([^{}]*)\}|(\d))",
        r"(\1\2)/(\3\4)",
        text,
    )
    text = (
        text.replace(r"\cdot", "*")
        .replace(r"\times", "*")
        .replace("^", "**")
        .replace("{,}", ",")
    )
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    return re.sub(r"\\?[$%]|[{}\s]", "", text).rstrip(".")[:1000]


class MathProblemServer(SimpleResourcesServer):
    ray_enabled = False
    config: MathProblemConfig
    _free: asyncio.Semaphore = PrivateAttr()

    def model_post_init(self, context: object) -> None:
        super().model_post_init(context)
        self._free = asyncio.Semaphore(self.config.max_processes)

    async def compare(self, expected: str, answer: str) -> str:
        """equal, different, unreadable, no reference or timeout.

        Raises OSError if no process can be started.
        """
        async with self._free:
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-ISc", EQUAL, stdin=pipe, stdout=pipe, stderr=pipe
            )
            try:
                said = process.communicate(
                    f"{expected}\0{answer}".encode(errors="replace")
                )
                output, _ = await asyncio.wait_for(
                    said, self.config.timeout_seconds
                )
            except TimeoutError:
                return "timeout"
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        return output.decode().strip() or "unreadable"

    async def verify(self, body: MathProblemRequest) -> MathProblemResponse:
        answer, failure = extract(body.response.output_text), {}
        try:
            verdict = await self.compare(plain(body.expected_answer), plain(answer))
        except OSError as error:
            verdict, failure = (
                "not checked",
                {
                    **MASKED,
                    "failure_kind": "verifier_error",
                    "failure_reason": str(error),
                },
            )
        if verdict == "no reference":
            reason = f"cannot read expected_answer {body.expected_answer!r}"
            failure = {
                **MASKED,
                "failure_kind": "verifier_error",
                "failure_reason": reason,
            }
        elif verdict == "timeout":
            # What cannot be computed is the model's fault; the name counts it.
            failure = {"failure_kind": "math_problem:timeout"}
        return MathProblemResponse(
            **body.model_dump(),
            **failure,
            extracted_answer=answer,
            verdict=verdict,
            reward=float(verdict == "equal"),
        )


def offline(**settings: object) -> MathProblemServer:
    """The server without a network, for tests."""
    settings = {"timeout_seconds": 2.0} | settings
    config = MathProblemConfig(
        name="math_problem",
        host="127.0.0.1",
        port=0,
        entrypoint="app.py",
        **settings,
    )
    return MathProblemServer(
        config=config, server_client=ServerClient.model_construct()
    )


VERIFIER_FIXTURE = VerifierFixture(
    offline,
    MathProblemRequest,
    Path(__file__).parent / "tests" / "verifier_cases.jsonl",
)


if __name__ == "__main__":
    MathProblemServer.run_webserver()
