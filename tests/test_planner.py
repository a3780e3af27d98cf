"""reference/performance-tuning/plan-a-run: the planner in the browser, plan.py, capacity.py and memory_worksheet.py give equal numbers."""

from __future__ import annotations

import dataclasses
import gzip
import json
import math
import random
import re
import subprocess
import sys
from pathlib import Path

import planner
import pytest
from pages import DOCS
from site_map import HTML

FOLDER = DOCS / planner.FOLDER
NAME = planner.FOLDER
PLAN = planner.module(DOCS)
FIELDS = {field.name: field for field in dataclasses.fields(PLAN.Asked)}


def some_input(dice: random.Random) -> dict:
    """Anything the form accepts, sizes spread over their orders of magnitude."""
    given = {}
    for name, field in FIELDS.items():
        about = field.metadata
        if about["choices"]:
            given[name] = dice.choice([*about["choices"], *["gpus"] * (4 * (name == "where"))])  # the kind with the most arithmetic
            continue
        most = min(about["most"], {"repeats": 64, "calls": 40, "tokens": 32_000, "prompt_tokens": 64_000, "gpus": 64, "judge_gpus": 8}.get(name, 1e7))
        low = about["least"] or 0.01
        value = 0.0 if not about["least"] and dice.random() < 0.5 else math.exp(dice.uniform(math.log(low), math.log(most)))
        given[name] = max(int(about["least"]), round(value)) if isinstance(field.default, int) else round(max(about["least"], value), 4)
    return given


INPUTS = [some_input(random.Random(seed)) for seed in range(300)]


def planned(given: dict) -> dict:
    return PLAN.plan(PLAN.Asked(**given))


def same(one: object, other: object) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, float) or isinstance(other, float):
        return one is not None and other is not None and math.isclose(one, other, rel_tol=1e-12, abs_tol=0)
    return one == other and (one is None) == (other is None)


@pytest.fixture
def page(opened, address):
    return lambda hash="", **options: opened(f"{address}/{NAME}.html{hash}", **options)


def test_the_inputs_reach_every_kind_of_plan() -> None:
    found = [planned(given) for given in INPUTS]
    assert {its["bound"] for its in found if not its["problem"]} >= {None, *PLAN.ADVICE} - {"Gym: all processes on these cores"}
    assert sum(bool(its["problem"]) for its in found) >= 10 and sum(bool(its.get("jobs")) and its["jobs"] > 1 for its in found) >= 10
    assert sum(bool(its.get("judge_replicas")) for its in found) >= 10 and sum(its.get("late") is True for its in found) >= 10


@pytest.mark.live
def test_browser_and_python_plan_the_same(page) -> None:
    tab = page()
    in_browser = tab.evaluate("inputs => inputs.map(planner.plan)", INPUTS)
    different = [(given, key, mine.get(key), its.get(key)) for given, its in zip(INPUTS, in_browser)
                 for mine in [planned(given)] for key in mine.keys() | its.keys() if not (key in mine and key in its and same(mine[key], its[key]))]
    assert different[:3] == []
    assert len(in_browser) == 300


def test_plan_is_made_of_the_two_worksheets() -> None:
    """The numbers of a plan are those that capacity.py and memory_worksheet.py print for the same values."""
    for given in INPUTS[:60]:
        asked, found = PLAN.Asked(**given), planned(given)
        if found["problem"] or not found["rate_per_min"]:
            continue
        model = PLAN.served(asked.model, asked.gpus - asked.judge_gpus, asked, 8000) if asked.where == "gpus" else None
        work, limit = PLAN.workload(asked, model)
        assert found["knee"] == work.knee() and found["concurrency"] <= (limit or found["knee"])
        work.concurrency = found["concurrency"]
        assert found["rate_per_min"] == pytest.approx(60 * work.rate())
        if model:
            memory = PLAN.HARDWARE["gpus"][asked.gpu]["memory_gib"] * PLAN.GIB
            assert model.share(memory) == found["model_share"] <= 1 - PLAN.HEADROOM + 1e-9


@pytest.mark.parametrize("name", ["capacity.py", "memory_worksheet.py"])
def test_the_worksheets_are_those_of_their_pages(name: str) -> None:
    assert (FOLDER / name).is_symlink() and (FOLDER / name).resolve().parent != FOLDER


