"""Problems: what can go wrong, written once in the troubleshooting guide's folder and shown wherever it helps.

    :::{problem} head-server-port-taken
    :by: servers
    `Head server finished unexpectedly!`

    **Cause**: ... **Fix**: ... **It worked** if ...
    :::

The first paragraph is the title: the exact message as code, with ``...`` for what varies, or the symptom in words. The guide
itself includes the files; other guides show some of their entries with ``{problems}``, reference pages with
``{problem-table}``, and the role ``{problem}`` links to one; ``{problem-finder}`` is a box that finds the entry of a pasted message. An entry that the guide does not show, one that is there twice
and an id that does not exist are build warnings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.util import logging
from sphinx.util.docutils import ReferenceRole, SphinxDirective

logger = logging.getLogger(__name__)

HOME = "training/how-to/troubleshoot-common-issues"
# Who prints the message: what ``:by:`` accepts, and how a reader knows it.
PRINTED_BY = {
    "command": "a `gym` command, mostly while it reads the configuration",
    "data": "`gym dataset`",
    "servers": "the servers (`gym env start`)",
    "run": "`gym eval run`",
    "after": "`gym eval` on finished rollouts, or `gym env test`",
    "endpoint": "the model endpoint",
    "trainer": "the trainer",
    "system": "the operating system",
    "script": "a script of these guides",
    "nobody": "nobody: nothing is printed",
}
ENTRY = re.compile(
    r"^:::\{problem\} (?P<id>\S+)\n(?P<options>(?::\w+:[^\n]*\n)*)(?P<title>(?:[^\n]+\n)+)\n(?P<body>.*?)\n:::$", re.M | re.S
)
CODE = re.compile(r"(?<!`)(`+)(?!`) ?(.+?) ?(?<!`)\1(?!`)")
PARTS = re.compile(r"\*\*Cause\*\*:\s+(?P<cause>.+?)\s+\*\*Fix\*\*:\s+(?P<fix>.+?)\s+\*\*It\s+worked\*\*\s+(?P<worked>.+)", re.S)

LINE = re.compile(r"\s+(\*\*(?:Cause|Fix|It\s+worked)\*\*)")  # each begins a line of its own


class Entry(NamedTuple):
    id: str
    file: Path
    source: str
    title: str
    body: str
    options: dict[str, str]

    @property
    def messages(self) -> list[str]:
        return [code for _, code in CODE.findall(self.title)]


def read(docs: Path) -> list[Entry]:
    """All entries, in the order of their files."""
    return [entry for file in sorted((docs / HOME).glob("*.md")) for entry in read_file(file, file.stat().st_mtime_ns)]


@cache  # each directive and role asks for all entries
def read_file(file: Path, changed: int) -> list[Entry]:
    found = []
    for match in ENTRY.finditer(file.read_text(encoding="utf-8")):
        options = dict(re.findall(r"^:(\w+): *(.*)$", match["options"], re.M))
        title = " ".join(match["title"].split())
        found.append(Entry(match["id"], file, match[0], title, match["body"], options))
    return found


def entries_of(env) -> dict[str, Entry]:
    """The entries by id. The page that asks is read again when one of their files changes."""
    found: dict[str, Entry] = {}
    for entry in read(Path(env.srcdir)):
        found.setdefault(entry.id, entry)
    for file in {entry.file for entry in found.values()}:
        env.note_dependency(str(file))
    return found


def inline(text: str) -> Iterator[nodes.Node]:
    """A title or a label: words and code."""
    end = 0
    for match in CODE.finditer(text):
        yield nodes.Text(text[end:match.start()])
        yield nodes.literal("", match[2])
        end = match.end()
    yield nodes.Text(text[end:])


def link(env, id: str, *text: nodes.Node) -> addnodes.pending_xref:
    """A link to where the guide shows an entry. Sphinx resolves ``keyword`` as a label, too, but keeps code in the text as code."""
    return addnodes.pending_xref(
        "", nodes.inline("", "", *text), refdomain="std", reftype="keyword", refwarn=True,
        reftarget=f"problem-{id}", refdoc=env.docname,
    )  # fmt: skip


class Problem(SphinxDirective):
    """One entry: a section with an anchor, wherever it stands."""

    required_arguments = 1
    has_content = True
    option_spec = {
        "by": lambda value: directives.choice(value, list(PRINTED_BY)),
        "in": directives.unchanged_required,
        "seen": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        lines = list(self.content)
        end = lines.index("") if "" in lines else len(lines)
        section = nodes.section(ids=[f"problem-{self.arguments[0]}"], classes=["problem"])
        section += nodes.title("", "", *inline(" ".join(lines[:end])))
        section += nodes.paragraph("", "", *self.origin(), classes=["problem-origin"])
        section += self.parse_text_to_nodes(LINE.sub(r"\n\n\1", "\n".join(lines[end:])))
        if self.env.docname == HOME:  # what links lead to
            section["names"].append(section["ids"][0])
            self.state.document.note_explicit_target(section)
        return [section]

    def origin(self) -> Iterator[nodes.Node]:
        by = self.options.get("by", "nobody")
        if by == "nobody":
            yield nodes.Text("Nothing is printed")
        else:
            yield from inline(f"Printed by {PRINTED_BY[by]}")
        if "in" in self.options:
            yield from inline(f"; raised in `{self.options['in']}`")
        threads = self.options.get("seen", "").split()
        for number, thread in enumerate(threads):
            repository, _, issue = thread.partition("#")
            yield nodes.Text(", " if number else "; not reproduced here, see ")
            yield nodes.reference("", thread, refuri=f"https://github.com/{repository}/issues/{issue}")


class Problems(SphinxDirective):
    """``{problems}``: the entries whose ids stand in it, one a line."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        return self.show(list(self.entries()))

    def entries(self) -> Iterator[Entry]:
        known = entries_of(self.env)
        for id in " ".join(self.content).split():
            if id in known:
                yield known[id]
            else:
                logger.warning("there is no problem %r", id, location=self.get_location())

    def show(self, entries: list[Entry]) -> list[nodes.Node]:
        return self.parse_text_to_nodes("\n\n".join(entry.source for entry in entries))


