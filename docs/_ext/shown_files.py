"""Every file that a page shows has a title bar: its name, which downloads it, and "excerpt" where the page shows a part.

This holds for each ``literalinclude`` without a word in the page, and for a code block whose caption is the name of a file
of the page. It also carries the marks of a block over to its bar.
"""

from __future__ import annotations

import ast
import functools
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from page_files import files_of
from sphinx import addnodes
from sphinx.directives.code import LiteralInclude

NOT_RUN = ("Not run here:", "Run on an H200")
FOLDED = 10  # lines
PARTS = {"lines", "pyobject", "start-after", "start-at", "end-before", "end-at"}


own_files = functools.cache(files_of)  # each file that a page shows asks for them


def link(env, name: str) -> nodes.reference:
    """The name of a file of this page, as a link to the file, which is then offered beside the page."""
    env.metadata[env.docname]["page-files"] = True
    address = f"{Path(env.docname).name}/{name}"
    return nodes.reference("", "", nodes.literal("", name), refuri=address, internal=True, classes=["shown-file"])


def place(text: str, name: str) -> str:
    """The lines of a function or class ("10-24"), "" if there is none: Sphinx goes through the whole file token by token."""
    node: ast.AST | None = ast.parse(text)
    for part in name.split("."):
        node = next((child for child in getattr(node, "body", ()) if getattr(child, "name", None) == part), None)
    return f"{min([node.lineno, *(mark.lineno for mark in node.decorator_list)])}-{node.end_lineno}" if node else ""


class ShownFile(LiteralInclude):
    """``:fold:`` shows the first ten lines of a longer listing until the reader asks for all."""

    option_spec = LiteralInclude.option_spec | {"fold": directives.flag}

    def run(self) -> list[nodes.Node]:
        said = self.options.pop("caption", None)
        file = Path(self.env.relfn2path(self.arguments[0])[1])
        if "pyobject" in self.options and "lines" not in self.options and file.exists() and (lines := place(file.read_text(encoding="utf-8"), self.options["pyobject"])):
            del self.options["pyobject"]
            self.options["lines"] = lines
        found = super().run()
        block = found[0]
        if not isinstance(block, nodes.literal_block):
            return found
        own = {path: name for name, path in own_files(Path(self.env.srcdir), self.env.docname).items()}
        path = Path(block["source"])
        if path in own:
            bar = link(self.env, own[path])
        else:
            bar = addnodes.download_reference("", "", nodes.literal("", path.name), reftarget=self.arguments[0], classes=["shown-file"])
        caption = nodes.caption("", "", bar)
        if said and said != (own.get(path) or path.name):
            caption += [nodes.Text(" "), *self.parse_inline(said)[0]]
        if PARTS & self.options.keys():
            caption += nodes.inline("", " excerpt", classes=["excerpt"])
        lines = block.astext().rstrip().count("\n") + 1
        folded = "fold" in self.options and lines > FOLDED + 3
        if folded:
            caption += nodes.raw("", f'<input type="checkbox" class="fold" aria-label="Show all {lines} lines" />', format="html")
        if path.suffix == ".args":
            block["language"] = "text"  # not a shell's: the program reads it
        wrapper = nodes.container("", caption, block, literal_block=True, classes=["literal-block-wrapper", *["folded"] * folded])
        # What names the block names the whole.
        wrapper["ids"], wrapper["names"], block["ids"], block["names"] = block["ids"], block["names"], [], []
        return [wrapper]


def finish_bars(app, doctree) -> None:
    """Links on captions that name a file; and on the bar what concerns the whole: ``:class:`` reaches the inner block only."""
    docname = app.env.docname
    files = own_files(Path(app.srcdir), docname)
    for block in doctree.findall(nodes.container):
        if block.get("literal_block"):
            caption, code = block.children
            if "keep-running" in code["classes"]:
                block["classes"].append("keep-running")
            if caption.astext().startswith(NOT_RUN):
                block["classes"].append("not-run")
            if (name := caption.astext()) in files and not caption.next_node(nodes.reference):
                caption.children = []
                caption += link(app.env, name)


def setup(app) -> dict:
    app.add_directive("literalinclude", ShownFile, override=True)
    app.connect("doctree-read", finish_bars)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
