#!/bin/bash
# nemo-gym 0.7.0: a request that goes from Responses to Chat Completions and back comes back without its token limit and its JSON schema.
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

converter = ResponsesConverter(return_token_id_information=False)
schema = {"type": "json_schema", "name": "city", "schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
request = NeMoGymResponseCreateParamsNonStreaming(input=[{"role": "user", "content": "Where?"}], max_output_tokens=256, temperature=0.5, text={"format": schema, "verbosity": "low"})
chat = converter.responses_to_chat_completion_create_params(request)
back = converter.chat_completion_to_responses_create_params(chat)
print("chat request:", "max_tokens", chat.max_tokens, "response_format", chat.response_format["type"], "temperature", chat.temperature)
print("and back:", "max_output_tokens", back.max_output_tokens, "text", dict(back.text), "temperature", back.temperature)
P
venv/bin/python ask.py 2>/dev/null | tee seen.txt
echo "expected: max_output_tokens 256 and the format, or an error, which the other direction raises for what it cannot express"
diff seen.txt - <<'S'
chat request: max_tokens 256 response_format json_schema temperature 0.5
and back: max_output_tokens None text {'verbosity': 'low'} temperature 0.5
S
echo "seen: the way there writes max_tokens, the way back reads max_completion_tokens; response_format is not read at all"
