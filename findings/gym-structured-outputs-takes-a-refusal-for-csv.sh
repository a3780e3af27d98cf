#!/bin/bash
# nemo-gym 0.7.0: `structured_outputs` scores a refusal of one line 1 against any schema of a CSV table: the line is a header without rows.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
# Any Python 3.13 shows it, although the package asks for 3.13.14.
python=$(for p in "$(command -v python3.13)" "$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python "${GYM_PYTHON:-}"; do [ -x "$p" ] && echo "$p"; done | tail -n 1 || true)
"${UV:-uv}" venv -q --python "${python:-python3.13}" venv
"${UV:-uv}" pip install -q --python venv/bin/python --python-version 3.13.14 nemo-gym==0.7.0
"${UV:-uv}" pip install -q --python venv/bin/python openapi-schema-validator==0.6.3 xmltodict==1.0.2  # this server's own requirements
echo "nemo-gym $(venv/bin/python -c 'from importlib.metadata import version; print(version("nemo-gym"))')"

cat > score.py <<'P'
import asyncio, json
from unittest.mock import MagicMock

from nemo_gym import ServerClient
from resources_servers.structured_outputs.app import StructuredOutputsResourcesServer, StructuredOutputsResourcesServerConfig, StructuredOutputsVerifyRequest

config = StructuredOutputsResourcesServerConfig(host="127.0.0.1", port=1, entrypoint="app.py", name="structured_outputs", domain="instruction_following")
server = StructuredOutputsResourcesServer(config=config, server_client=MagicMock(spec=ServerClient))


def score(text: str, schema: dict, kind: str) -> str:
    message = {"id": "1", "type": "message", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": text, "annotations": []}]}
    response = {"id": "r", "created_at": 1, "model": "m", "object": "response", "output": [message], "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    row = {"responses_create_params": {"input": "Write it."}, "response": response, "schema_str": json.dumps(schema), "schema_type": kind}
    result = asyncio.run(server.verify(StructuredOutputsVerifyRequest.model_validate(row)))
    return f"{result.reward} {(result.error_message or ' ').splitlines()[0]}".strip()


table = {"type": "array", "items": {"type": "object", "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}}}}
for text in ("city,degrees\nOslo,-4", "city,degrees\nOslo,cold", "Sorry, I cannot do that.", "Sorry.\nI cannot do that."):
    print(f"{text!r}: {score(text, table, 'csv')}")
P
venv/bin/python score.py 2>problems.txt | tee seen.txt || { cat problems.txt; exit 1; }
echo "expected: 0.0 for a text that has none of the columns"
diff seen.txt - <<'S'
'city,degrees\nOslo,-4': 1.0
'city,degrees\nOslo,cold': 0.0 ValidationError: 'cold' is not of type 'integer'
'Sorry, I cannot do that.': 1.0
'Sorry.\nI cannot do that.': 0.0 ValidationError: 'city' is a required property
S
echo "seen: the columns are compared row by row, and an empty table is valid"
