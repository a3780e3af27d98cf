"""Front matter is written once, in the page, and read by everything that speaks about the page.

The meta description, the chips below the title and the cards of the index come from it. A missing or wrong
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
from sphinx.util import logging

FOLDERS = {"how-to": "How-to guides", "reference": "Reference"}
AUDIENCES = ["practitioners", "platform engineers", "researchers"]
LEVELS = ["beginner", "intermediate", "advanced"]
DIMENSIONS = ["Data generation", "Verification", "Data quality", "Formats", "Configuration", "Scale", "Integration"]

# key -> (what it must be, test)
RULES = {
    "description": (
        "a sentence of 50 to 160 characters",
        lambda value: isinstance(value, str) and 50 <= len(value) <= 160,
    ),
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


def sound(env, docname: str) -> Page | None:
    """The page if its front matter is right."""
    page = find(env, docname)
    return page if page and not problems(page) else None


def warn(app, docname, _source) -> None:
    page = find(app.env, docname)
    for key, expected in problems(page).items() if page else ():
        found = f"is {page.meta[key]!r}" if key in page.meta else "is missing"
        logger.warning("front matter key %r %s, it must be %s", key, found, expected, location=docname)


def add_chips(app, doctree, docname) -> None:
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


def setup(app) -> dict:
    app.connect("source-read", warn)
    app.connect("doctree-resolved", add_chips)
    app.connect("html-page-context", add_context)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
