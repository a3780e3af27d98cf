#!/bin/bash
# nemo-gym 0.7.0: `string_match` deletes each letter m as a unit: Roe scores 1 where Rome was expected, tea where team was, and 5 kilometers are 5 millimeters.
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
from resources_servers.string_match.app import StringMatchResourcesServer, StringMatchResourcesServerConfig, StringMatchVerifyRequest

config = StringMatchResourcesServerConfig(host="127.0.0.1", port=1, entrypoint="app.py", name="string_match", domain="other")
server = StringMatchResourcesServer(config=config, server_client=MagicMock(spec=ServerClient))


def reward(text: str, expected: str) -> float:
    message = {"id": "1", "type": "message", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": text, "annotations": []}]}
    response = {"id": "r", "created_at": 1, "model": "m", "object": "response", "output": [message], "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    body = StringMatchVerifyRequest.model_validate({"responses_create_params": {"input": "Which?"}, "response": response, "expected_answer": expected})
    return asyncio.run(server.verify(body)).reward


for expected, given in (("Rome", "Roe"), ("team", "tea"), ("Adam", "Ada"), ("Rome", "Rom"), ("5 km", "5 mm"), ("12", "1,2"), ("314", "3,14")):
    print(f"expected answer {expected!r}, answer {given!r}: {reward(f'Final answer: {given}', expected)}")
P
venv/bin/python score.py 2>problems.txt | tee seen.txt || { cat problems.txt; exit 1; }
echo "expected: 0.0 for each"
diff seen.txt - <<'S'
expected answer 'Rome', answer 'Roe': 1.0
expected answer 'team', answer 'tea': 1.0
expected answer 'Adam', answer 'Ada': 1.0
expected answer 'Rome', answer 'Rom': 0.0
expected answer '5 km', answer '5 mm': 0.98
expected answer '12', answer '1,2': 1.0
expected answer '314', answer '3,14': 1.0
S
echo "seen: km, mm, and every other m are removed from both answers, and so is a comma between digits; case_sensitive: true compares the texts alone"
