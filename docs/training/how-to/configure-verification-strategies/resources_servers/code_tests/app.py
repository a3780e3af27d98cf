"""Score generated Python code: the share of test calls that return what they should, in a limited process."""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any, ClassVar, Literal

from nemo_gym import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    ReverifyMode,
    ServerClient,
    SimpleResourcesServer,
)
from nemo_gym.verifier_fixture import VerifierFixture
from pydantic import BaseModel, PrivateAttr

# The process gets the calls and never the expected values: code that prints "all passed" has nothing to print.
RUN = r"""
import json, os, resource, sys
job = json.load(sys.stdin)
for limit, value in ((resource.RLIMIT_AS, job["memory"]), (resource.RLIMIT_CPU, job["seconds"]), (resource.RLIMIT_FSIZE, 65536)):
    resource.setrlimit(limit, (value, value))
real = os.dup(1)
sys.stdout = sys.stderr = open(os.devnull, "w")
names = {"__name__": "answer"}
try: exec(job["code"], names)
except BaseException as error: results = [[False, type(error).__name__]] * len(job["calls"])
else:
    results = []
    for call in job["calls"]:
        try: results.append([True, json.loads(json.dumps(eval(call, names)))])
        except BaseException as error: results.append([False, type(error).__name__])
os.write(real, json.dumps(results).encode())
os._exit(0)
"""


MASKED = {"mask_sample": True, "instance_config": {"mask_sample": True}}


class CodeTestsConfig(BaseResourcesServerConfig):
    REVERIFY_MODE: ClassVar[ReverifyMode] = ReverifyMode.STATELESS
    grading: Literal["fraction", "all"] = "fraction"
    timeout_seconds: float = 5.0
    memory_bytes: int = 512 * 2**20
    max_processes: int = 4


class Test(BaseModel):
    call: str
    returns: Any


class CodeTestsRequest(BaseVerifyRequest):
    tests: list[Test]


class CodeTestsResponse(BaseVerifyResponse):
    instance_config: dict | None = None  # trainers look for mask_sample here or at the top level: set both
    passed: int
    total: int
    first_failure: str | None


def extract(text: str) -> str:
    """The last fenced block, else the text from the first line that starts like code."""
    fenced = re.findall(r"```[ \t]*([\w+-]*)[^\n`]*\n(.*?)(?:```|\Z)", text, re.S)
    named = ("", "py", "python", "python3")
    if blocks := [code for label, code in fenced if label.lower() in named]:
        return blocks[-1]
    start = re.search(r"^(?:def|import|from|class|@|[a-z_]\w* = )", text, re.M)
    return text[start.start() :] if start else text


class CodeTestsServer(SimpleResourcesServer):
    ray_enabled = False
    config: CodeTestsConfig
    _free: asyncio.Semaphore = PrivateAttr()

    def model_post_init(self, context: object) -> None:
        super().model_post_init(context)
        self._free = asyncio.Semaphore(self.config.max_processes)

    async def run(self, code: str, calls: list[str]) -> list:
        """[ok, value or name of the error] for each call. Raises OSError if no process can be started."""
        config, pipe = self.config, asyncio.subprocess.PIPE
        job = {"code": code, "calls": calls, "memory": config.memory_bytes, "seconds": max(1, round(config.timeout_seconds))}
        async with self._free:
            # An empty environment: the code cannot read keys from it. A container has to keep it off files and network.
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-ISc", RUN, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL, env={}, cwd="/"
            )
            try:
                output, _ = await asyncio.wait_for(process.communicate(json.dumps(job).encode()), config.timeout_seconds)
            except TimeoutError:
                return [[False, "Timeout"]] * len(calls)
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        try:
            results = [[bool(ok), value] for ok, value in json.loads(output)]
        except (ValueError, TypeError):
            results = []
        return results if len(results) == len(calls) else [[False, "NoResult"]] * len(calls)

    async def verify(self, body: CodeTestsRequest) -> CodeTestsResponse:
        failure, results = {}, []
        try:
            results = await self.run(extract(body.response.output_text), [test.call for test in body.tests])
        except OSError as error:
            failure = {**MASKED, "failure_kind": "verifier_error", "failure_reason": str(error)}
        if not body.tests:
            failure = {**MASKED, "failure_kind": "verifier_error", "failure_reason": "the task row has no tests"}
        passed, first_failure = 0, None
        for test, (ok, value) in zip(body.tests, results):
            if ok and value == test.returns and type(value) is type(test.returns):
                passed += 1
            elif first_failure is None:
                first_failure = f"{test.call} {'returned ' + json.dumps(value)[:200] if ok else 'raised ' + str(value)[:80]}"
        share = passed / len(body.tests) if body.tests else 0.0
        return CodeTestsResponse(
            **body.model_dump(),
            **failure,
            reward=share if self.config.grading == "fraction" else float(share == 1.0),
            passed=passed,
            total=len(body.tests),
            first_failure=first_failure,
        )


def offline(**settings: object) -> CodeTestsServer:
    """The server without a network, for tests."""
    settings = {"timeout_seconds": 2.0} | settings
    config = CodeTestsConfig(name="code_tests", host="127.0.0.1", port=0, entrypoint="app.py", **settings)
    return CodeTestsServer(config=config, server_client=ServerClient.model_construct())


VERIFIER_FIXTURE = VerifierFixture(offline, CodeTestsRequest, Path(__file__).parent / "tests" / "verifier_cases.jsonl")


if __name__ == "__main__":
    CodeTestsServer.run_webserver()
