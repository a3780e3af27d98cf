"""Every file that a page shows has a title bar: its name, which downloads it, and "excerpt" where the page shows a part.

This holds for each ``literalinclude`` without a word in the page, and for a code block whose caption is the name of a file
of the page. It also carries the marks of a block over to its bar.
"""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from page_files import files_of
from sphinx import addnodes
from sphinx.directives.code import LiteralInclude

NOT_RUN = "Not run here:"
FOLDED = 10  # lines
PARTS = {"lines", "pyobject", "start-after", "start-at", "end-before", "end-at"}


def link(env, name: str) -> nodes.reference:
    """The name of a file of this page, as a link to the file, which is then offered beside the page."""
    env.metadata[env.docname]["page-files"] = True
    address = f"{Path(env.docname).name}/{name}"
    return nodes.reference("", "", nodes.literal("", name), refuri=address, internal=True, classes=["shown-file"])


class ShownFile(LiteralInclude):
    """``:fold:`` shows the first ten lines of a longer listing until the reader asks for all."""

    option_spec = LiteralInclude.option_spec | {"fold": directives.flag}

    def run(self) -> list[nodes.Node]:
        said = self.options.pop("caption", None)
        found = super().run()
        block = found[0]
        if not isinstance(block, nodes.literal_block):
            return found
        own = {path: name for name, path in files_of(Path(self.env.srcdir), self.env.docname).items()}
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
    files = files_of(Path(app.srcdir), docname)
    for block in doctree.findall(nodes.container):
        if block.get("literal_block"):
            caption, code = block.children
            if "keep-running" in code["classes"]:
                block["classes"].append("keep-running")
            if NOT_RUN in caption.astext():
                block["classes"].append("not-run")
            if (name := caption.astext()) in files and not caption.next_node(nodes.reference):
                caption.children = []
                caption += link(app.env, name)


def setup(app) -> dict:
    app.add_directive("literalinclude", ShownFile, override=True)
    app.connect("doctree-read", finish_bars)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
