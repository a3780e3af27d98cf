#!/bin/bash
# nemo-gym 0.7.0: in a conversation in chat form, a tool call survives beside empty content and disappears beside text; its result stays.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
# Any Python 3.13 shows it, although the package asks for 3.13.14.
python=$(for p in "$(command -v python3.13)" "$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python "${GYM_PYTHON:-}"; do [ -x "$p" ] && echo "$p"; done | tail -n 1 || true)
"${UV:-uv}" venv -q --python "${python:-python3.13}" venv
"${UV:-uv}" pip install -q --python venv/bin/python --python-version 3.13.14 nemo-gym==0.7.0
echo "nemo-gym $(venv/bin/python -c 'from importlib.metadata import version; print(version("nemo-gym"))')"

cat > ask.py <<'P'
from nemo_gym.openai_utils import NeMoGymResponseCreateParamsNonStreaming
from nemo_gym.responses_converter import ResponsesConverter

call = {"id": "1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
converter = ResponsesConverter(return_token_id_information=False)
for content in (None, "One moment."):
    request = NeMoGymResponseCreateParamsNonStreaming(input=[
        {"role": "user", "content": "Where is Oslo?"},
        {"role": "assistant", "content": content, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "Norway"},
    ])
    chat = converter.responses_to_chat_completion_create_params(request).model_dump(exclude_unset=True)["messages"]
    print(f"content {content!r}:", ", ".join(message["role"] + (" with a call" if message.get("tool_calls") else "") for message in chat))
P
venv/bin/python ask.py 2>/dev/null | tee seen.txt
echo "expected: user, assistant with a call, tool in both cases, or an error"
diff seen.txt - <<'S'
content None: user, assistant with a call, tool
content 'One moment.': user, assistant, tool
S
echo "seen: with text the message is read as one that has no calls, and what it has beyond that is dropped without a word"
