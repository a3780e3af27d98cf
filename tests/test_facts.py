"""The reference cannot drift: the facts are the package's, and no entry can be missing, made up or doubled."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from gym_facts import difference
from pages import ROOT
from site_map import GUIDES, SourcePage
from sphinx.util.inventory import InventoryFile

EXTENSIONS = ROOT / "docs" / "_ext"
COMMITTED = EXTENSIONS / "facts.json"

# --- what the package says --------------------------------------------------------------------------------------------

# Reads the same classes a second time, with pydantic and not from their source.
SECOND_READING = r"""
import enum, importlib, json, os, sys
from pydantic import BaseModel

facts = json.load(open(sys.argv[1]))
compared, differing = 0, []
for key in dict.fromkeys(cls for group in (*facts["setting_groups"].values(), *facts["field_groups"].values()) for cls in group["classes"]):
    module, _, name = key.partition(":")
    try:
        model = getattr(importlib.import_module(module), name)
    except ImportError:  # needs what only the server's own environment has
        continue
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        continue
    said = {}
    for cls in (*reversed(facts["classes"][key]["bases"]), key):
        said.update({field["name"]: field for field in facts["classes"].get(cls, {"fields": []})["fields"]})
    real = {field.alias or word: field for word, field in model.model_fields.items()}
    if list(real) != list(said):
        differing.append(f"{key}: {list(real)} != {list(said)}")
    for word in real.keys() & said.keys():
        field, facts_ = real[word], said[word]
        pairs = [("required", field.is_required(), "required" in facts_)]
        if "default" in facts_:
            value = field.get_default(call_default_factory=True)
            value = value.value if isinstance(value, enum.Enum) else os.fspath(value) if isinstance(value, os.PathLike) else value
            pairs.append(("default", list(value) if isinstance(value, tuple | set | frozenset) else value, facts_["default"]))
        signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
        limits = {f"{sign} {getattr(item, name):g}" for item in field.metadata for name, sign in signs.items() if hasattr(item, name) and getattr(item, name) is not None}
        pairs.append(("limits", limits - set(facts_.get("limits", [])), set()))
        compared += 1
        differing += [f"{key}.{word} {what}: {a!r} != {b!r}" for what, a, b in pairs if a != b]
