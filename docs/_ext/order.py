"""One order of all pages, made in one place: the toctrees of the index, whose captions are the groups.

From it come the pager, the sidebar, the cards of the index, and the first of a page's "Next steps".
"""

from __future__ import annotations

import re
from pathlib import Path

import front_matter
import minutes
from docutils import nodes
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective

INDEX = "training/index"
TOCTREE = re.compile(r"^```\{toctree\}\n((?::[^\n]*\n)*)\n*(.*?)^```$", re.M | re.S)
CAPTION = re.compile(r"^:caption: (.+)$", re.M)


def groups(env) -> list[tuple[str, list[front_matter.Page]]]:
    """The captions of the index's toctrees, and the sound pages below each."""
    text = Path(env.doc2path(INDEX)).read_text(encoding="utf-8")
    found = []
    for options, entries in TOCTREE.findall(text):
        names = [f"training/{entry}" for entry in entries.split()]
        pages = [page for name in names if name in env.found_docs and (page := front_matter.sound(env, name))]
        found.append((caption[1] if (caption := CAPTION.search(options)) else "", pages))
    return [group for group in found if group[1]]


def pages(env) -> list[front_matter.Page]:
    return [page for _, group in groups(env) for page in group]


def below(env, docname: str) -> list[tuple[str, str]]:
    """Name and title of each page below a hub."""
    return [(name, env.titles[name].astext()) for name in env.toctree_includes.get(docname, ()) if name.startswith(f"{docname}/")]


def link_to(page: front_matter.Page, docname: str) -> addnodes.pending_xref:
    return addnodes.pending_xref(
        "", nodes.inline("", page.title), refdomain="std", reftype="doc", refexplicit=True,
        reftarget=f"/{page.docname}", refdoc=docname, refwarn=True,
    )  # fmt: skip


class GuideCards(SphinxDirective):
    """``{guide-cards} CAPTION``: a card for each page of this group, in its order.

    The cards are a plain list until the stylesheet turns it into a grid, so that they survive in every other format.
    """

    required_arguments, final_argument_whitespace = 1, True

    def run(self) -> list[nodes.Node]:
        known = dict(groups(self.env))
        if self.arguments[0] not in known:
            raise self.error(f"no toctree of the index has the caption {self.arguments[0]!r}; there are: {', '.join(known)}")
        cards = nodes.bullet_list(classes=["cards"])
        for number, page in enumerate(known[self.arguments[0]], 1):
            cards += nodes.list_item(
                "",
                nodes.paragraph("", "", nodes.Text(f"{number}. "), link_to(page, self.env.docname), classes=["card-title"]),
                nodes.paragraph("", page.meta["description"]),
                nodes.paragraph("", page.meta["level"], classes=["card-meta"], page=page.docname),
            )
        return [cards]


class DimensionMatrix(SphinxDirective):
    """``{dimension-matrix}``: each page, and the dimensions of training that its front matter names."""

    def run(self) -> list[nodes.Node]:
        lines = [f"| Page | {' | '.join(front_matter.DIMENSIONS)} |", "| --- |" + " --- |" * len(front_matter.DIMENSIONS)]
        for page in pages(self.env):
            marks = ["✓" if dimension in page.meta["dimensions"] else "" for dimension in front_matter.DIMENSIONS]
            lines.append(f"| [{page.title}](/{page.docname}.md) | {' | '.join(marks)} |")
        return [nodes.container("", *self.parse_text_to_nodes("\n".join(lines)), classes=["matrix"])]


def add_minutes(app, doctree, docname) -> None:
    """On the cards, once all pages are read and their words counted."""
    for fact in doctree.findall(lambda node: isinstance(node, nodes.paragraph) and "page" in node):
        fact += nodes.Text("".join(f" · {text}" for text in minutes.of(app, fact["page"])))


def add_next(app, doctree, docname) -> None:
    """The first of a guide's "Next steps" is the next page of the order, which the pager shows as well."""
    known = pages(app.env)
    names = [page.docname for page in known]
    steps = next((section for section in doctree.findall(nodes.section) if "next-steps" in section["ids"]), None)
    listing = steps.next_node(nodes.bullet_list) if steps else None
    if "how-to/" not in docname or docname not in names[:-1] or listing is None:
        return
    following = known[names.index(docname) + 1]
    address = app.builder.get_relative_uri(docname, following.docname)

    def leads_there(item: nodes.Node) -> bool:
        link = item.next_node(nodes.reference)
        return link is not None and link.get("refuri", "").partition("#")[0] == address

    item = next(filter(leads_there, listing), None)
    if item is not None:
        listing.remove(item)
    else:
        link = nodes.reference("", following.title, refuri=address, internal=True)
        item = nodes.list_item("", nodes.paragraph("", "", nodes.Text("Next: "), link, nodes.Text(f", {following.meta['description']}")))
    listing.insert(0, item)


def add_context(app, pagename, templatename, context, doctree) -> None:
    context["guides"] = groups(app.env)
    hub = re.match(r"training/[^/]+/[^/]+", pagename)  # its pages are listed on it and on each of them
    context["hub"], context["below"] = (hub[0], below(app.env, hub[0])) if hub else ("", [])


def cards_changed(app, env, added, changed, removed) -> list[str]:
    """The pages to read again: those that show cards and matrix, if any front matter or title is another than last time."""
    shown = [(page.docname, page.title, page.meta) for page in pages(env)]
    before, env.cards = getattr(env, "cards", shown), shown
    return [name for name in env.found_docs if not front_matter.find(env, name)] if shown != before else []


def sidebar_changed(app, env) -> list[str]:
    """The pages to write again: all, if the sidebar that each of them carries has other entries than last time."""
    sidebar = [(caption, [page[::2] for page in group]) for caption, group in groups(env)]
    before, env.sidebar = getattr(env, "sidebar", sidebar), sidebar
    return sorted(env.found_docs) if sidebar != before else []


def setup(app) -> dict:
    app.add_directive("guide-cards", GuideCards)
    app.add_directive("dimension-matrix", DimensionMatrix)
    app.connect("doctree-resolved", add_next)
    app.connect("doctree-resolved", add_minutes)
    app.connect("html-page-context", add_context)
    app.connect("env-get-outdated", cards_changed)
    app.connect("env-updated", sidebar_changed)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
