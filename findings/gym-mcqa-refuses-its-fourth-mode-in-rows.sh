#!/bin/bash
# nemo-gym 0.7.0, mcqa: the grading mode that reads Markdown is one for the server's block; a row that asks for it is refused.
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
from pydantic import ValidationError
from resources_servers.mcqa.app import MCQAResourcesServer, MCQAResourcesServerConfig, MCQAVerifyRequest


def reward(text: str, row: dict, block: dict) -> str:
    config = MCQAResourcesServerConfig(host="127.0.0.1", port=1, entrypoint="app.py", name="mcqa", domain="knowledge", **block)
    server = MCQAResourcesServer(config=config, server_client=MagicMock(spec=ServerClient))
    message = {"id": "1", "type": "message", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": text, "annotations": []}]}
    response = {"id": "r", "created_at": 1, "model": "m", "object": "response", "output": [message], "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    try:
        body = MCQAVerifyRequest.model_validate({"responses_create_params": {"input": "Which color has the sky?"}, "response": response, "expected_answer": "B",
                                                 "options": [{"A": "red"}, {"B": "blue"}]} | row)
    except ValidationError as error:
        return error.errors()[0]["msg"]
    return str(asyncio.run(server.verify(body)).reward)


MODE = {"grading_mode": "lenient_answer_colon_md"}
print("in the block:", reward("**Answer:** B.", {}, MODE))
print("in the row:", reward("**Answer:** B.", MODE, {}))
P
venv/bin/python score.py 2>problems.txt | tee seen.txt || { cat problems.txt; exit 1; }
echo "expected: the same from both"
diff seen.txt - <<'S'
in the block: 1.0
in the row: Input should be 'strict_single_letter_boxed', 'lenient_boxed' or 'lenient_answer_colon'
S
echo "seen: to the server such a row is invalid"
