"""``{planner}``: the form of "Plan a run", made from the fields of plan.py, with the measurements it starts from as JSON.

The page alone loads planner.js, and holds planner.css: one request less. What planner.js calculates is in plan.py, too; what goes into the zip beside the
files of the plan is one script, written at the end of the build, which comes with the first download.
"""

from __future__ import annotations

import dataclasses
import functools
import html
import importlib.util
import json
import sys
from pathlib import Path

import yaml
from docutils import nodes
from page_files import SHARED
from sphinx.util.docutils import SphinxDirective

FOLDER = "training/reference/performance-tuning/plan-a-run"
OPTIMIZE = "training/how-to/optimize-rollout-collection"
SCRIPTS = ["find_knee.py", "run_shard.sh", "shards.sbatch", "split_tasks.py", "watch_shards.py", "judge_tasks.jsonl"]
SHARED_SCRIPTS = ["practice_endpoint.py", "practice_tasks.jsonl", "rollouts.py", "rollout_contents.py", "jsonl.py", "doubts.py"]
SHARDING = ["run_shard.sh", "shards.sbatch", "split_tasks.py", "watch_shards.py", "rollouts.py", "rollout_contents.py", "jsonl.py", "doubts.py"]


@functools.cache
def module(docs: Path):
    """plan.py, which is not on the path of a build."""
    folder = docs / FOLDER
    spec = importlib.util.spec_from_file_location("planner_plan", folder / "plan.py")
    found = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = found  # its dataclass looks itself up there
    sys.path.insert(0, str(folder))
    try:
        spec.loader.exec_module(found)
    finally:
        sys.path.remove(str(folder))
    return found


def sampling(docs: Path) -> dict[str, dict]:
    """Temperature and top-p of each goal, as the guide to collecting sets them; RL samples from the model as it is."""
    found = {"rl": {"temperature": 1.0, "top_p": 1.0}}
    for goal in ("sft", "dpo", "evaluation"):
        text = (docs / OPTIMIZE / f"{goal}.yaml").read_text(encoding="utf-8")
        found[goal] = {key: yaml.load(text, yaml.CSafeLoader)["responses_create_params"][key] for key in ("temperature", "top_p")}
    return found


def data(docs: Path, release: str) -> dict:
    plan = module(docs)
    defaults = {field.name: field.default for field in dataclasses.fields(plan.Asked)}
    return {
        "release": release, "defaults": defaults, "measured": plan.MEASURED, "hardware": plan.HARDWARE, "headroom": plan.HEADROOM,
        "advice": plan.ADVICE, "where": plan.WHERE, "goals": plan.GOALS, "sampling": sampling(docs), "sharding": SHARDING,
    }


def control(field: dataclasses.Field) -> str:
    about, name = field.metadata, field.name
    hint = f' aria-describedby="planner-{name}"' if about["hint"] else ""
    if about["choices"]:
        options = "".join(f'<option value="{value}"{" selected" if value == field.default else ""}>{html.escape(label or value)}</option>'
                          for value, label in about["choices"].items())
        field_html = f'<select name="{name}"{hint}>{options}</select>'
    else:
        step = 1 if isinstance(field.default, int) else "any"
        field_html = f'<input name="{name}" type="number" value="{field.default:g}" min="{about["least"]:g}" max="{int(about["most"])}" step="{step}" required inputmode="decimal"{hint}>'
    small = f'<small id="planner-{name}">{html.escape(about["hint"])}</small>' if hint else ""
    only = f' data-only="{about["only"]}"' if about["only"] else ""
    return f'<label{only}><span>{html.escape(about["label"])} {small}</span>{field_html}</label>'


def form(fields: tuple[dataclasses.Field, ...]) -> str:
    groups: list[str] = []
    for field in fields:
        if field.metadata["group"]:
            groups.append(f'<legend>{field.metadata["group"]}</legend>')
        groups[-1] += control(field)
    return "".join(f"<fieldset>{group}</fieldset>" for group in groups)


class Planner(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        docs = Path(self.env.srcdir)
        for path in [*(docs / FOLDER).glob("*.json"), docs / FOLDER / "plan.py", Path(__file__), Path(__file__).with_suffix(".css")]:
            self.env.note_dependency(str(path))
        self.env.metadata[self.env.docname]["planner"] = True
        text = json.dumps(data(docs, self.config.release), separators=(",", ":")).replace("</", "<\\/")
        style = Path(__file__).with_suffix(".css").read_text(encoding="utf-8").strip()
        page = (
            f'<style>{style}</style><form class="planner" aria-label="What you plan" hidden>{form(dataclasses.fields(module(docs).Asked))}'
            '<p data-part="summary" role="status"></p><div data-part="results"><div data-part="plot"></div>'
            '<div data-part="table"></div>'
            '<div class="buttons"><button type="button" data-part="zip">Download plan.zip</button> <button type="button" data-part="show-files">Show the files</button> '
            '<button type="button" data-part="link">Copy link to this plan</button></div><p data-part="done" role="status"></p><div data-part="files"></div></div></form>'
            f'<script type="application/json" id="planner-data">{text}</script>'
        )
        return [nodes.raw("", page, format="html")]


def add_scripts(app, pagename, templatename, context, doctree) -> None:
    if "planner" in app.env.metadata.get(pagename, {}):
        app.add_js_file("planner.js", loading_method="defer")


def write_scripts(app, exception) -> None:
    if exception or app.builder.format != "html":
        return
    docs = Path(app.srcdir)
    places = {name: docs / FOLDER / name for name in SCRIPTS} | {name: docs / SHARED / name for name in SHARED_SCRIPTS}
    texts = {name: path.read_text(encoding="utf-8") for name, path in places.items()}
    Path(app.outdir, "planner-scripts.js").write_text(f"const PLANNER_SCRIPTS = {json.dumps(texts, ensure_ascii=False)};\n", encoding="utf-8")


def setup(app) -> dict:
    app.add_directive("planner", Planner)
    app.connect("html-page-context", add_scripts)
    app.connect("build-finished", write_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
