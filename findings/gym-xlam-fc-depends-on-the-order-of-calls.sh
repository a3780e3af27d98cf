#!/bin/bash
# nemo-gym 0.7.0: `xlam_fc` scores the same two right calls 1 in one order and 0 in the other, and takes arguments that are no JSON for none.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
# Any Python 3.13 shows it, although the package asks for 3.13.14.
python=$(for p in "$(command -v python3.13)" "$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python "${GYM_PYTHON:-}"; do [ -x "$p" ] && echo "$p"; done | tail -n 1 || true)
"${UV:-uv}" venv -q --python "${python:-python3.13}" venv
"${UV:-uv}" pip install -q --python venv/bin/python --python-version 3.13.14 nemo-gym==0.7.0
echo "nemo-gym $(venv/bin/python -c 'from importlib.metadata import version; print(version("nemo-gym"))')"

cat > score.py <<'P'
import asyncio
from unittest.mock import MagicMock

from nemo_gym import ServerClient
from resources_servers.xlam_fc.app import XlamFcResourcesServer, XlamFcResourcesServerConfig, XlamFcVerifyRequest

config = XlamFcResourcesServerConfig(host="127.0.0.1", port=1, entrypoint="app.py", name="xlam_fc", domain="agent")
server = XlamFcResourcesServer(config=config, server_client=MagicMock(spec=ServerClient))


def reward(calls: list[str], expected: list[dict]) -> float:
    output = [{"type": "function_call", "call_id": str(number), "name": "weather", "arguments": arguments} for number, arguments in enumerate(calls)]
    response = {"id": "r", "created_at": 1, "model": "m", "object": "response", "output": output, "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    answers = [{"name": "weather", "arguments": arguments} for arguments in expected]
    body = XlamFcVerifyRequest.model_validate({"responses_create_params": {"input": "The weather?"}, "response": response, "expected_answers": answers})
    return asyncio.run(server.verify(body)).reward


here, oslo = '{}', '{"city": "Oslo"}'  # the weather here, and in Oslo
for calls, expected in (([here, oslo], [{}, {"city": "Oslo"}]), ([oslo, here], [{}, {"city": "Oslo"}]), ([oslo, here], [{"city": "Oslo"}, {}]), (['{"city": "Os'], [{}])):
    print(f"calls {calls}, expected {expected}: {reward(calls, expected)}")
P
venv/bin/python score.py 2>problems.txt | tee seen.txt || { cat problems.txt; exit 1; }
echo "expected: 1.0 for both calls in any order, and 0.0 for arguments that are cut off"
diff seen.txt - <<'S'
calls ['{}', '{"city": "Oslo"}'], expected [{}, {'city': 'Oslo'}]: 1.0
calls ['{"city": "Oslo"}', '{}'], expected [{}, {'city': 'Oslo'}]: 0.0
calls ['{"city": "Oslo"}', '{}'], expected [{'city': 'Oslo'}, {}]: 1.0
calls ['{"city": "Os'], expected [{}]: 1.0
S
echo "seen: further arguments are allowed, so the first expected call takes the call that the second one needs"
