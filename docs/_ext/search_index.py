"""The index of the site's search: what each page and each of its sections holds, in words.

It is collected while pages are read, kept with Sphinx's environment, and written as one script: a page that was opened
from disk may load a script, but no data file. ``search.js`` ranks it. ``search_terms.yaml`` has the synonyms.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import front_matter
import yaml
from docutils import nodes
from sphinx import addnodes
from sphinx.search import IndexBuilder

HERE = Path(__file__).parent
STATIC = HERE.parent / "_static"
TERMS = HERE / "search_terms.yaml"
CODE_WORD = re.compile(r"[A-Za-z_][\w.@-]*[A-Za-z0-9]")


def text_of(node: nodes.Node) -> str:
    return " ".join(node.astext().split())


def blocks(node: nodes.Node) -> Iterator[str]:
    """The paragraphs, captions and table rows below a node; not its code, and not what is a record of its own."""
    if isinstance(node, nodes.row):
        yield " · ".join(filter(None, map(text_of, node.children)))
    elif isinstance(node, (nodes.literal_block, nodes.raw, nodes.comment, nodes.section, addnodes.desc, addnodes.index, addnodes.toctree)):
        return
    elif isinstance(node, nodes.TextElement):
        yield text_of(node)
    else:
        for child in node.children:
            yield from blocks(child)


def own(node: nodes.Element, kind: type[nodes.Node]) -> Iterator[nodes.Node]:
    """The nodes of a kind that belong to this record and to none below it."""
    for child in node.children:
        if isinstance(child, kind):
            yield child
        if isinstance(child, nodes.Element) and not isinstance(child, (nodes.section, addnodes.desc)):
            yield from own(child, kind)


def record(anchor: str, title: str, node: nodes.Element, keywords: list[str]) -> dict:
    body = [text for text in blocks_below(node) if text]
    code = dict.fromkeys(word for block in own(node, nodes.literal_block) for word in CODE_WORD.findall(block.astext()))
    return {"id": anchor, "title": title, "text": body, "code": " ".join(code), "also": " ".join(dict.fromkeys(keywords))}


def blocks_below(node: nodes.Element) -> Iterator[str]:
    for child in node.children:
        if not isinstance(child, nodes.title):
            yield from blocks(child)


def entry_words(description: addnodes.desc) -> list[str]:
    """The names under which an entry stands in an index: its flags and its earlier names among them."""
    siblings = description.parent.children
    before = siblings[siblings.index(description) - 1]
    found = before["entries"] if isinstance(before, addnodes.index) else []
    return [re.sub(r" \([^)]*\)$", "", entry[1]) for entry in found]


def collect(app, doctree) -> None:
    """One record for each section and each entry, in the order of the page; the first stands for the page's introduction."""
    records = []
    for node in doctree.findall(lambda node: isinstance(node, (nodes.section, addnodes.desc))):
        if isinstance(node, nodes.section):
            anchor = "" if isinstance(node.parent, nodes.document) else node["ids"][0]
            records.append(record(anchor, text_of(node.next_node(nodes.title)), node, []))
        else:
            signatures = list(node.findall(addnodes.desc_signature))
            anchors = [anchor for signature in signatures for anchor in signature["ids"]]
            if anchors:
                title = ", ".join(dict.fromkeys(text_of(signature) for signature in signatures))
                records.append(record(anchors[0], title, node.next_node(addnodes.desc_content), [*anchors, *entry_words(node)]))
    app.env.search_records = getattr(app.env, "search_records", {}) | {app.env.current_document.docname: records}


def links(app, doctree) -> None:
    """What other pages say where they link to a page: the row of a table that ends in the link."""
    said = []
    for reference in doctree.findall(addnodes.pending_xref):
        row = reference.parent
        while row is not None and not isinstance(row, nodes.row):
            row = row.parent
        if row is not None and reference["refdomain"] in ("doc", "std"):
            said.append((reference["reftarget"], reference.get("reftargetid"), text_of(row.children[0])))
    app.env.search_links = getattr(app.env, "search_links", {}) | {app.env.current_document.docname: said}
    print(said)


def write(app, exception):
    if exception or app.builder.format != "html":
        return
    env = app.env
    pages = []
    for docname in sorted(env.search_records):
        page = front_matter.find(env, docname)
        meta = env.metadata[docname]
        pages.append({"url": docname + ".html", "title": env.titles[docname].astext(), "description": meta.get("description", ""), "sections": env.search_records[docname]})
    Path(app.outdir, "records.json").write_text(json.dumps(pages, ensure_ascii=False))
    Path(app.outdir, "stem.js").write_text(IndexBuilder(env, "en", {}, "").get_js_stemmer_code())


def setup(app) -> dict:
    app.connect("doctree-read", collect)
    app.connect("doctree-read", links)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