print(json.dumps({"compared": compared, "differing": differing}))
"""


@pytest.mark.gym
def test_the_facts_are_those_of_the_installed_package(gym_python: Path, tmp_path: Path) -> None:
    output = tmp_path / "facts.json"
    subprocess.run([gym_python, "-m", "gym_facts", output], check=True, cwd=ROOT)
    same = output.read_text(encoding="utf-8") == COMMITTED.read_text(encoding="utf-8")
    assert same, "docs/_ext/facts.json is not what the installed package gives: run `make facts`"


@pytest.mark.gym
def test_no_failure_class_that_has_a_name_of_its_own_is_missing(gym_python: Path) -> None:
    """The table calls itself complete: each constant ``..._FAILURE_CLASS = "..."`` of the package is in it."""
    package = gym_python.parents[1]
    folders = [folder for name in ("nemo_gym", "resources_servers", "responses_api_agents") for folder in package.glob(f"lib/python*/site-packages/{name}")]
    source = "\n".join(path.read_text() for folder in folders for path in folder.rglob("*.py") if "tests" not in path.parts)
    named = set(re.findall(r'^\w*FAILURE_CLASS = "(\w+)"', source, re.M))
    assert len(named) > 10 and named - json.loads(COMMITTED.read_text(encoding="utf-8"))["failure_classes"].keys() == set()


@pytest.mark.gym
def test_pydantic_agrees_with_the_source(gym_python: Path) -> None:
    command = [gym_python, "-c", SECOND_READING, COMMITTED]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    assert found["differing"] == []
    assert found["compared"] > 900


def test_every_configuration_class_has_a_place() -> None:
    assert json.loads(COMMITTED.read_text(encoding="utf-8"))["unplaced"] == []


# --- the difference between two releases ------------------------------------------------------------------------------


def facts() -> dict:
    """Facts of a release with two settings, a command and little else."""
    fields = [
        {
            "name": "limit",
            "type": "int or null",
            "limits": ["≥ 1"],
            "default": None,
            "description": "How many.",
            "line": 1,
        },
        {"name": "mode", "type": "string", "choices": ["fast", "safe"], "required": True, "line": 2},
    ]
    return {
        "release": "1.0",
        "requires_python": ">=3.13",
        "classes": {
            "gym.run:RunConfig": {"line": 1, "doc": "", "bases": [], "extra": "forbid", "fields": fields},
            "gym.row:Row": {"line": 1, "doc": "", "bases": [], "extra": "allow", "fields": [{"name": "reward", "type": "float", "required": True, "line": 1}]},
            "gym.agent:AgentConfig": {"line": 1, "doc": "", "bases": ["gym.run:RunConfig"], "extra": "ignore", "fields": [{"name": "turns", "type": "int", "default": 3, "line": 1}]},
        },
        "setting_groups": {"run": {"classes": ["gym.run:RunConfig"], "entries": ["run.limit", "run.mode"]}},
        "settings": {
            "run.limit": {"key": "limit", "group": "run", "in": ["gym.run:RunConfig"], "flags": [{"command": "eval run", "names": ["--limit", "-l"], "key": "limit"}]},
            "run.mode": {"key": "mode", "group": "run", "in": ["gym.run:RunConfig"]},
        },
        "field_groups": {"row": {"classes": ["gym.row:Row"], "entries": ["row.reward"]}},
        "fields": {"row.reward": {"key": "reward", "group": "row", "in": ["gym.row:Row"]}},
        "components": {"agents/one": {"classes": ["gym.agent:AgentConfig"], "configs": []}},
        "commands": {
            "eval run": {"summary": "", "reads": [], "flags": [
                {"names": ["--limit", "-l"], "takes": "VALUE", "keys": {"limit": "run.limit"}, "help": ""},
                {"names": ["--dry-run"], "takes": "", "keys": {}, "help": ""},
            ]},
        },
        "legacy_commands": {"ng_run": "gym eval run"},
        "variables": {"GYM_HOME": [{"access": "read", "file": "gym/run.py", "line": 1, "default": "~"}]},
        "component_variables": {}, "unplaced": [],
        "failure_kinds": [{"name": "lost", "layer": "transport", "line": 1}], "failure_stages": [], "failure_classes": {},
        "checks": [{"id": "empty", "scope": "rollout", "subject": "record", "reads": ["record"]}],
        "telemetry_metrics": [], "span_groups": [], "domains": ["math"], "dataset_types": [],
    }  # fmt: skip


def differences(change) -> list[str]:
    new = copy.deepcopy(facts())
    change(new)
    return [text for text in "\n".join(difference.compare(facts(), new)).splitlines()[1:] if text]


def field_of(data: dict, index: int) -> dict:
    return data["classes"]["gym.run:RunConfig"]["fields"][index]


def add_a_setting(data: dict) -> None:
    data["classes"]["gym.run:RunConfig"]["fields"].append({"name": "seed", "type": "int", "default": 0, "line": 3})
    data["settings"]["run.seed"] = {"key": "seed", "group": "run", "in": ["gym.run:RunConfig"]}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda data: None, []),
        (lambda data: field_of(data, 0).update(line=99), []),
        (add_a_setting, ["Settings: 1 added", "  + run.seed  type int; default 0"]),
        (lambda data: data["settings"].pop("run.mode"), ["Settings: 1 removed", "  - run.mode"]),
        (lambda data: field_of(data, 0).update(default=5), ["Settings: 1 changed", "  ~ run.limit  default null -> 5"]),
        (
            lambda data: field_of(data, 1).update(choices=["safe", "slow"], required=False, default="safe"),
            ["Settings: 1 changed", '  ~ run.mode  choices without ["fast"] and with ["slow"]; required true -> false; now default safe'],
        ),
        (lambda data: field_of(data, 0).update(description="So many."), ["Settings: 1 described in other words", '  " run.limit']),
        (
            lambda data: data["commands"]["eval run"]["flags"][0].update(names=["--limit"]),
            ["Flags: 1 changed", '  ~ gym eval run --limit  no longer also ["-l"]'],
        ),
        (lambda data: data["variables"].pop("GYM_HOME"), ["Environment variables: 1 removed", "  - GYM_HOME"]),
        (lambda data: data["domains"].append("games"), ["Domains: 1 added", "  + games"]),
        (lambda data: data["unplaced"].append("gym.new:Config"), ["Classes that no group of settings has yet: 1 added", "  + gym.new:Config"]),
    ],
)  # fmt: skip
def test_a_difference_between_releases_is_told(change, expected: list[str]) -> None:
    assert differences(change) == expected


def test_the_difference_of_files(tmp_path: Path) -> None:
    old, new, broken = (tmp_path / name for name in ("old.json", "new.json", "broken.json"))
    old.write_text(json.dumps(facts()))
    new.write_text(json.dumps(facts() | {"release": "2.0", "domains": []}))
    broken.write_text("{")
    command = [sys.executable, "-m", "gym_facts.difference"]
    result = subprocess.run([*command, old, new], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout == "nemo-gym 1.0 -> 2.0\n\nDomains: 1 removed\n  - math\n"
    result = subprocess.run([*command, old, broken], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "broken.json" in result.stderr


# Modules as the package's main branch has them: the folder that a module went to.
MOVES = {
    "rollouts": ["rollout_collection", "rollout_reverification", "rollout_health", "rollout_observability", "skills"],
    "core": ["failure_kinds", "config_types", "global_config"],
    "server_runtime": ["base_resources_server", "base_responses_api_model", "server_utils"],
    "agents": ["base_responses_api_agent"],
}


def with_moved_modules(gym_python: Path, folder: Path) -> None:
    """A copy of the package's source in which modules lie elsewhere, and everything imports them from there."""
    site = Path(subprocess.run([gym_python, "-c", "import nemo_gym; print(nemo_gym.__path__[0])"], check=True, capture_output=True, text=True).stdout.strip()).parent
    where = {module: f"nemo_gym.{new}.{module}" for new, modules in MOVES.items() for module in modules}
    imports = re.compile(rf"\bnemo_gym\.({'|'.join(where)})\b")
    for top in ("nemo_gym", "responses_api_agents", "responses_api_models", "resources_servers", "environment_servers", "benchmarks", "environments"):
        for path in (*site.glob(f"{top}/**/*.py"), *site.glob(f"{top}/**/*.yaml")):
            inside = path.relative_to(site)
            if top == "nemo_gym" and len(inside.parts) == 2 and path.stem in where:
                inside = Path(*where[path.stem].split(".")).with_suffix(".py")
            target = folder / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(imports.sub(lambda match: where[match[1]], path.read_text(encoding="utf-8", errors="replace")), encoding="utf-8")
    for new in MOVES:
        (folder / "nemo_gym" / new / "__init__.py").touch()
    (folder / "openai").symlink_to(site / "openai")


