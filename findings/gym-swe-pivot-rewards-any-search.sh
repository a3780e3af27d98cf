#!/bin/bash
# nemo-gym 0.7.0: `swe_pivot`, which is to score the same next step as in the demonstration, gives the full reward for any search, whatever it looks for.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
# Any Python 3.13 shows it, although the package asks for 3.13.14.
python=$(for p in "$(command -v python3.13)" "$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python "${GYM_PYTHON:-}"; do [ -x "$p" ] && echo "$p"; done | tail -n 1 || true)
"${UV:-uv}" venv -q --python "${python:-python3.13}" venv
"${UV:-uv}" pip install -q --python venv/bin/python --python-version 3.13.14 nemo-gym==0.7.0
echo "nemo-gym $(venv/bin/python -c 'from importlib.metadata import version; print(version("nemo-gym"))')"

cat > run.py <<'P'
import asyncio, json
from unittest.mock import MagicMock

from nemo_gym import ServerClient
from resources_servers.swe_pivot.app import SwePivotResourcesServer, SwePivotResourcesServerConfig, SwePivotVerifyRequest

server = SwePivotResourcesServer(
    config=SwePivotResourcesServerConfig(host="127.0.0.1", port=1, entrypoint="app.py", name="swe_pivot", domain="agent"), server_client=MagicMock(spec=ServerClient))


def score(expected: tuple[str, dict], given: tuple[str, dict]) -> float:
    call = lambda name, arguments: {"type": "function_call", "name": name, "arguments": json.dumps(arguments)}  # noqa: E731
    response = {"id": "r", "created_at": 1, "model": "m", "object": "response", "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
                "output": [call(*given) | {"call_id": "c", "id": "f", "status": "completed"}]}
    row = {"responses_create_params": {"input": "The total is wrong. Find out why."}, "response": response, "expected_action": call(*expected)}
    return asyncio.run(server.verify(SwePivotVerifyRequest.model_validate(row))).reward


print("the same file:", score(("read_file", {"path": "src/cart.py"}), ("read_file", {"path": "src/cart.py"})))
print("another file:", score(("read_file", {"path": "src/cart.py"}), ("read_file", {"path": "docs/license.txt"})))
print("the same search:", score(("grep", {"pattern": "def total"}), ("grep", {"pattern": "def total"})))
print("another search:", score(("grep", {"pattern": "def total"}), ("grep", {"pattern": "copyright"})))
print("another command:", score(("execute_bash", {"command": "cat src/cart.py"}), ("execute_bash", {"command": "cat docs/license.txt"})))
P
venv/bin/python run.py 2>problems.txt | tee seen.txt || { cat problems.txt; exit 1; }
echo "expected: less for another search than for the same one, as for another file or command"
diff seen.txt - <<'S'
the same file: 1.0
another file: 0.0
the same search: 1.0
another search: 1.0
another command: 0.0
S
echo "seen: a search earns the full reward if its tool is one for searching: the pattern is not compared"
