#!/bin/bash
# torchtune 0.6.1: a turn that is a tool call (content null) takes over the text of the message before it, and that text is trained.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
"${UV:-uv}" venv -q --seed venv
# torch by pip, which may be configured for a place that has a CPU build; uv does not read pip's configuration.
venv/bin/pip install -q --disable-pip-version-check torch==2.13.0
"${UV:-uv}" pip install -q --python venv/bin/python torchtune==0.6.1 torchao==0.13.0
cat > ask.py <<'P'
from importlib.metadata import version
from torchtune.data import OpenAIToMessages

call = {"id": "1", "type": "function", "function": {"name": "look_up", "arguments": "{\"city\": \"Oslo\"}"}}
talk = [
    {"role": "user", "content": "How cold is it in Oslo?"},
    {"role": "assistant", "content": None, "tool_calls": [call]},
    {"role": "user", "content": "Thanks."},
    {"role": "assistant", "content": "Gladly."},
]
print("torchtune", version("torchtune"))
for message in OpenAIToMessages()({"messages": talk})["messages"]:
    print(f"{message.role}, {'context' if message.masked else 'trained'}: {message.text_content}")
P
venv/bin/python ask.py 2>/dev/null | tee printed.txt
echo "expected: the call is trained, or the row is refused"
tail -n +2 printed.txt | diff - <(cat <<'S'
user, context: How cold is it in Oslo?
assistant, trained: How cold is it in Oslo?
user, context: Thanks.
assistant, trained: Gladly.
S
)
echo "seen: the assistant learns to repeat the question where it called a tool"