def test_what_it_starts_from_is_what_was_measured(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, FOLDER / "read_measurements.py", "-o", tmp_path / "m.json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "m.json").read_text() == (FOLDER / "measured.json").read_text(), "run read_measurements.py"


def test_the_tables_are_those_of_the_measurements() -> None:
    done = subprocess.run([sys.executable, FOLDER / "compare_predictions.py", "--print"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "".join((FOLDER / "parts" / f"{name}.md").read_text() + "\n" for name in ("sources", "checks")), "run compare_predictions.py"


def test_the_page_holds_the_data_once() -> None:
    text = (HTML / f"{NAME}.html").read_text(encoding="utf-8")
    its = json.loads(re.search(r'id="planner-data">(.*?)</script>', text)[1])
    assert its["measured"] == json.loads((FOLDER / "measured.json").read_text()) and its["hardware"] == PLAN.HARDWARE
    for script in ("planner.js", "planner-files.js"):  # no measurement is typed there
        code = (DOCS / "_static" / script).read_text(encoding="utf-8")
        numbers = set(re.findall(r"(?<![\w.])\d+\.\d+(?![\w.])", json.dumps(its["measured"])))
        assert {number for number in numbers if re.search(rf"(?<![\w.]){re.escape(number)}(?![\w.])", code)} <= {"1.0", "0.5", "0.0"}


def test_the_planner_is_small_and_of_this_page_alone() -> None:
    """Scripts, style, form and data that come with the page, compressed."""
    text = (HTML / f"{NAME}.html").read_text(encoding="utf-8")
    own = re.search(r'<style>[^<]*</style><form class="planner".*?</form>.*?</script>', text, re.S)[0]
    weight = sum(len(gzip.compress(data, 9)) for data in (own.encode(), (HTML / "_static" / "planner.js").read_bytes()))
    assert weight <= 10_000
    assert [path for path in HTML.rglob("*.html") if "planner.js" in path.read_text(encoding="utf-8")] == [HTML / f"{NAME}.html"]


@pytest.mark.parametrize(("arguments", "code", "message"), [
    (["--tasks", "0"], 2, "must be from 1"), (["--gpu", "H900"], 2, "invalid choice"), (["--calls", "many"], 2, "invalid float"), (["--tasks", "nan"], 2, "invalid int"),
    (["--calls", "nan"], 2, "must be from 1"), (["--gpus", "2", "--judge-gpus", "2"], 1, "No GPU is left"), (["--deadline-hours", "0.1"], 1, ""),
])
def test_bad_input_gives_one_clear_line(arguments: list[str], code: int, message: str) -> None:
    refused = subprocess.run([sys.executable, FOLDER / "plan.py", *arguments], capture_output=True, text=True)
    assert refused.returncode == code and message in refused.stderr and "Traceback" not in refused.stderr


# --- the form ---------------------------------------------------------------------------------------------------------


@pytest.mark.live
def test_a_plan_can_be_sent(page) -> None:
    tab = page("#plan?tasks=20000&gpus=2&judge_calls=1&where=gpus")
    assert "160,000 rollouts" in tab.locator('[data-part="summary"]').inner_text()
    tab.fill("[name=tasks]", "500")
    sent = tab.evaluate("location.hash")
    assert "tasks=500" in sent and "gpus=2" in sent and "repeats" not in sent
    again = page(sent)
    assert again.input_value("[name=tasks]") == "500" and again.locator('[data-part="summary"]').inner_text() == tab.locator('[data-part="summary"]').inner_text()


@pytest.mark.live
def test_an_address_cannot_bring_in_what_the_form_refuses(page) -> None:
    tab = page("#plan?tasks=-5&repeats=1e99&gpu=%3Cimg%20src%3Dx%3E&where=none&calls=NaN&__proto__=1&constructor=2&zip=3")
    defaults = {name: str(field.default) if not isinstance(field.default, float) else f"{field.default:g}" for name, field in FIELDS.items()}
    assert {name: tab.input_value(f"[name={name}]") for name in ("tasks", "repeats", "gpu", "where", "calls")} == {
        name: defaults[name] for name in ("tasks", "repeats", "gpu", "where", "calls")}
    assert tab.locator(".planner img").count() == 0


@pytest.mark.live
def test_a_wrong_value_is_said_and_the_old_plan_stays(page) -> None:
    tab = page()
    before = tab.locator("[data-part=table]").inner_text()
    tab.fill("[name=tasks]", "")
    assert "Correct the marked field" in tab.locator('[data-part="summary"]').inner_text()
    assert tab.locator("[data-part=table]").inner_text() == before
    tab.fill("[name=tasks]", "7")
    assert "56 rollouts" in tab.locator('[data-part="summary"]').inner_text()


@pytest.mark.live
def test_by_keyboard_alone(page) -> None:
    """Every control is reached by Tab and named; what changes is announced."""
    tab = page("#plan?judge_calls=1")
    tab.locator("[name=goal]").focus()
    reached = []
    for _ in range(40):
        reached.append(tab.evaluate("[document.activeElement.name || document.activeElement.dataset.part, document.activeElement.closest('label')?.innerText || document.activeElement.innerText]"))
        tab.keyboard.press("Tab")
    assert {name for name, _ in reached} >= {*FIELDS, "zip", "show-files", "link"} - {"call_seconds", "slots"}
    assert all(label and label.strip() for name, label in reached if name)
    tab.locator("[data-part=show-files]").focus()
    tab.keyboard.press("Enter")
    tab.wait_for_selector("[data-part=files] details")
    assert "README.md" in tab.locator("[data-part=done]").inner_text()
    assert tab.locator("[role=status]").count() >= 2


@pytest.mark.live
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_accessible_with_everything_open(page, width: int, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    tab = page("#plan?gpus=10&judge_gpus=2&judge_calls=1&goal=rl&walltime_hours=1", viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab.click("[data-part=show-files]")
    tab.wait_for_selector("[data-part=files] details")
    tab.evaluate("document.querySelectorAll('[data-part=files] details').forEach(fold => fold.open = true)")
    found = [(its["id"], [node["html"][:120] for node in its["nodes"]][:3]) for its in Axe().run(tab).response["violations"]]
    assert found == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.live
def test_without_javascript_formulas_and_worked_plans(page) -> None:
    tab = page(java_script_enabled=False)
    assert not tab.locator("form.planner").is_visible()
    assert tab.locator("#three-worked-plans .highlight-console").count() == 3 and tab.locator("#the-formulas table").is_visible()


@pytest.mark.live
def test_it_works_from_disk_and_asks_no_other_host(browser) -> None:
    context = browser.new_context()
    tab, asked = context.new_page(), []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto((HTML / f"{NAME}.html").as_uri() + "#plan?tasks=20")
    with tab.expect_download() as download:
        tab.click("[data-part=zip]")
    assert download.value.suggested_filename == "plan.zip"
    assert "tasks=20" in tab.evaluate("location.hash") and [url for url in asked if not url.startswith(("file:", "blob:"))] == []
    context.close()