@pytest.mark.gym
def test_a_class_that_moved_is_neither_gone_nor_new(gym_python: Path, tmp_path: Path) -> None:
    with_moved_modules(gym_python, tmp_path / "package")
    output = tmp_path / "facts.json"
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "package")}
    subprocess.run([gym_python, "-m", "gym_facts", output], check=True, cwd=ROOT, env=environment)
    old, new = (json.loads(path.read_text(encoding="utf-8")) for path in (COMMITTED, output))
    lines = "\n".join(difference.compare(old, new)).splitlines()
    assert [line for line in lines if line.startswith(("  + ", "  - ", "  ~ "))] == []
    moved = [line for line in lines if line.startswith("  > ")]
    assert len(moved) > 40 and f"Classes: {len(moved)} moved" in lines
    assert all(re.match(rf"  > (built:)?nemo_gym\.\w+:\w+  to nemo_gym\.({'|'.join(MOVES)})\.", line) for line in moved), moved


# --- the entries of a page --------------------------------------------------------------------------------------------


def build(folder: Path, pages: dict[str, str], *options: str, data: dict | None = None) -> subprocess.CompletedProcess:
    """Build a site of these pages strictly, as this site is built."""
    folder.mkdir()
    (folder / "facts.json").write_text(json.dumps(data or facts()), encoding="utf-8")
    configuration = f"import sys\nsys.path.insert(0, {str(EXTENSIONS)!r})\nextensions = ['myst_parser', 'facts']\n"
    configuration += "myst_enable_extensions = ['colon_fence']\nhtml_theme = 'basic'\ngym_facts = 'facts.json'\n"
    (folder / "conf.py").write_text(configuration)
    listing = "\n".join(pages)
    for name, text in {"index": f"```{{toctree}}\n{listing}\n```", **pages}.items():
        (folder / f"{name}.md").write_text(f"# {name}\n\n{text}\n", encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-W", "-n", "--keep-going", "-q", *options, folder, folder / "out"]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def entry(kind: str, name: str, prose: str = "What it means.") -> str:
    return f":::{{gym:{kind}}} {name}\n{prose}\n:::\n"


COMPLETE = {
    "settings": "```{gym:covers} settings commands variables\n```\n```{gym:fields} run\n```\n"
    + entry("setting", "run.limit", "At most so many, see {gym:setting}`mode`.")
    + entry("setting", "run.mode")
    + entry("command", "gym eval run")
    + entry("flag", "--dry-run", "Only say what would happen.")
    + entry("variable", "GYM_HOME")
    + "```{gym:fields} agents/one\n```\n",
    "files": "```{gym:covers} row failures checks\n```\n"
    + entry("field", "row.reward")
    + entry("failure", "lost")
    + entry("check", "empty"),
    "guide": "{gym:setting}`limit` {gym:setting}`run.limit` {gym:setting}`the limit <limit>` {gym:flag}`-l` "
    "{gym:flag}`gym eval run --dry-run` {gym:command}`eval run` {gym:command}`ng_run` {gym:variable}`GYM_HOME` "
    "{gym:field}`reward` {gym:failure}`lost` {gym:check}`empty` {gym:group}`run`",
}


@pytest.mark.live
def test_entries_show_the_facts_and_can_be_linked_to(tmp_path: Path) -> None:
    result = build(tmp_path / "site", COMPLETE)
    assert (result.returncode, result.stderr) == (0, "")
    page = (tmp_path / "site/out/settings.html").read_text(encoding="utf-8")
    for text in (
        "int or null",
        "≥",
        "--limit",
        "fast",
        "RunConfig",
        "ng_run",
        "gym/run.py",
        "turns",
        "At most so many",
    ):
        assert text in page
    guide = (tmp_path / "site/out/guide.html").read_text(encoding="utf-8")
    for anchor in (
        "setting-run.limit",
        "flag-gym-eval-run-dry-run",
        "command-gym-eval-run",
        "variable-GYM_HOME",
        "keys-run",
    ):
        assert f'href="settings.html#{anchor}"' in guide and f'id="{anchor}"' in page
    inventory = InventoryFile.loads((tmp_path / "site/out/objects.inv").read_bytes(), uri="").data
    assert inventory["gym:setting"]["run.limit"].uri == "settings.html#setting-run.limit"
    assert "limit (setting)" in (tmp_path / "site/out/genindex.html").read_text(encoding="utf-8")


# What is wrong with a page -> the page, and what the build says about it.
WRONG = {
    "unknown": (entry("setting", "run.gone"), "nemo-gym 1.0 has no setting 'run.gone'"),
    "empty": (entry("setting", "run.mode", ""), "gym:setting run.mode has no prose"),
    "again": (entry("setting", "run.mode"), "gym:setting run.mode is described already in"),
    "missing": ("```{gym:covers} run row\n```", "1 without prose in 'row': field row.reward"),
    "uncovered": ("```{gym:covers} runs\n```", "gym:covers: there is no 'runs'"),
    "typed": (entry("variable", "GYM_HOME") + entry("setting", "run.limit", ":type: int\n\nMany."), "the type of run.limit comes from the package"),
    "dangling": ("{gym:setting}`run.gone`", "gym:setting reference target not found: run.gone"),
    "nothing": ("```{gym:fields} nothing\n```", "nemo-gym 1.0 has no 'nothing'"),
}  # fmt: skip


@pytest.mark.live
@pytest.mark.parametrize("options", [[], ["-j", "2"]], ids=["serial", "parallel"])
def test_what_is_wrong_fails_the_build(tmp_path: Path, options: list[str]) -> None:
    result = build(tmp_path / "site", {name: text for name, (text, _) in WRONG.items()}, *options)
    said = [line for line in result.stderr.splitlines() if "WARNING" in line]
    assert result.returncode != 0
    for name, (_, expected) in WRONG.items():
        pages = ("again.md", "empty.md") if name == "again" else (f"{name}.md",)
        assert [line for line in said if expected in line and any(page in line for page in pages)], (name, said)
    assert len(said) == len(WRONG), said


def with_the_same_key_twice() -> dict:
    data = facts()
    data["classes"]["gym.other:Other"] = {
        "line": 1,
        "doc": "",
        "bases": [],
        "extra": "ignore",
        "fields": [{"name": "limit", "type": "int", "default": 7, "line": 1}],
    }
    data["setting_groups"]["other"] = {"classes": ["gym.other:Other"], "entries": ["other.limit"]}
    data["settings"]["other.limit"] = {"key": "limit", "group": "other", "in": ["gym.other:Other"]}
    return data  # fmt: skip


@pytest.mark.live
def test_a_target_with_several_meanings_fails_the_build(tmp_path: Path) -> None:
    page = (
        entry("setting", "run.limit")
        + entry("setting", "other.limit")
        + "{gym:setting}`run.limit` {gym:setting}`limit`"
    )
    result = build(tmp_path / "site", {"page": page}, data=with_the_same_key_twice())
    assert result.stderr.count("WARNING") == 1
    assert "gym:setting 'limit' can mean any of run.limit, other.limit" in result.stderr


@pytest.mark.live
def test_the_same_words_can_stand_for_several_settings(tmp_path: Path) -> None:
    page = entry("setting", "run.limit other.limit") + "{gym:setting}`limit`"
    result = build(tmp_path / "site", {"page": page}, data=with_the_same_key_twice())
    assert (result.returncode, result.stderr) == (0, "")
    html = (tmp_path / "site/out/page.html").read_text(encoding="utf-8")
    assert html.count('class="sig-name descname"') == 1
    for text in (
        'id="setting-run.limit"',
        'id="setting-other.limit"',
        'href="#setting-run.limit"',
        ">7<",
        "int or null",
    ):
        assert text in html


# --- guides -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_a_guide_that_names_an_option_links_to_it(page: SourcePage) -> None:
    """The first mention at least; a key that is also a word of its own (`limit`) or a server type is left to the author."""
    data = json.loads(COMMITTED.read_text(encoding="utf-8"))
    keys = {entry["key"] for entry in data["settings"].values() if "_" in entry["key"] and not entry["key"].endswith("_model")}
    linked = {target.rpartition(".")[2] for target in re.findall(r"\{gym:(?:setting|field)\}`(?:[^`<]*<)?([^`>]+)>?`", page.prose)}
    prose = re.sub(r"^#.*$", "", page.prose, flags=re.M)
    named = {re.sub(r"^\++", "", word).partition("=")[0] for word in re.findall(r"(?<![}`])`([^`\s]+)`", prose)}
    assert sorted((named & keys) - linked) == []
