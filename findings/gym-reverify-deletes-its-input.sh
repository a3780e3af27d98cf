#!/bin/bash
# nemo-gym 0.7.0: `gym eval reverify` told to write over the rollouts that it scores again deletes them, and then looks for them.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
# Any Python 3.13 shows it, although the package asks for 3.13.14.
python=$(for p in "$(command -v python3.13)" "$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python "${GYM_PYTHON:-}"; do [ -x "$p" ] && echo "$p"; done | tail -n 1 || true)
"${UV:-uv}" venv -q --python "${python:-python3.13}" venv
"${UV:-uv}" pip install -q --python venv/bin/python --python-version 3.13.14 nemo-gym==0.7.0
echo "nemo-gym $(venv/bin/python -c 'from importlib.metadata import version; print(version("nemo-gym"))')"

cat > run.py <<'P'
import asyncio, json
from pathlib import Path
from unittest.mock import AsyncMock, patch

from nemo_gym.rollout_reverification import RolloutReverificationConfig, RolloutReverificationHelper

ids = {"_ng_task_index": 0, "_ng_rollout_index": 0, "agent_ref": {"type": "responses_api_agents", "name": "simple_agent"}}
params = {"responses_create_params": {"input": "What is 2 + 2?"}}
message = {"id": "1", "type": "message", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "4", "annotations": []}]}
response = {"id": "r", "created_at": 1, "model": "m", "object": "response", "output": [message], "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
Path("tasks.jsonl").write_text(json.dumps(ids | params) + "\n")
Path("rollouts.jsonl").write_text(json.dumps(ids | params | {"response": response, "reward": 1.0}) + "\n")
Path("rollouts_failures.jsonl").write_text(json.dumps(ids | {"_ng_failure_class": "judge_failed"}) + "\n")
for overwrite in (False, True):
    try:
        config = RolloutReverificationConfig(
            materialized_inputs_jsonl_fpath="tasks.jsonl", rollouts_jsonl_fpath="rollouts.jsonl", output_jsonl_fpath="rollouts.jsonl", overwrite=overwrite)
        with patch("nemo_gym.rollout_reverification._guard_reverify_mode", AsyncMock(return_value=None)):  # asks the servers, which it does not get to
            asyncio.run(RolloutReverificationHelper().run_from_config(config))
    except Exception as error:
        print(f"{type(error).__name__}: {str(error).splitlines()[0]}")
    print(f"overwrite={overwrite}, left: {', '.join(sorted(path.name for path in Path().glob('*.jsonl')))}")
P
venv/bin/python run.py 2>problems.txt | sed "s#$work#FOLDER#" | tee seen.txt || { cat problems.txt; exit 1; }
echo "expected: a refusal, or the rollouts read before anything is deleted"
diff seen.txt - <<'S'
ConfigError: Output file already exists: 'rollouts.jsonl'. Pass --overwrite to delete it and start fresh, or --resume to continue from it.
overwrite=False, left: rollouts.jsonl, rollouts_failures.jsonl, tasks.jsonl
Deleted existing output file: 'rollouts.jsonl'
Deleted existing output file: 'rollouts_failures.jsonl'
FileNotFoundError: [Errno 2] No such file or directory: 'FOLDER/rollouts.jsonl'
overwrite=True, left: tasks.jsonl
S
echo "seen: the rollouts and their failures are gone, as the advice of the first message has it"
