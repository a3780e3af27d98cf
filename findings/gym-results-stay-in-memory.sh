#!/bin/bash
# nemo-gym 0.7.0: with `retain_results_in_memory: false` alone, every result of a run stays in memory until the run ends.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
# Any Python 3.13 shows it, although the package asks for 3.13.14.
python=$(for p in "$(command -v python3.13)" "$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python "${GYM_PYTHON:-}"; do [ -x "$p" ] && echo "$p"; done | tail -n 1 || true)
"${UV:-uv}" venv -q --python "${python:-python3.13}" venv
"${UV:-uv}" pip install -q --python venv/bin/python --python-version 3.13.14 nemo-gym==0.7.0
echo "nemo-gym $(venv/bin/python -c 'from importlib.metadata import version; print(version("nemo-gym"))')"

cat > hold.py <<'P'
import asyncio, json, weakref
from types import SimpleNamespace
from omegaconf import OmegaConf
import nemo_gym.rollout_collection as collection

class Result(dict):
    """What an agent answers, as an object that can be watched."""
    __hash__, __eq__ = object.__hash__, object.__eq__

class Client:  # in place of a running agent
    agent = {"type": "responses_api_agents", "name": "a"}
    global_config_dict = OmegaConf.create({
        "a": {"responses_api_agents": {"simple_agent": {}}}, "e": {"environment_servers": {"legacy_agent": {"agent": agent}}}})
    async def post(self, **_):
        await asyncio.sleep(0)
        return SimpleNamespace(status=200, release=lambda: None)

async def fine(_):
    pass

async def answer(_):
    result = Result(reward=1.0, responses_create_params={}, response={"output": []})
    held.add(result)
    most.append(len(held))
    return result

collection.get_response_json, collection.raise_for_status = answer, fine
collection.RolloutCollectionHelper.setup_server_client = lambda self, *_: Client()
with open("tasks.jsonl", "w") as out:
    out.writelines(json.dumps({"agent_ref": {"name": "a"}, "responses_create_params": {"input": f"{n}?"}}) + "\n" for n in range(300))
for bound in (None, 8):
    held, most = weakref.WeakSet(), []
    config = collection.RolloutCollectionConfig(
        input_jsonl_fpath="tasks.jsonl", output_jsonl_fpath=f"rollouts-{bound}.jsonl", num_samples_in_parallel=4,
        retain_results_in_memory=False, disable_aggregation=True, max_resident_rollout_tasks=bound)
    asyncio.run(collection.RolloutCollectionHelper().run_from_config(config))
    print(f"max_resident_rollout_tasks {bound}: at most {max(most)} of 300 results in memory")
P
venv/bin/python hold.py 2>/dev/null | grep '^max_' | tee seen.txt
echo "expected: a few results in memory in both runs, as four rollouts run at a time and each line is written at once"
diff seen.txt - <<'S'
max_resident_rollout_tasks None: at most 300 of 300 results in memory
max_resident_rollout_tasks 8: at most 8 of 300 results in memory
S
echo "seen: without a bound on the tasks, the finished ones keep their results; the setting alone frees nothing"
