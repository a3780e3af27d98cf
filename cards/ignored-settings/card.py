"""Settings that Gym takes and ignores."""

from pathlib import Path

from kit import Wrong, need, read

GUIDES = ("troubleshoot-common-issues",)
SERVERS = """\
# One environment, one model.
config_paths:
- resources_servers/string_match/configs/string_match.yaml
- responses_api_models/vllm_model/configs/vllm_model.yaml

string_match_simple_agent:
  responses_api_agents:
    simple_agent:
      {max_steps}: 3
      datasets: []
{early}
policy_model:
  responses_api_models:
    vllm_model:
      base_url: http://10.1.2.3:8000/v1
{pinned}"""
RUN = """\
agent_name: string_match_simple_agent
input_jsonl_fpath: tasks.jsonl
output_jsonl_fpath: results/night/rollouts.jsonl
num_repeats: 4
{parallel}: 8
{resume}: true
{route}: true
{shuffled}: true
responses_create_params:
  {limit}: 512
"""
PINS = "{temperature: 1.0, top_p: 1.0}"
BAD = {
    "servers.yaml": SERVERS.format(max_steps="max_step", early=f"\nsampling_overrides: {PINS}\n", pinned=""),
    "run.yaml": RUN.format(
        parallel="num_sample_in_parallel", resume="resume_from_caches", route="route_failure_to_sidecar", shuffled="interleave_repeat", limit="max_output_tokens"
    ),
}
GOOD = {
    "servers.yaml": SERVERS.format(max_steps="max_steps", early="", pinned=f"      sampling_overrides: {PINS}\n"),
    "run.yaml": RUN.format(
        parallel="num_samples_in_parallel", resume="resume_from_cache", route="route_failures_to_sidecar", shuffled="interleave_repeats", limit="max_output_tokens"
    ),
}


def files() -> dict[str, str]:
    return BAD


def flat(value: object, name: str = "") -> dict[str, object]:
    if isinstance(value, dict):
        return {key: inner for part, one in value.items() for key, inner in flat(one, f"{name}.{part}" if name else str(part)).items()}
    return {name: value}


def check(folder: Path) -> None:
    import yaml

    for name, text in GOOD.items():
        try:
            found = yaml.safe_load(read(folder, name))
        except yaml.YAMLError as error:
            raise Wrong(f"{name} is no YAML: {' '.join(str(error).split())[:120]}") from None
        found, right = flat(found), flat(yaml.safe_load(text))
        for key, value in right.items():
            need(key in found, f"{name} does not set {key}")
            need(found[key] == value, f"{name}: {key} is {found[key]}")
        more = sorted(set(found) - set(right))
        need(not more, f"{name} still has {more[0] if more else ''}, which has no effect or was not there")


def _write(folder: Path, servers: str, run: str) -> None:
    (folder / "servers.yaml").write_text(servers)
    (folder / "run.yaml").write_text(run)


def right(folder: Path) -> None:
    _write(folder, GOOD["servers.yaml"], GOOD["run.yaml"])


def the_pin_stays_at_the_top(folder: Path) -> None:
    _write(folder, BAD["servers.yaml"].replace("max_step:", "max_steps:"), GOOD["run.yaml"])


def only_what_was_named(folder: Path) -> None:
    _write(folder, GOOD["servers.yaml"], GOOD["run.yaml"].replace("interleave_repeats", "interleave_repeat"))


def the_old_keys_stay(folder: Path) -> None:
    _write(folder, GOOD["servers.yaml"], GOOD["run.yaml"] + "num_sample_in_parallel: 8\n")


WRONG = (the_pin_stays_at_the_top, only_what_was_named, the_old_keys_stay)
