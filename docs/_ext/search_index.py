"""The site's search: the index, loaded by ``search.html`` and by each page's dialog, and that page in place of Sphinx's own.

The index holds the terms of each section and its first sentence, not its text; they are collected while pages are read and
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
import search_terms
import yaml
from docutils import nodes
from sphinx import addnodes
from sphinx.search import IndexBuilder
from sphinx.util import logging

ASKED = Path(__file__).with_name("asked.yaml")
CODED = ("text", "code", "asked")  # fields of which the index holds the terms, not the text
SCRIPTS = ("minisearch.min.js", "engine.js", "results.js")  # of docs/_static/search, in this order
logger = logging.getLogger(__name__)
RECORD = (nodes.section, addnodes.desc)
SILENT = (nodes.system_message, nodes.title, nodes.literal_block, nodes.raw, nodes.comment, nodes.image, addnodes.index, addnodes.toctree)
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


def last(title: str) -> str:
    """The name of an entry without where it belongs: ``max_steps`` of "simple_agent › max_steps"."""
    return title.partition(", ")[0].rpartition(" › ")[2]


def first_sentence(texts: list[str], most: int) -> str:
    """What a result shows below its title, ``most`` characters of it: where a message comes from is no sentence about it."""
    sentences = (text for text in texts if text.count(" ") > 2 and not text.startswith(("Printed by", "Nothing is printed", "Type:")))
    found = re.split(r"(?<=[.!?])\s", next(sentences, ""))[0]
    return found if len(found) <= most else found[:most].rpartition(" ")[0] + " …"


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
            title = ", ".join(dict.fromkeys(titles))
            # The title is a name anyway, and so is the end of the anchor.
            record = {"id": names[0], "title": title, "names": " ".join([".", *(name for name in names[1:] if name not in re.split(", | › ", title))])}
            node = node.next_node(addnodes.desc_content)
        elif boxes.is_setup(node):
            record = {"id": boxes.SETUP_ID, "title": words(node[0])}
        else:
            record = {"id": node["ids"][0] if isinstance(node.parent, nodes.section) else "", "title": words(node.next_node(nodes.title))}
            if "problem" in node["classes"]:
                if docname != problems.HOME:
                    continue  # a guide shows an entry that is found where it lives
                codes = map(words, node.next_node(nodes.title).findall(nodes.literal))
                others = dict.fromkeys(code for code in codes if " " in code and not code.startswith("gym ") and code != record["title"])
                record["messages"] = list(others)  # beside its title, which is one
        texts = [text for text in statements(node) if text]
        record["first"] = first_sentence(texts, 70 if "names" in record else 105)
        found = search_terms.terms([*texts, record["title"]])
        # Not the example of an entry, which names other entries; nor paths.
        inside = () if "names" in record else search_terms.terms(code(node))
        record["code"] = [name for name in inside if name not in found and name.count("_") < 6]
        shown = search_terms.terms([record["title"], record["first"]])  # the engine reads these itself
        record["text"] = [name for name in found if name not in shown]
        yield record


def collect(app, doctree) -> None:
    docname = app.env.current_document.docname
    app.env.search_records = getattr(app.env, "search_records", {}) | {docname: list(records(docname, doctree))}


def merge(app, env, docnames, other) -> None:
    env.search_records = getattr(env, "search_records", {}) | {name: other.search_records[name] for name in docnames}


def with_questions(docname: str, found: list[dict], asked: dict[str, list[str]]) -> list[dict]:
    """The records of a page with the questions of readers that each of them answers."""
    if missing := asked.keys() - {record["id"] for record in found}:
        logger.warning("asked.yaml: %s has no section or entry %s", docname, ", ".join(sorted(missing)), type="search")
    return [record | {"asked": asked.get(record["id"], [])} for record in found]


def terms_asked(app) -> dict[str, dict[str, list[str]]]:
    """What readers ask, as terms, by page and section: from the build before, if nothing has changed since."""
    kept, state = Path(app.doctreedir, "asked.json"), app.config.search_changed
    before = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    if before.get("state") != state:
        asked = yaml.load(ASKED.read_text(encoding="utf-8"), yaml.CSafeLoader)
        terms = {page: {section: search_terms.terms(questions) for section, questions in its.items()} for page, its in asked.items()}
        before = {"state": state, "terms": terms}
        kept.write_text(json.dumps(before), encoding="utf-8")
    return before["terms"]


def index(app) -> str:
    """The data of ``engine.js``. The records of a page are columns: what is alike stands together and compresses well."""
    env, asked = app.env, terms_asked(app)
    if gone := asked.keys() - {docname.partition("training/")[2] for docname in env.found_docs}:
        logger.warning("asked.yaml: there is no page %s", ", ".join(sorted(gone)), type="search")
    names = {docname: docname.partition("training/")[2] for docname in sorted(env.found_docs)}
    found = {docname: with_questions(docname, env.search_records[docname], asked.get(name, {})) for docname, name in names.items()}
    # What readers ask of a page as a whole.
    wanted = {docname: search_terms.terms(search_terms.known()["pages"].get(name, ())) for docname, name in names.items()}
    fields = (record[field] for records in found.values() for record in records for field in CODED)
    vocabulary, numbers = search_terms.vocabulary([*fields, *wanted.values()])
    pages = []
    for docname, its in found.items():
        columns = {field: [record.get(field, "") for record in its] for field in ("id", "title", "first", "names")}
        columns["id"] = [name.replace(own, "~") if (own := last(title)) else name for name, title in zip(columns["id"], columns["title"])]
        columns |= {field: [search_terms.coded(record[field], numbers) for record in its] for field in CODED}
        pages.append({
            "url": f"{docname}.html",
            "title": env.titles[docname].astext(),
            "description": env.metadata[docname].get("description", ""),
            "asked": search_terms.coded(wanted[docname], numbers),
            "messages": {number: record["messages"] for number, record in enumerate(its) if "messages" in record},
            "sections": columns,
        })  # fmt: skip
    known = search_terms.known()
    data = {"stop": known["stop"].split(), "symptoms": known["symptoms"].split(), "synonyms": known["synonyms"], "digits": search_terms.DIGITS, "vocabulary": " ".join(vocabulary), "pages": pages}
    stemmer = IndexBuilder(env, "en", {}, "").get_js_stemmer_code()
    return f"{stemmer}\nconst SEARCH_DATA = {json.dumps(data, ensure_ascii=False, separators=(',', ':'))};\n"


def write(app) -> Iterator[tuple[str, dict, str]]:
    text = index(app)
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


def know_stems(app) -> None:
    """From the build before: to find them took a tenth of the time of one changed page."""
    kept = Path(app.doctreedir, "stems.json")
    if kept.exists():
        search_terms.STEMS.update(json.loads(kept.read_text(encoding="utf-8")))


def know_phrases(app, env, docnames: list[str]) -> None:
    """Before the processes that read pages part: each needs them."""
    search_terms.phrases()


def keep_stems(app, exception) -> None:
    Path(app.doctreedir, "stems.json").write_text(json.dumps(search_terms.STEMS), encoding="utf-8")


def setup(app) -> dict:
    app.add_config_value("search_changed", [file.stat().st_mtime_ns for file in (Path(__file__), search_terms.TERMS, Path(search_terms.__file__), ASKED)], "env", types=[list])
    app.connect("builder-inited", lambda app: setattr(app.builder, "search", False))  # Sphinx's own index and page
    app.connect("builder-inited", know_stems)
    app.connect("env-before-read-docs", know_phrases)
    app.connect("build-finished", keep_stems)
    app.connect("doctree-read", collect)
    app.connect("env-merge-info", merge)
    app.connect("html-collect-pages", write)
    app.connect("html-page-context", add_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
