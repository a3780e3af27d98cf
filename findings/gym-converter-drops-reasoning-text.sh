#!/bin/bash
# nemo-gym 0.7.0: on the way to Chat Completions a reasoning item keeps its `summary`; its `content`, the reasoning itself, is dropped.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
# Any Python 3.13 shows it, although the package asks for 3.13.14.
python=$(for p in "$(command -v python3.13)" "$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python "${GYM_PYTHON:-}"; do [ -x "$p" ] && echo "$p"; done | tail -n 1 || true)
"${UV:-uv}" venv -q --python "${python:-python3.13}" venv
"${UV:-uv}" pip install -q --python venv/bin/python --python-version 3.13.14 nemo-gym==0.7.0
echo "nemo-gym $(venv/bin/python -c 'from importlib.metadata import version; print(version("nemo-gym"))')"

cat > ask.py <<'P'
import json
from nemo_gym.openai_utils import NeMoGymResponseCreateParamsNonStreaming
from nemo_gym.responses_converter import ResponsesConverter

# Servers of open models fill `content` and leave `summary` empty.
thought = "Oslo is in Norway"
forms = {"summary": {"summary": [{"type": "summary_text", "text": thought}]}, "content": {"summary": [], "content": [{"type": "reasoning_text", "text": thought}]}}
converter = ResponsesConverter(return_token_id_information=False)
for field, reasoning in forms.items():
    request = NeMoGymResponseCreateParamsNonStreaming(input=[
        {"role": "user", "content": "Where is Oslo?"},
        {"type": "reasoning", "id": "rs_1", **reasoning},
        {"type": "function_call", "call_id": "1", "name": "look_up", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "found"},
    ])
    accepted = thought in json.dumps(request.model_dump(exclude_unset=True))
    chat = converter.responses_to_chat_completion_create_params(request).model_dump(exclude_unset=True)
    print(f"thought in `{field}`: {'accepted' if accepted else 'refused'}, {'kept' if thought in json.dumps(chat) else 'lost'} in the chat messages")
P
venv/bin/python ask.py 2>/dev/null | tee seen.txt
echo "expected: kept in both forms, or an error, which the converter raises for other things that have no chat form"
diff seen.txt - <<'S'
thought in `summary`: accepted, kept in the chat messages
thought in `content`: accepted, lost in the chat messages
S
echo "seen: from the second turn on, a model behind Chat Completions does not see what it thought"
