#!/bin/bash
# nemo-gym 0.7.0: a row's message without `type` is a message if its content is a text, and else a listing of MCP tools: content parts of an assistant, null beside a tool call, a tool's result.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
# Any Python 3.13 shows it, although the package asks for 3.13.14.
python=$(for p in "$(command -v python3.13)" "$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python "${GYM_PYTHON:-}"; do [ -x "$p" ] && echo "$p"; done | tail -n 1 || true)
"${UV:-uv}" venv -q --python "${python:-python3.13}" venv
"${UV:-uv}" pip install -q --python venv/bin/python --python-version 3.13.14 nemo-gym==0.7.0
echo "nemo-gym $(venv/bin/python -c 'from importlib.metadata import version; print(version("nemo-gym"))')"

cat > run.py <<'P'
from nemo_gym.openai_utils import NeMoGymResponseCreateParamsNonStreaming

part = {"type": "output_text", "text": "Oslo.", "annotations": []}
call = {"id": "c1", "type": "function", "function": {"name": "get_capital", "arguments": "{}"}}
for name, message in {
    "a text": {"role": "assistant", "content": "Oslo."},
    "a list of parts": {"role": "assistant", "content": [part]},
    "null beside a call": {"role": "assistant", "content": None, "tool_calls": [call]},
    "the result of a tool": {"role": "tool", "tool_call_id": "c1", "content": "Oslo"},
}.items():
    for kind in ({}, {"type": "message"}):
        try:
            read = NeMoGymResponseCreateParamsNonStreaming.model_validate({"input": [{"role": "user", "content": "Capital of Norway?"}, message | kind]})
            print(f"{name}, {'with' if kind else 'without'} a type: {read.input[1].type}")
        except ValueError as error:
            print(f"{name}, {'with' if kind else 'without'} a type: refused")
P
venv/bin/python run.py 2>problems.txt | tee seen.txt || { cat problems.txt; exit 1; }
echo "expected: a message each time, or a refusal"
diff seen.txt - <<'S'
a text, without a type: message
a text, with a type: message
a list of parts, without a type: mcp_list_tools
a list of parts, with a type: refused
null beside a call, without a type: mcp_list_tools
null beside a call, with a type: refused
the result of a tool, without a type: mcp_list_tools
the result of a tool, with a type: refused
S
echo "seen: without a type, a message whose content is no text passes as a listing of tools; with one it is refused"
