#!/bin/bash
# nemo-gym 0.7.0: where only some rows of an input carry a task index, different tasks get the same one, and count as repeats of each other.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
# Any Python 3.13 shows it, although the package asks for 3.13.14.
python=$(for p in "$(command -v python3.13)" "$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python "${GYM_PYTHON:-}"; do [ -x "$p" ] && echo "$p"; done | tail -n 1 || true)
"${UV:-uv}" venv -q --python "${python:-python3.13}" venv
"${UV:-uv}" pip install -q --python venv/bin/python --python-version 3.13.14 nemo-gym==0.7.0
echo "nemo-gym $(venv/bin/python -c 'from importlib.metadata import version; print(version("nemo-gym"))')"

cat > ask.py <<'P'
import json
from nemo_gym.rollout_collection import RolloutCollectionConfig, RolloutCollectionHelper

# One new task, and one that an earlier run numbered.
rows = [{"responses_create_params": {"input": "What is 2 + 2?"}}, {"_ng_task_index": 0, "responses_create_params": {"input": "Name a city."}}]
with open("tasks.jsonl", "w") as out:
    out.writelines(json.dumps({"agent_ref": {"name": "any"}, **row}) + "\n" for row in rows)
config = RolloutCollectionConfig(input_jsonl_fpath="tasks.jsonl", output_jsonl_fpath="rollouts.jsonl", num_repeats=2)
for row in RolloutCollectionHelper()._preprocess_rows_from_config(config):
    print("task", row["_ng_task_index"], "repeat", row["_ng_rollout_index"], row["responses_create_params"]["input"])
P
venv/bin/python ask.py 2>/dev/null | grep '^task' | tee seen.txt
echo "expected: two tasks with two repeats each, or an error about the mixture"
diff seen.txt - <<'S'
task 0 repeat 0 What is 2 + 2?
task 0 repeat 1 What is 2 + 2?
task 0 repeat 2 Name a city.
task 0 repeat 3 Name a city.
S
echo "seen: one task with four repeats; pass rates, group advantages and pairs then compare answers to different questions"
