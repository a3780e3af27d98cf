#!/bin/bash
# nemo-gym 0.7.0: agents that fan_out compares on the same tasks get different seeds, and interleave_repeats runs one agent after the other.
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

with open("tasks.jsonl", "w") as out:
    for question in ("Name a city.", "Name a river."):
        print(json.dumps({"agent_ref": {"name": "one"}, "responses_create_params": {"input": question}}), file=out)
config = RolloutCollectionConfig(
    input_jsonl_fpath="tasks.jsonl", output_jsonl_fpath="rollouts.jsonl",
    num_repeats=2, num_repeats_add_seed=True, interleave_repeats=True, fan_out={"one": ["one", "two"]},
)
for row in RolloutCollectionHelper()._preprocess_rows_from_config(config):
    print("agent", row["agent_ref"]["name"], "task", row["_ng_task_index"], row["responses_create_params"]["metadata"]["extra_body"])
P
venv/bin/python ask.py 2>/dev/null | grep '^agent' | tee seen.txt
echo "expected: both agents get seeds 0 and 1, so that they can be compared repeat by repeat, and the first round has both agents"
diff seen.txt - <<'S'
agent one task 0 {"seed": 0}
agent one task 1 {"seed": 0}
agent one task 0 {"seed": 1}
agent one task 1 {"seed": 1}
agent two task 0 {"seed": 2}
agent two task 1 {"seed": 2}
agent two task 0 {"seed": 3}
agent two task 1 {"seed": 3}
S
echo "seen: the second agent continues the first one's numbers; if the run is stopped halfway, it has no rollouts"
