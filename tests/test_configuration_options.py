"""reference/configuration-options: complete in both directions, and quick to use."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from facts import Facts, anchor_of
from pages import DOCS
from site_map import HTML

NAME = "training/reference/configuration-options"
FACTS = Facts(json.loads((DOCS / "_ext" / "facts.json").read_text(encoding="utf-8")))
KINDS = ("setting", "command", "flag", "variable")


@pytest.fixture(scope="module")
def html() -> str:
    return (HTML / f"{NAME}.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_every_entry_of_the_package_is_on_the_page_and_no_other(kind: str, html: str) -> None:
    anchors = set(re.findall(rf'id="({kind}-[^"]+)"', html))
    assert anchors == {anchor_of(kind, name) for name in FACTS.ids[kind]}


def test_every_agent_model_and_judge_is_on_the_page_with_its_own_keys(html: str) -> None:
    """Of resources servers, what concerns a judge; no class that a server builds for itself (``...InstanceConfig``)."""
    text = re.sub(r"<[^>]+>", "", html)
    seen = 0
    for component, about in FACTS.data["components"].items():
        classes = [cls for cls in about["classes"] if not cls.endswith("InstanceConfig")]
        keys = [field["name"] for cls in classes for field in FACTS.data["classes"][cls]["fields"]]
        if component.startswith("resources_servers/"):
            keys = [key for key in keys if "judge" in key]
        seen += len(keys)
        assert [key for key in keys if not re.search(rf"\b{re.escape(key)}\b", text)] == [], component
    assert seen > 500


def test_a_default_and_a_type_are_those_of_the_package(html: str) -> None:
    """A sample by hand, so that the page is not only compared with what it is made of."""
    assert re.search(r'id="setting-rollout\.num_repeats".*?<strong>Type</strong>: int or mapping of strings to ints.*?<strong>Default</strong>: <code[^>]*>1</code>', html, re.S)
    assert re.search(r'id="setting-simple_agent\.max_steps".*?<strong>Default</strong>: <code[^>]*>null</code>', html, re.S)


def test_old_command_names_lead_to_those_of_today(html: str) -> None:
    for old in ("ng_collect_rollouts", "ng_prepare_data", "ng_run", "ng_reward_profile", "ng_e2e_collect_rollouts"):
        assert old in html


# --- the filter box ---------------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser, address):
    tab = browser.new_page(viewport={"width": 1440, "height": 900})
    tab.goto(f"{address}/{NAME}.html")
    yield tab
    tab.close()


def shown(tab) -> list[str]:
    """The anchors of the entries that are left."""
    return tab.evaluate("[...document.querySelectorAll('dl.gym > dt[id]')].filter(dt => dt.checkVisibility()).map(dt => dt.id)")


@pytest.mark.live
def test_the_filter_narrows_as_you_type_and_escape_brings_all_back(page) -> None:
    everything = shown(page)
    page.focus("#gym-filter")
    page.keyboard.type("num_rep")
    narrowed = shown(page)
    assert "setting-rollout.num_repeats" in narrowed and len(narrowed) < 12 < len(everything)
    assert page.inner_text("#gym-filter-found").startswith(f"{len(narrowed)} of ") or "entries" in page.inner_text("#gym-filter-found")
    page.keyboard.type(" --num-repeats")
    assert "setting-rollout.num_repeats" in shown(page) and "setting-dataset.num_repeats" not in shown(page)
    page.keyboard.press("Escape")
    assert shown(page) == everything and page.input_value("#gym-filter") == ""


@pytest.mark.live
def test_the_filter_works_without_a_mouse(page) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "gym-filter":
            break
    else:
        pytest.fail("Tab does not reach the filter box")
    page.keyboard.type("ng_collect_rollouts")
    assert shown(page) == ["command-gym-eval-run"]


@pytest.mark.live
def test_the_filter_opens_the_boxes_that_match_and_closes_them_again(page) -> None:
    page.fill("#gym-filter", "openclaw_judge_timeout")
    opened = page.locator("details[open]")
    assert opened.count() == 1 and opened.locator("tbody tr:visible").count() == 1
    page.fill("#gym-filter", "")
    assert page.locator("details[open]").count() == 0


@pytest.mark.live
def test_a_filtered_page_has_an_address_and_links_still_lead_somewhere(page) -> None:
    page.fill("#gym-filter", "skip_verification")
    assert page.url.endswith("#filter=skip_verification")
    page.reload()
    assert 0 < len(shown(page)) < 10
    page.evaluate("location.hash = 'setting-rollout.limit'")
    page.wait_for_function("document.getElementById('setting-rollout.limit').checkVisibility()")
    assert page.input_value("#gym-filter") == ""


@pytest.mark.live
def test_without_scripts_there_is_no_box_and_everything_is_shown(browser, address) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(f"{address}/{NAME}.html")
    assert not tab.locator("#gym-filter").is_visible()
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
