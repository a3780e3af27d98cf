"""The site's search: the index, loaded by ``search.html`` and by each page's dialog, and that page in place of Sphinx's own.

The index holds what each page and each section says, in words and sentences; it is collected while pages are read and
kept with Sphinx's environment. It is a script, because a page opened from disk may load a script but no data file.
``docs/_static/search/engine.js`` ranks; beside this file, ``asked.yaml`` has what readers ask, by section, and ``terms.yaml`` synonyms.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import boxes
import problems
import yaml
from docutils import nodes
from sphinx import addnodes
from sphinx.search import IndexBuilder
from sphinx.util import logging

TERMS, ASKED = Path(__file__).with_name("terms.yaml"), Path(__file__).with_name("asked.yaml")
SCRIPTS = ("minisearch.min.js", "engine.js", "results.js")  # of docs/_static/search, in this order
logger = logging.getLogger(__name__)
RECORD = (nodes.section, addnodes.desc)
SILENT = (nodes.title, nodes.literal_block, nodes.raw, nodes.comment, nodes.image, addnodes.index, addnodes.toctree)
NAME = re.compile(r"[A-Za-z_][\w.@/-]*[A-Za-z0-9]")


def is_record(node: nodes.Node) -> bool:
    """A section, an entry, or the folded setup of a guide."""
    return isinstance(node, RECORD) or boxes.is_setup(node)


def words(node: nodes.Node) -> str:
    return " ".join(node.astext().split())


def statements(node: nodes.Node) -> Iterator[str]:
    """The paragraphs, captions and table rows of a record: not its code, nor the records below it."""
    for child in node.children:
        if isinstance(child, nodes.row):
            yield " · ".join(filter(None, map(words, child.children)))
        elif isinstance(child, nodes.TextElement) and not isinstance(child, SILENT):
            yield words(child)
        elif not isinstance(child, SILENT) and not is_record(child):
            yield from statements(child)


def code(node: nodes.Node) -> Iterator[str]:
    """The names in a record's code: keys, options and functions are searched for, numbers and punctuation are not."""
    for child in node.children:
        if isinstance(child, nodes.literal_block):
            yield from NAME.findall(child.astext())
        elif isinstance(child, nodes.Element) and not is_record(child):
            yield from code(child)


def entry_names(entry: addnodes.desc) -> Iterator[str]:
    """What an entry of the reference is called: its anchors, and its names in the index, flags and earlier ones among them."""
    for signature in entry.findall(addnodes.desc_signature):
        yield from signature["ids"]
    before = entry.parent.children[entry.parent.index(entry) - 1]
    for _, name, *_ in before["entries"] if isinstance(before, addnodes.index) else ():
        yield re.sub(r" \([^)]*\)$", "", name)


def records(docname: str, doctree: nodes.document) -> Iterator[dict]:
    """The page's introduction, then its sections and entries."""
    for node in doctree.findall(is_record):
        record: dict = {}
        if isinstance(node, addnodes.desc):
            titles = [words(signature) for signature in node.findall(addnodes.desc_signature)]
            names = list(dict.fromkeys(entry_names(node)))
            if not names:
                continue
            record = {"id": names[0], "title": ", ".join(dict.fromkeys(titles)), "names": " ".join(names)}
            node = node.next_node(addnodes.desc_content)
        elif boxes.is_setup(node):
            record = {"id": boxes.SETUP_ID, "title": words(node[0])}
        else:
            record = {"id": node["ids"][0] if isinstance(node.parent, nodes.section) else "", "title": words(node.next_node(nodes.title))}
            if "problem" in node["classes"]:
                if docname != problems.HOME:
                    continue  # a guide shows an entry that is found where it lives
                codes = map(words, node.next_node(nodes.title).findall(nodes.literal))
                record["messages"] = [record["title"], *(code for code in codes if " " in code and not code.startswith("gym "))]
        record["text"] = [text for text in statements(node) if text]
        record["code"] = " ".join(dict.fromkeys(code(node)))
        yield {key: value for key, value in record.items() if value or key in ("id", "text")}


def collect(app, doctree) -> None:
    docname = app.env.current_document.docname
    app.env.search_records = getattr(app.env, "search_records", {}) | {docname: list(records(docname, doctree))}


def merge(app, env, docnames, other) -> None:
    env.search_records = getattr(env, "search_records", {}) | {name: other.search_records[name] for name in docnames}


def with_questions(docname: str, found: list[dict], asked: dict[str, list[str]]) -> list[dict]:
    """The records of a page with the questions of readers that each of them answers."""
    if missing := asked.keys() - {record["id"] for record in found}:
        logger.warning("asked.yaml: %s has no section or entry %s", docname, ", ".join(sorted(missing)), type="search")
    return [record | ({"asked": asked[record["id"]]} if record["id"] in asked else {}) for record in found]


def index(env) -> str:
    terms, asked = (yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader) for file in (TERMS, ASKED))  # ten times as fast
    if gone := asked.keys() - {docname.partition("training/")[2] for docname in env.found_docs}:
        logger.warning("asked.yaml: there is no page %s", ", ".join(sorted(gone)), type="search")
    pages = []
    for docname in sorted(env.found_docs):
        name = docname.partition("training/")[2]
        pages.append({
            "url": f"{docname}.html",
            "title": env.titles[docname].astext(),
            "description": env.metadata[docname].get("description", ""),
            "asked": terms["pages"].get(name, []),
            "sections": with_questions(docname, env.search_records[docname], asked.get(name, {})),
        })  # fmt: skip
    data = {"stop": terms["stop"].split(), "synonyms": terms["synonyms"], "pages": pages}
    stemmer = IndexBuilder(env, "en", {}, "").get_js_stemmer_code()
    return f"{stemmer}\nconst SEARCH_DATA = {json.dumps(data, ensure_ascii=False, separators=(',', ':'))};\n"


def write(app) -> Iterator[tuple[str, dict, str]]:
    text = index(app.env)
    Path(app.outdir, "search-index.js").write_text(text, encoding="utf-8")
    version = hashlib.sha256(text.encode()).hexdigest()[:8]
    yield "search", {"title": "Search", "metatags": '<meta name="robots" content="noindex" />', "index": f"search-index.js?v={version}"}, "search.html"


def add_scripts(app, pagename, templatename, context, doctree) -> None:
    """The search page loads the search with itself, the others when their dialog opens (``layout.html``)."""
    if pagename == "search":
        for name in SCRIPTS:
            app.add_js_file(f"search/{name}", loading_method="defer")
    else:
        context["search_scripts"] = ["search-index.js", *(f"_static/search/{name}" for name in SCRIPTS)]


def setup(app) -> dict:
    app.add_config_value("search_changed", [file.stat().st_mtime_ns for file in (Path(__file__), TERMS, ASKED)], "env", types=[list])
    app.connect("builder-inited", lambda app: setattr(app.builder, "search", False))  # Sphinx's own index and page
    app.connect("doctree-read", collect)
    app.connect("env-merge-info", merge)
    app.connect("html-collect-pages", write)
    app.connect("html-page-context", add_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
