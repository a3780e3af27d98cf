"""Front matter is written once, in the page, and read by everything that speaks about the page.

The meta description, the chips below the title, the cards of the index and the sidebar come from it. A missing or wrong
value is a build warning that names the file and the key.
"""

from __future__ import annotations

import functools
import html
import re
from pathlib import Path
from typing import NamedTuple

import minutes
import verified
import yaml
from docutils import nodes
from sphinx import addnodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

FOLDERS = {"how-to": "How-to guides", "reference": "Reference"}
JOBS = {
    "collect": "Collect rollouts",
    "scale": "Scale up",
    "curate": "Curate data",
    "verify": "Verify and reward",
    "train": "Train",
    "fix": "Fix problems",
}
AUDIENCES = ["practitioners", "platform engineers", "researchers"]
LEVELS = ["beginner", "intermediate", "advanced"]
DIMENSIONS = ["Data generation", "Verification", "Data quality", "Formats", "Configuration", "Scale", "Integration"]

# key -> (what it must be, test)
RULES = {
    "description": (
        "a sentence of 50 to 160 characters",
        lambda value: isinstance(value, str) and 50 <= len(value) <= 160,
    ),
    "job": (f"one of {', '.join(JOBS)}", lambda value: value in list(JOBS)),
    "audience": (f"one of {', '.join(AUDIENCES)}", lambda value: value in AUDIENCES),
    "level": (f"one of {', '.join(LEVELS)}", lambda value: value in LEVELS),
    "dimensions": (
        f"a list of {', '.join(DIMENSIONS)}",
        lambda value: isinstance(value, list) and value != [] and all(item in DIMENSIONS for item in value),
    ),
}

logger = logging.getLogger(__name__)


class Page(NamedTuple):
    docname: str
    path: Path
    title: str
    meta: dict


@functools.cache
def _read(docname: str, path: Path, _mtime: int) -> Page:
    text = path.read_text(encoding="utf-8")
    block = re.match(r"---\n(.*?)^---$", text, re.DOTALL | re.MULTILINE)
    try:
        meta = yaml.load(block[1], yaml.CSafeLoader) if block else None
    except yaml.YAMLError:
        meta = None
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    return Page(docname, path, title[1] if title else docname, meta if isinstance(meta, dict) else {})


def find(env, docname: str) -> Page | None:
    """The guide or reference page of this name; None for any other page."""
    if not re.fullmatch(rf"training/({'|'.join(FOLDERS)})/[^/]+", docname):
        return None
    path = Path(env.doc2path(docname))
    return _read(docname, path, path.stat().st_mtime_ns)


def problems(page: Page) -> dict[str, str]:
    """Each key that is missing or wrong, with what it must be."""
    return {key: expected for key, (expected, holds) in RULES.items() if not holds(page.meta.get(key))}


def pages(env, folder: str) -> list[Page]:
    """The sound pages of a folder, the easy ones first."""
    found = [find(env, name) for name in env.found_docs if name.startswith(f"training/{folder}/")]
    sound = [page for page in found if page and not problems(page)]
    return sorted(sound, key=lambda page: (LEVELS.index(page.meta["level"]), page.title))


def by_job(env, folder: str) -> list[tuple[str, list[Page]]]:
    """The pages of a folder below the label of their job; jobs without a page are left out."""
    groups = [(label, [page for page in pages(env, folder) if page.meta["job"] == job]) for job, label in JOBS.items()]
    return [group for group in groups if group[1]]