class ProblemTable(Problems):
    """``{problem-table}``: message, cause and fix in a row, the message linked to the entry."""

    def show(self, entries: list[Entry]) -> list[nodes.Node]:
        rows = []
        for entry in entries:
            parts = PARTS.search(entry.body)
            cells = [" ".join(parts[name].split()) for name in ("cause", "fix")] if parts else [entry.body, ""]
            cells = [cell[0].upper() + cell[1:] for cell in cells]
            rows.append(" | ".join(["", f"{{problem}}`{entry.id}`", *(cell.replace("|", "\\|") for cell in cells), ""]).strip())
        table = self.parse_text_to_nodes("\n".join(["| Message | Cause | Fix |", "| --- | --- | --- |", *rows]))
        return [nodes.container("", *table, classes=["messages"])]


class ProblemList(SphinxDirective):
    """``{problem-list}``: every entry as a link, grouped by who prints it."""

    def run(self) -> list[nodes.Node]:
        found: list[nodes.Node] = []
        known = sorted(entries_of(self.env).values(), key=lambda entry: entry.title.strip("`").lower())
        for by, who in PRINTED_BY.items():
            links = [link(self.env, entry.id, *inline(entry.title)) for entry in known if entry.options.get("by") == by]
            if links:
                found.append(nodes.paragraph("", "", nodes.strong("", "", *inline(who[0].upper() + who[1:]))))
                found.append(nodes.bullet_list("", *(nodes.list_item("", nodes.paragraph("", "", each)) for each in links)))
        return found


class ProblemFinder(SphinxDirective):
    """``{problem-finder}``: a box to paste a message into, which names the entries that fit (problem-finder.js)."""

    def run(self) -> list[nodes.Node]:
        self.env.metadata[self.env.docname]["problem-finder"] = True
        return [nodes.raw("", (
            '<search class="problem-finder" hidden><label for="problem-finder">Paste the message, or the whole traceback</label>'
            '<textarea id="problem-finder" rows="3" autocomplete="off" spellcheck="false" aria-describedby="problem-finder-found"></textarea>'
            '<p id="problem-finder-found" role="status"></p><ol></ol></search>'
        ), format="html")]


def add_finder(app, pagename, templatename, context, doctree) -> None:
    if "problem-finder" in app.env.metadata.get(pagename, {}):
        app.add_js_file("problem-finder.js", loading_method="defer")


class Link(ReferenceRole):
    """``{problem}`ID` `` or ``{problem}`words <ID>` ``."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        entry = entries_of(self.env).get(self.target)
        text = self.title if self.has_explicit_title or not entry else entry.title
        return [link(self.env, self.target, *inline(text))], []


def check(app, env) -> None:
    """Each entry is there once, and the guide shows it."""
    places: dict[str, Path] = {}
    for entry in read(Path(env.srcdir)):
        if entry.id in places:
            logger.warning("problem %r is in %s already", entry.id, places[entry.id].name, location=str(entry.file))
        places.setdefault(entry.id, entry.file)
        if f"problem-{entry.id}" not in env.domains["std"].labels:
            logger.warning("%s does not show problem %r", HOME, entry.id, location=str(entry.file))


def unlink_self(app, doctree, docname) -> None:
    """An entry that points to a guide says so in that guide as well, where a link would lead to the top of the page."""
    for link in list(doctree.findall(nodes.reference)):
        if link.get("internal") and link.get("refuri") == "" and not link.get("refid") and not link.get("anchorname"):
            link.replace_self(link.children)


def setup(app) -> dict:
    app.add_directive("problem", Problem)
    app.add_directive("problems", Problems)
    app.add_directive("problem-table", ProblemTable)
    app.add_directive("problem-list", ProblemList)
    app.add_directive("problem-finder", ProblemFinder)
    app.connect("html-page-context", add_finder)
    app.add_role("problem", Link())
    app.connect("env-check-consistency", check)
    app.connect("doctree-resolved", unlink_self)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
