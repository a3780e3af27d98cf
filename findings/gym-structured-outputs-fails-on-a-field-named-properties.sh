#!/bin/bash
# nemo-gym 0.7.0: `structured_outputs` scores each answer 0 where the schema has a field named `properties`, as GeoJSON does: it damages the schema first.
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


for name in ("details", "properties"):
    place = {"type": "object", "properties": {"type": {"type": "string"}, name: {"type": "object", "properties": {"city": {"type": "string"}}}}}
    print(f"a field named {name}: {score(json.dumps({'type': 'Feature', name: {'city': 'Oslo'}}), place, 'json')}")
P
venv/bin/python score.py 2>problems.txt | tee seen.txt || { cat problems.txt; exit 1; }
echo "expected: 1.0 for both"
diff seen.txt - <<'S'
a field named details: 1.0
a field named properties: 0.0 SchemaError: ['type', 'properties'] is not of type 'object', 'boolean'
S
echo "seen: the fields of an object are taken for a schema if one of them has this name, and get a required and an additionalProperties of their own"
