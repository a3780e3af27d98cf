#!/bin/bash
# TRL 1.16.0: the template of Llama 3.2 writes today's date into every training row; a row tokenized tomorrow is another row.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
"${UV:-uv}" venv -q "$folder/venv"
"${UV:-uv}" pip install -q --python "$folder/venv/bin/python" transformers==5.10.4 jinja2==3.1.6
"${UV:-uv}" pip install -q --python "$folder/venv/bin/python" --no-deps trl==1.16.0
"$folder/venv/bin/python" - <<'PYTHON'
import datetime, importlib.util, pathlib, sys
from importlib.metadata import version
from transformers.utils import chat_template_utils

folder = pathlib.Path(importlib.util.find_spec("trl").origin).parent / "chat_templates"
talk = [{"role": "user", "content": "Capital of France?"}, {"role": "assistant", "content": "Paris"}]


class Later(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2030, 1, 2)


def rendered() -> str:
    return chat_template_utils.render_jinja_template([talk], chat_template=(folder / "llama3_2.jinja").read_text(), bos_token="<bos>")[0][0]


today = rendered()
chat_template_utils.datetime = Later
later = rendered()
print("trl", version("trl"), "transformers", version("transformers"))
print("expected: the same row renders to the same text on any day")
print("seen:", [line for line in today.splitlines() if line not in later.splitlines()], "became", [line for line in later.splitlines() if line not in today.splitlines()])
sys.exit(0 if today != later and "02 Jan 2030" in later else 1)
PYTHON
