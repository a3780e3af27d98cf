"""reference/performance-tuning/plan-a-run: the planner in the browser, plan.py, capacity.py and memory_worksheet.py give equal numbers."""

from __future__ import annotations

import dataclasses
import gzip
import itertools
import json
import math
import random
import re
import runpy
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


def test_a_run_is_read_as_gym_prints_it(tmp_path: Path) -> None:
    """One shard of 4 rollouts at 32 a minute, one of 20 at 60: 24 rollouts in 27.5 s."""
    for shard, line in enumerate(("Finished 4 / 4 rollouts (100%) in 0:00:07 (32.00 rollouts/min). Examples left:", "Finished 20 / 20 rollouts (100%) in 0:00:20 (60.00 rollouts/min). ")):
        (tmp_path / "results" / f"shard-{shard}").mkdir(parents=True)
        (tmp_path / "results" / f"shard-{shard}" / "run.log").write_text(f"Finished 1 / 4 rollouts (25%) in 0:00:05 (12.00 rollouts/min). \n{line}\n")
    assert runpy.run_path(str(FOLDER / "carry_out.py"))["took"](tmp_path) == (24, 27.5)


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


# --- the files --------------------------------------------------------------------------------------------------------


def grid() -> list[dict]:
    """Every kind of plan: goals, places, judges, calls, jobs, and GPUs of one node and of several."""
    base = {name: field.default for name, field in FIELDS.items()}
    found = []
    for goal, where, judge_calls, calls, walltime_hours in itertools.product(PLAN.GOALS, PLAN.WHERE, (0.0, 1.5), (1.0, 3.0), (0.0, 0.1)):
        found.append(base | {"goal": goal, "where": where, "judge_calls": judge_calls, "calls": calls, "walltime_hours": walltime_hours})
    for gpus, judge_gpus, model, precision, repeats in itertools.product((1, 8, 24), (0, 1, 4), base_models(), PLAN.HARDWARE["weight_bytes"], (1, 16)):
        found.append(base | {"goal": "rl", "gpus": gpus, "judge_gpus": judge_gpus, "judge_calls": float(judge_gpus > 0), "model": model, "precision": precision,
                             "repeats": repeats, "tasks": 100})
    return [given for given in found if not planned(given)["problem"]]


def base_models() -> list[str]:
    return ["Qwen/Qwen3-4B-Instruct-2507", "meta-llama/Llama-3.1-70B-Instruct"]


@pytest.fixture(scope="module")
def written(browser, address) -> list[dict[str, str]]:
    """The files of each plan of the grid, as the page writes them."""
    tab = browser.new_page()
    tab.goto(f"{address}/{NAME}.html")
    tab.click("[data-part=show-files]")
    tab.wait_for_selector("[data-part=files] details")
    found = tab.evaluate("inputs => inputs.map(its => planner.files(its, planner.plan(its)))", grid())
    tab.close()
    return found


# Runs in the environment that has Gym, all plans in one process: as `gym env start` and `gym eval run --no-serve` load them.
LOAD = """
import json, os
from omegaconf import OmegaConf
from nemo_gym.global_config import GlobalConfigDictParser, GlobalConfigDictParserConfig
from nemo_gym.rollout_collection import RolloutCollectionConfig
os.environ |= {"POLICY_API_KEY": "a", "JUDGE_API_KEY": "b"}
seen = []
for number, (servers, collect) in enumerate(json.load(open("plans.json"))):
    open("servers.yaml", "w").write(servers[0]); open("env.yaml", "w").write(servers[1]); open("collect.yaml", "w").write(collect)
    whole = GlobalConfigDictParser().parse(GlobalConfigDictParserConfig(
        skip_load_from_cli=True, offline=True, initial_global_config_dict=OmegaConf.create({"config_paths": ["servers.yaml", "collect.yaml"]})))
    own = OmegaConf.to_container(OmegaConf.load("collect.yaml"))
    unknown = set(own) - set(RolloutCollectionConfig.model_fields)
    assert not unknown, unknown
    its = RolloutCollectionConfig.model_validate(OmegaConf.to_container(whole) | {"input_jsonl_fpath": "a.jsonl", "output_jsonl_fpath": "b.jsonl"})
    assert its.num_samples_in_parallel == own["num_samples_in_parallel"] >= 1
    agents = [name for name in whole if name.endswith("simple_agent")]
    model = whole["policy_model"]["responses_api_models"]["vllm_model"]
    seen.append([agents[0], bool(model["return_token_id_information"]), "judge_model" in whole, not isinstance(model["base_url"], str)])
print("ANSWER" + json.dumps(seen))
"""


