#!/bin/bash
# nemo-gym 0.7.0: of several thoughts in one turn, `vllm_model` sends the first back to the model and drops the others.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
# Any Python 3.13 shows it, although the package asks for 3.13.14.
python=$(for p in "$(command -v python3.13)" "$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python "${GYM_PYTHON:-}"; do [ -x "$p" ] && echo "$p"; done | tail -n 1 || true)
"${UV:-uv}" venv -q --python "${python:-python3.13}" venv
"${UV:-uv}" pip install -q --python venv/bin/python --python-version 3.13.14 nemo-gym==0.7.0
echo "nemo-gym $(venv/bin/python -c 'from importlib.metadata import version; print(version("nemo-gym"))')"

cat > run.py <<'P'
from unittest.mock import MagicMock

from nemo_gym import ServerClient
from nemo_gym.openai_utils import NeMoGymResponseCreateParamsNonStreaming
from responses_api_models.vllm_model.app import VLLMModel, VLLMModelConfig

config = VLLMModelConfig(
    host="127.0.0.1", port=1, entrypoint="app.py", name="policy_model", base_url="http://127.0.0.1:1/v1", api_key="none", model="m",
    return_token_id_information=False, uses_reasoning_parser=True, uses_interleaved_reasoning=True)
server = VLLMModel(config=config, server_client=MagicMock(spec=ServerClient))
think = lambda number, text: {"id": f"rs{number}", "type": "reasoning", "summary": [{"type": "summary_text", "text": text}]}  # noqa: E731
say = {"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "It is 4.", "annotations": []}]}
for thoughts in (["2 and 2."], ["2 and 2.", "So 4."]):
    items = [{"role": "user", "content": "2 + 2?"}, *(think(number, text) for number, text in enumerate(thoughts)), say, {"role": "user", "content": "Sure?"}]
    params = server._converter.responses_to_chat_completion_create_params(NeMoGymResponseCreateParamsNonStreaming(input=items))
    sent = server._preprocess_chat_completion_create_params(MagicMock(), params.model_dump(exclude_unset=True))
    print(len(thoughts), "thoughts:", sent["messages"][1])
P
venv/bin/python run.py 2>problems.txt | tee seen.txt || { cat problems.txt; exit 1; }
echo "expected: both thoughts in the second message"
diff seen.txt - <<'S'
1 thoughts: {'role': 'assistant', 'content': 'It is 4.', 'reasoning_content': '2 and 2.', 'reasoning': '2 and 2.'}
2 thoughts: {'role': 'assistant', 'content': 'It is 4.', 'reasoning_content': '2 and 2.', 'reasoning': '2 and 2.'}
S
echo "seen: the second thought is gone, with uses_interleaved_reasoning on, which is there to send thoughts back"
