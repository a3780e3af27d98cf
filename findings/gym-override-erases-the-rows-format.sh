#!/bin/bash
# nemo-gym 0.7.0: an override of one nested request setting for a run removes the other settings of that block from each row.
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

row = {"agent_ref": {"name": "any"}, "responses_create_params": {"input": "A city as JSON", "temperature": 0.2, "text": {"format": {"type": "json_object"}}}}
with open("tasks.jsonl", "w") as out:
    out.write(json.dumps(row) + "\n")
config = RolloutCollectionConfig(input_jsonl_fpath="tasks.jsonl", output_jsonl_fpath="rollouts.jsonl", responses_create_params={"text": {"verbosity": "low"}})
sent = RolloutCollectionHelper()._preprocess_rows_from_config(config)[0]["responses_create_params"]
print("sent:", json.dumps({name: sent[name] for name in ("temperature", "text")}))
P
venv/bin/python ask.py 2>/dev/null | grep '^sent' | tee seen.txt
echo "expected: the row's format and the run's verbosity, as configuration files merge: {\"format\": {\"type\": \"json_object\"}, \"verbosity\": \"low\"}"
diff seen.txt - <<'S'
sent: {"temperature": 0.2, "text": {"verbosity": "low"}}
S
echo "seen: ++responses_create_params.text.verbosity=low asks no row for JSON any more; answers fail in the verifier, not here"
