#!/bin/bash
# nemo-gym 0.7.0: `hotpotqa_qa` takes any further field in a row, but fails on each answer to a row with a field named `reward`, as scored data has.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
# Any Python 3.13 shows it, although the package asks for 3.13.14.
python=$(for p in "$(command -v python3.13)" "$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python "${GYM_PYTHON:-}"; do [ -x "$p" ] && echo "$p"; done | tail -n 1 || true)
"${UV:-uv}" venv -q --python "${python:-python3.13}" venv
"${UV:-uv}" pip install -q --python venv/bin/python --python-version 3.13.14 nemo-gym==0.7.0
echo "nemo-gym $(venv/bin/python -c 'from importlib.metadata import version; print(version("nemo-gym"))')"

cat > run.py <<'P'
import asyncio
from unittest.mock import MagicMock

from nemo_gym import ServerClient
from resources_servers.hotpotqa_qa import app

server = app.HotpotQAQAResourcesServer(
    config=app.HotpotQAQAResourcesServerConfig(host="127.0.0.1", port=1, entrypoint="app.py", name="hotpotqa_qa", domain="knowledge"), server_client=MagicMock(spec=ServerClient))
message = {"id": "1", "type": "message", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": '{"answer": "Oslo"}', "annotations": []}]}
response = {"id": "r", "created_at": 1, "model": "m", "object": "response", "output": [message], "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
for more in ({}, {"difficulty": "easy"}, {"reward": 0.5}):
    row = {"responses_create_params": {"input": "Capital of Norway? As JSON."}, "response": response, "expected_answer": "Oslo"} | more
    try:
        result = asyncio.run(server.verify(app.HotpotQAQAVerifyRequest.model_validate(row)))
        print(more or "the row alone", "->", result.reward)
    except Exception as error:
        print(more, "->", type(error).__name__, str(error).partition(") ")[2])
P
venv/bin/python run.py 2>problems.txt | tee seen.txt || { cat problems.txt; exit 1; }
echo "expected: the field is replaced by the new reward, or the row is refused before the model answers"
diff seen.txt - <<'S'
the row alone -> 1.0
{'difficulty': 'easy'} -> 1.0
{'reward': 0.5} -> TypeError got multiple values for keyword argument 'reward'
S
echo "seen: an error of the verifier, after the rollout"
