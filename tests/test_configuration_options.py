"""reference/configuration-options and the pages below it: complete in both directions, and quick to use."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from facts import Facts, anchor_of
from pages import DOCS, blocks_of
from site_map import HTML, PAGES

HUB = "training/reference/configuration-options"
BELOW = [page for page in PAGES if page.name.startswith(f"{HUB}/")]
FACTS = Facts(json.loads((DOCS / "_ext" / "facts.json").read_text(encoding="utf-8")))
KINDS = ("setting", "command", "flag", "variable")


@pytest.fixture(scope="module")
def html() -> dict[str, str]:
    return {page.name: (HTML / f"{page.name}.html").read_text(encoding="utf-8") for page in [*BELOW, *PAGES] if page.name.startswith(HUB)}


@pytest.mark.parametrize("kind", KINDS)
def test_every_entry_of_the_package_is_on_one_page_and_no_other(kind: str, html: dict[str, str]) -> None:
    anchors = [anchor for text in html.values() for anchor in re.findall(rf'id="({kind}-[^"]+)"', text)]
    assert sorted(anchors) == sorted({anchor_of(kind, name) for name in FACTS.ids[kind]})


def test_every_agent_model_and_judge_is_on_a_page_with_its_own_keys(html: dict[str, str]) -> None:
    """Of resources servers, what concerns a judge; no class that a server builds for itself (``...InstanceConfig``)."""
    text = re.sub(r"<[^>]+>", "", "".join(html.values()))
    seen = 0
    for component, about in FACTS.data["components"].items():
        classes = [cls for cls in about["classes"] if not cls.endswith("InstanceConfig")]
        keys = [field["name"] for cls in classes for field in FACTS.data["classes"][cls]["fields"]]
        if component.startswith("resources_servers/"):
            keys = [key for key in keys if "judge" in key]
        seen += len(keys)
        assert [key for key in keys if not re.search(rf"\b{re.escape(key)}\b", text)] == [], component
    assert seen > 500


def test_a_default_and_a_type_are_those_of_the_package(html: dict[str, str]) -> None:
    """A sample by hand, so that the pages are not only compared with what they are made of."""
    rollout, agents = html[f"{HUB}/rollout-collection"], html[f"{HUB}/agents"]
    assert re.search(r'id="setting-rollout\.num_repeats".*?<strong>Type</strong>: int or mapping of strings to ints(?:(?!</dl>).)*?<strong>Default</strong>: <code[^>]*>1</code>', rollout, re.S)
    assert re.search(r'id="setting-simple_agent\.max_steps"(?:(?!</dl>).)*?<strong>Default</strong>: <em>unset</em>', agents, re.S)


def test_an_entry_is_understood_without_its_page(html: dict[str, str]) -> None:
    title = re.search(r'id="setting-simple_agent\.max_steps">(.*?)</dt>', html[f"{HUB}/agents"], re.S)[1]
    assert re.sub(r"<[^>]+>|\s+", " ", title).split()[:3] == ["simple_agent", "›", "max_steps"]


def test_an_argument_is_not_called_twice(html: dict[str, str]) -> None:
    """As in ``RUN_DIR RUN_DIR``: its name and what it takes are the same word."""
    names = [re.sub(r"<[^>]+>", "", name) for text in html.values() for name in re.findall(r'class="sig-name descname">(.*?)</span>\s*<a class="headerlink', text, re.S)]
    assert len(names) > 500
    assert [name for name in names if re.search(r"\b(\w+) \1\b", name)] == []


def test_old_command_names_lead_to_those_of_today(html: dict[str, str]) -> None:
    for old in ("ng_collect_rollouts", "ng_prepare_data", "ng_run", "ng_reward_profile", "ng_e2e_collect_rollouts"):
        assert old in re.sub(r"<[^>]+>", "", html[f"{HUB}/commands"])


def test_the_page_of_changes_links_each_of_them(html: dict[str, str]) -> None:
    """Removed ones are named. `make facts GYM_VERSION=... CHANGES=1` writes the next difference."""
    changes = json.loads((DOCS / "_ext" / "changes.json").read_text(encoding="utf-8"))
    assert changes["to"] == FACTS.release
    page = html[f"{HUB}/what-changed"]
    text = re.sub(r"<[^>]+>", "", page)
    for kind, word in (("Settings", "setting"), ("Environment variables", "variable")):
        for name in (*changes[kind]["added"], *changes[kind]["changed"]):
            assert f'#{anchor_of(word, name)}"' in page, name
        for name in changes[kind]["removed"]:
            assert name.rpartition(".")[2] in text
    assert len(changes["Settings"]["added"]) > 100
    rows = {row.split()[0]: row for row in re.findall(r"(?s)<tr.*?</tr>", page) for row in [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", row)).strip()] if row}
    assert " now set by Gym " in rows["OTEL_EXPORTER_OTLP_HEADERS"], "a variable of another library may have worked before"
    assert " new " in rows["NEMO_GYM_BENCH_DIR"]
    assert "x-api-key=..." in text, "the dots of an example are no end of a sentence"


def test_every_page_names_its_release_and_leads_to_the_changes() -> None:
    for page in PAGES:
        assert re.search(r'<a class="release" href="[^"]*what-changed\.html"|<a class="release" href="#"', (HTML / f"{page.name}.html").read_text(encoding="utf-8")), page.name


def test_pages_below_the_hub_hold_nothing_to_run() -> None:
    """The run of the pages leaves them out."""
    assert BELOW
    assert [page.name for page in BELOW for _, block in blocks_of(page.text, page.path) if not block.kind.startswith("{")] == []


# --- the finder box, and links to what moved ---------------------------------------------------------------------------


@pytest.fixture
def page(browser, address):
    tab = browser.new_page(viewport={"width": 1440, "height": 900})
    tab.goto(f"{address}/{HUB}.html")
    yield tab
    tab.close()


def found(tab, query: str) -> list[str]:
    """What the box names, best first."""
    tab.fill("#gym-finder", query)
    tab.wait_for_function("document.querySelector('#gym-found-count').textContent !== ''")
    return tab.locator("#gym-found a").all_inner_texts()


@pytest.mark.live
def test_the_finder_finds_a_setting_of_any_page_the_exact_name_first(page) -> None:
    assert found(page, "timeout_seconds")[0] == "submit.service.health_check › timeout_seconds"
    assert found(page, "max_steps")[0].endswith(" › max_steps")
    assert "simple_agent › max_steps" in found(page, "max_steps")
    assert found(page, "--num-repeats")[0] == "rollout › num_repeats"
    assert found(page, "ng_collect_rollouts")[0] == "gym eval run"
    assert found(page, "openclaw_judge_timeout") != []
    page.keyboard.press("Escape")
    assert page.input_value("#gym-finder") == "" and page.locator("#gym-found a").count() == 0


@pytest.mark.live
def test_a_result_leads_to_its_entry_and_marks_it(page) -> None:
    found(page, "dispatch_budget_s")
    page.keyboard.press("Enter")
    page.wait_for_url("**/configuration-options/rollout-collection.html#setting-rollout.dispatch_budget_s")
    assert page.locator("dt:target").inner_text().startswith("rollout › dispatch_budget_s")
    assert page.locator("#pst-page-toc-nav .nav-link.active").last.inner_text() == "Walltime"


@pytest.mark.live
@pytest.mark.parametrize(("old", "today"), [
    ("#setting-rollout.limit", "/rollout-collection.html#setting-rollout.limit"),
    ("#flag-gym-eval-run-no-serve", "/commands.html#flag-gym-eval-run-no-serve"),
    ("#variable-NEMO_GYM_MAX_ROLLOUT_ATTEMPTS", "/variables.html#variable-NEMO_GYM_MAX_ROLLOUT_ATTEMPTS"),
    ("#judge-settings", "/resources-servers.html#judge-settings"),
    ("#agent-claude-code-agent", "/agents.html#agent-claude-code-agent"),
])  # fmt: skip
def test_a_link_into_the_page_of_before_leads_to_the_entry(page, address: str, old: str, today: str) -> None:
    page.goto("about:blank")
    page.goto(f"{address}/{HUB}.html{old}")
    page.wait_for_url(f"**/configuration-options{today}")


@pytest.mark.live
def test_an_address_with_a_filter_fills_the_box(page, address: str) -> None:
    page.goto("about:blank")
    page.goto(f"{address}/{HUB}.html#filter=skip_verification")
    page.wait_for_selector("#gym-found a")
    assert page.input_value("#gym-finder") == "skip_verification"


@pytest.mark.live
def test_without_scripts_there_is_no_box_and_everything_is_shown(browser, address) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(f"{address}/{HUB}/rollout-collection.html")
    assert not tab.locator("#gym-finder").is_visible()
    assert tab.locator("#setting-rollout\\.num_repeats").is_visible()
    context.close()


# --- which value wins -----------------------------------------------------------------------------------------------------

VLLM = "responses_api_models/vllm_model/configs/vllm_model.yaml"
ENV = "policy_base_url: http://127.0.0.1:8000/v1\npolicy_api_key: none\npolicy_model_name: small\n"


def resolve(folder: Path, gym_python: Path, overrides: list[str]) -> str:
    command = [gym_python.with_name("gym"), "env", "resolve", "--config", "wrong.yaml", *overrides]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    return " ".join((result.stdout + result.stderr).split())


@pytest.mark.gym
def test_a_preset_that_a_flag_selects_beats_a_file(gym_python: Path, tmp_path: Path) -> None:
    """What the page says of `--model-type`: the flag appends the preset to the files."""
    from_flag = subprocess.run(
        [gym_python, "-c", "import sys; from nemo_gym.cli import main; main.dispatch = lambda target, overrides: print(overrides); "
         "sys.argv = ['gym', 'env', 'start', '--model-type', 'vllm_model', '--config', 'wrong.yaml']; main.main()"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    ).stdout
    assert re.search(r"config_paths=\[wrong\.yaml,.*vllm_model\.yaml\]", from_flag)
    (tmp_path / "env.yaml").write_text(ENV)
    block = "policy_model: {responses_api_models: {vllm_model: {extra_body: {top_k: 40}}}}"
    (tmp_path / "wrong.yaml").write_text(block)
    assert "extra_body: null" in resolve(tmp_path, gym_python, ["--config", VLLM])
    (tmp_path / "wrong.yaml").write_text(f"config_paths: [{VLLM}]\n{block}")
    assert "extra_body: top_k: 40" in resolve(tmp_path, gym_python, [])
