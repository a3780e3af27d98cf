#!/bin/bash
# datasets 5.2.0: a JSONL column whose rows have different types becomes Json, and text that looks like a number becomes one.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
"${UV:-uv}" venv -q "$folder/venv"
"${UV:-uv}" pip install -q --python "$folder/venv/bin/python" datasets==5.2.0 pyarrow==26.0.1 pandas==3.1.1
cd "$folder"
HF_HUB_OFFLINE=1 HF_DATASETS_CACHE="$folder/cache" HF_DATASETS_DISABLE_PROGRESS_BARS=1 "$folder/venv/bin/python" - <<'PYTHON'
import json, sys
from importlib.metadata import version
import datasets

rows = [{"expected_answer": "007", "log_probs": {"a": -0.123456789012345}}, {"expected_answer": ["7", "seven"], "log_probs": [-0.1]}]
with open("rows.jsonl", "w") as out:
    out.writelines(json.dumps(row) + "\n" for row in rows)
loaded = datasets.load_dataset("json", data_files="rows.jsonl", split="train")
print("datasets", version("datasets"), "pyarrow", version("pyarrow"), loaded.features)
print("expected:", rows[0])
print("seen:    ", loaded[0])
sys.exit(0 if loaded[0]["expected_answer"] != "007" or loaded[0]["log_probs"]["a"] != rows[0]["log_probs"]["a"] else 1)
PYTHON
