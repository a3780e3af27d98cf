"""A policy and a judge, each behind its own model server, with the judge's limits."""

import os
import re
import subprocess
from pathlib import Path

from kit import GYM, Wrong, need, read

GUIDES = ("configure-multi-model-setups",)
NEEDS_GYM = True
POLICY, JUDGE = ("http://10.20.0.5:8000/v1", "scout-14b"), ("http://10.20.0.9:8100/v1", "arbiter-70b")


def files() -> dict[str, str]:
    return {}


def gym(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [GYM / "gym", "env", *words, "--config", "setup.yaml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, env=os.environ | {"JUDGE_API_KEY": "x", "POLICY_API_KEY": "x"})


def verdict_tokens(folder: Path) -> set[object]:
    """The limit of a verdict in the reader's files: `gym env resolve` masks every key with "token" in its name."""
    import yaml

    def limits(value: object) -> set[object]:
        if not isinstance(value, dict):
            return set()
        own = value.get("judge_responses_create_params")
        found = {own.get("max_output_tokens")} if isinstance(own, dict) else set()
        return found.union(*map(limits, value.values()))

    return set().union(*(limits(yaml.safe_load(path.read_text())) for path in folder.glob("*.yaml"))) - {None}


def resolved(folder: Path) -> dict:
    """The configuration as Gym merges it."""
    import yaml

    done = gym(folder, "resolve")
    need(done.returncode == 0, "gym env resolve refuses setup.yaml")
    try:
        found = yaml.safe_load(re.sub(r"^(?![\w-]+:|\s|- ).*\n", "", done.stdout, flags=re.M))
    except yaml.YAMLError:
        found = None
    if not isinstance(found, dict):
        raise Wrong("gym env resolve printed no configuration")
    return found


def inner(config: dict, name: str, kind: str) -> dict:
    """The settings of a server: its block has one key for its kind, and below that one for its code."""
    block = config.get(name)
    need(isinstance(block, dict) and isinstance(block.get(kind), dict) and block[kind], f"no {kind} is named {name}")
    return next(iter(block[kind].values()))


def check(folder: Path) -> None:
    read(folder, "env.yaml")
    read(folder, "setup.yaml")
    config = resolved(folder)
    servers = [one for block in config.values() if isinstance(block, dict) for one in (block.get("resources_servers") or {}).values() if isinstance(one, dict) and "judge_model_server" in one]
    agents = [one for block in config.values() if isinstance(block, dict) for one in (block.get("responses_api_agents") or {}).values()]
    need(len(servers) == 1 and agents, "setup.yaml needs one judged environment and its agent")
    judge = inner(config, servers[0]["judge_model_server"]["name"], "responses_api_models")
    for agent in agents:
        policy = inner(config, agent["model_server"]["name"], "responses_api_models")
        need(policy.get("base_url") in (POLICY[0], [POLICY[0]]) and policy.get("model") == POLICY[1], f"an agent calls {policy.get('model')} at {policy.get('base_url')}")
    need(judge.get("base_url") in (JUDGE[0], [JUDGE[0]]) and judge.get("model") == JUDGE[1], f"the judge is {judge.get('model')} at {judge.get('base_url')}")
    need(servers[0].get("judge_endpoint_max_concurrency") == 6, f"judge_endpoint_max_concurrency is {servers[0].get('judge_endpoint_max_concurrency')}")
    params = servers[0].get("judge_responses_create_params") or {}
    limits = verdict_tokens(folder)
    need(limits == {64} and params.get("temperature") == 0, f"verdicts are asked for with {limits or 'no limit of'} tokens at temperature {params.get('temperature')}")
    # Gym raises at the Nth failure: the number counts the first attempt, too (nemo_gym/server_utils.py, _request_with_retries).
    need(judge.get("endpoint_connection_retries") == 5, f"endpoint_connection_retries of the judge is {judge.get('endpoint_connection_retries')}")
    file = judge.get("endpoint_file")
    need(file and Path(file).is_absolute() and Path(file).is_file(), f"endpoint_connection_retries has no effect: endpoint_file is {file}")
    need(Path(file).read_text().strip() == JUDGE[0], "endpoint_file does not hold the judge's address")
    need(gym(folder, "validate", "--strict").returncode == 0, "gym env validate --strict refuses setup.yaml")


SETUP = """\
config_paths:
- resources_servers/equivalence_llm_judge/configs/equivalence_llm_judge.yaml
- responses_api_models/vllm_model/configs/vllm_model.yaml
judge_model:
  _copy: policy_model
  responses_api_models:
    vllm_model:
      base_url: http://10.20.0.9:8100/v1
      model: arbiter-70b
      endpoint_file: ${judge_address_file}
      endpoint_connection_retries: 5
equivalence_llm_judge:
  resources_servers:
    equivalence_llm_judge:
      judge_model_server: {name: judge_model}
      judge_endpoint_max_concurrency: 6
      judge_responses_create_params: {temperature: 0.0, max_output_tokens: 64}
equivalence_llm_judge_simple_agent:
  responses_api_agents:
    simple_agent: {datasets: []}
"""


def right(folder: Path, setup: str = SETUP) -> None:
    (folder / "setup.yaml").write_text(setup)
    (folder / "judge_address.txt").write_text(f"{JUDGE[0]}\n")
    env = f"policy_base_url: {POLICY[0]}\npolicy_api_key: none\npolicy_model_name: {POLICY[1]}\njudge_address_file: {folder.resolve()}/judge_address.txt\n"
    (folder / "env.yaml").write_text(env)


def the_retries_have_no_file(folder: Path) -> None:
    right(folder, "\n".join(line for line in SETUP.splitlines() if "endpoint_file" not in line) + "\n")


def the_judge_is_the_policy(folder: Path) -> None:
    right(folder, SETUP.replace("{name: judge_model}", "{name: policy_model}"))


def two_calls_at_a_time(folder: Path) -> None:
    right(folder, SETUP.replace("max_concurrency: 6", "max_concurrency: 2"))


WRONG = (the_retries_have_no_file, the_judge_is_the_policy, two_calls_at_a_time)