@pytest.mark.gym
@pytest.mark.live
@pytest.mark.timeout(900)
def test_gym_loads_every_configuration(written: list[dict[str, str]], worker, tmp_path: Path) -> None:
    plans = sorted({((its["servers.yaml"], its["env.yaml"]), its["collect.yaml"]) for its in written})
    pairs = {}  # each servers.yaml with its env.yaml once, and each collect.yaml once: they do not depend on each other
    for servers, collect in plans:
        pairs.setdefault(servers, collect)
    pairs = [*pairs.items(), *((plans[0][0], collect) for collect in {collect for _, collect in plans} - set(pairs.values()))]
    (tmp_path / "plans.json").write_text(json.dumps(pairs))
    said = worker.ask(tmp_path, LOAD)
    assert "exit code 0" in said, said[-3000:]
    seen = json.loads(re.search(r"ANSWER(.*)", said)[1])
    assert len(seen) == len(pairs) >= 60
    assert {kind[0] for kind in seen} == {"equivalence_llm_judge_simple_agent", "string_match_simple_agent"}
    assert {tuple(kind[1:]) for kind in seen} >= {(False, False, False), (True, False, False), (False, True, False), (True, True, True)}


@pytest.mark.live
def test_the_models_are_started_as_the_worksheet_says(written: list[dict[str, str]]) -> None:
    """The words of memory_worksheet.py's command, on each node, and flags that this vLLM has."""
    flags = json.loads((DOCS / "training/reference/performance-tuning/vllm_flags.json").read_text())["flags"]
    checked = 0
    for given, its in zip(grid(), written):
        if given["where"] != "gpus":
            continue
        script, asked = its["start_models.sh"], PLAN.Asked(**given)
        assert sorted(set(re.findall(r" (--[a-z-]+)", re.sub(r"^for .*", "", script, flags=re.S | re.M).split("for port")[0])) - flags.keys()) == []
        model = PLAN.served(given["model"], given["gpus"] - given["judge_gpus"], asked, 8000)
        for line in memory_commands(model, asked):
            words = set(re.sub(r"^# node \d+\n|\\\n", "", line).replace("CUDA_VISIBLE_DEVICES=", "GPUS ").split())
            assert any(words <= set(own.replace("CUDA_VISIBLE_DEVICES=", "GPUS ").split()) for own in script.splitlines()), (line, script)
            checked += 1
    assert checked > 100


def memory_commands(model, asked) -> list[str]:
    from memory_worksheet import commands

    share = model.share(PLAN.HARDWARE["gpus"][asked.gpu]["memory_gib"] * PLAN.GIB)
    return commands(model, share, PLAN.HARDWARE["gpus_per_node"])


@pytest.mark.live
def test_the_scripts_are_sound_bash(written: list[dict[str, str]], tmp_path: Path) -> None:
    texts = {text for its in written for name, text in its.items() if name.endswith(".sh")}
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.sh").write_text(text)
    checked = subprocess.run(["bash", "-c", 'for script in *.sh; do bash -n "$script" || exit 1; done'], cwd=tmp_path, capture_output=True, text=True)
    assert checked.returncode == 0 and len(texts) > 20, checked.stderr


@pytest.mark.live
def test_comments_keep_their_line(written: list[dict[str, str]]) -> None:
    """What a reader copies has no line of more than 100 columns, but for commands and reasons in prose."""
    for its in written:
        for name in ("servers.yaml", "collect.yaml", "env.yaml"):
            assert [line for line in its[name].splitlines() if len(line) > 110] == []
            assert not re.search(r"undefined|NaN|null|\[object", its[name]), its[name]