class GuideCards(SphinxDirective):
    """``{guide-cards} FOLDER``: a card for each page of ``training/FOLDER``, grouped by job.

    The cards are a plain list until the stylesheet turns it into a grid, so that they survive in every other format.
    """

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        groups = nodes.container(classes=["card-groups"])
        for label, group in by_job(self.env, self.arguments[0]):
            cards = nodes.bullet_list(classes=["cards"])
            for page in group:
                link = addnodes.pending_xref(
                    "", nodes.inline("", page.title), refdomain="std", reftype="doc", refexplicit=True,
                    reftarget=f"/{page.docname}", refdoc=self.env.docname, refwarn=True,
                )  # fmt: skip
                cards += nodes.list_item(
                    "",
                    nodes.paragraph("", "", link, classes=["card-title"]),
                    nodes.paragraph("", page.meta["description"]),
                    nodes.paragraph("", page.meta["level"], classes=["card-meta"], page=page.docname),
                )
            groups += nodes.container("", nodes.rubric("", label, **{"heading-level": 3}), cards, classes=[f"cards-{len(group)}"])
        return [groups]


class DimensionMatrix(SphinxDirective):
    """``{dimension-matrix}``: each page, and the dimensions of training that its front matter names."""

    def run(self) -> list[nodes.Node]:
        lines = [f"| Page | {' | '.join(DIMENSIONS)} |", "| --- |" + " --- |" * len(DIMENSIONS)]
        for page in (page for folder in FOLDERS for page in pages(self.env, folder)):
            marks = ["✓" if dimension in page.meta["dimensions"] else "" for dimension in DIMENSIONS]
            lines.append(f"| [{page.title}](/{page.docname}.md) | {' | '.join(marks)} |")
        return [nodes.container("", *self.parse_text_to_nodes("\n".join(lines)), classes=["matrix"])]


def warn(app, docname, _source) -> None:
    page = find(app.env, docname)
    for key, expected in problems(page).items() if page else ():
        found = f"is {page.meta[key]!r}" if key in page.meta else "is missing"
        logger.warning("front matter key %r %s, it must be %s", key, found, expected, location=docname)


def add_chips(app, doctree, docname) -> None:
    for fact in doctree.findall(lambda node: isinstance(node, nodes.paragraph) and "page" in node):
        fact += nodes.Text("".join(f" · {text}" for text in minutes.of(app, fact["page"])))
    page = find(app.env, docname)
    title = next(doctree.findall(nodes.title), None)
    if page is None or title is None or problems(page):
        return
    meta = page.meta
    chips = [meta["level"].capitalize(), *minutes.of(app, docname), f"For {meta['audience']}"]
    result = verified.check(app, docname)
    if result and result.holds:
        chips.append("Verified")  # against the release that the top strip names
    items = [nodes.list_item("", nodes.paragraph("", chip)) for chip in chips]
    title.parent.insert(title.parent.index(title) + 1, nodes.bullet_list("", *items, classes=["chips"]))


def add_context(app, pagename, templatename, context, doctree) -> None:
    description = (context.get("meta") or {}).get("description")
    if description:
        context["metatags"] += f'<meta name="description" content="{html.escape(description)}" />'
    context["guides"] = [*by_job(app.env, "how-to"), ("Reference", pages(app.env, "reference"))]


def cards_changed(app, env, added, changed, removed) -> list[str]:
    """The pages to read again: those that show cards and matrix, if any front matter or title is another than last time."""
    shown = [(page.docname, page.title, page.meta) for folder in FOLDERS for page in pages(env, folder)]
    before, env.cards = getattr(env, "cards", shown), shown
    return [name for name in env.found_docs if not find(env, name)] if shown != before else []


def sidebar_changed(app, env) -> list[str]:
    """The pages to write again: all, if the sidebar that each of them carries has other entries than last time."""
    sidebar = [page[::2] for folder in FOLDERS for page in pages(env, folder)]
    before, env.sidebar = getattr(env, "sidebar", sidebar), sidebar
    return sorted(env.found_docs) if sidebar != before else []


def setup(app) -> dict:
    app.add_directive("guide-cards", GuideCards)
    app.add_directive("dimension-matrix", DimensionMatrix)
    app.connect("source-read", warn)
    app.connect("doctree-resolved", add_chips)
    app.connect("html-page-context", add_context)
    app.connect("env-get-outdated", cards_changed)
    app.connect("env-updated", sidebar_changed)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
