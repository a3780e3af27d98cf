"""The two boxes each guide opens with, and the marks on code blocks that are not an ordinary command."""

from __future__ import annotations

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

LABELS = {"job": "Job to be done", "outcome": "Outcome"}
NOT_RUN = "Not run here:"


class Box(SphinxDirective):
    """``:::{job}`` and ``:::{outcome}``: an ``<aside>`` with a visible label.

    A topic is the docutils node for this, so that every output format knows it.
    """

    has_content = True

    def run(self) -> list[nodes.Node]:
        self.assert_has_content()
        label = nodes.title("", LABELS[self.name])
        return [nodes.topic("", label, *self.parse_content_to_nodes(), classes=[f"box-{self.name}"])]


def mark_blocks(app, doctree) -> None:
    """Repeat on the block with its caption what concerns both: ``:class:`` reaches the inner block only."""
    for block in doctree.findall(nodes.container):
        if block.get("literal_block"):
            caption, code = block.children
            if "keep-running" in code["classes"]:
                block["classes"].append("keep-running")
            if caption.astext().startswith(NOT_RUN):
                block["classes"].append("not-run")


def setup(app) -> dict:
    for name in LABELS:
        app.add_directive(name, Box)
    app.connect("doctree-read", mark_blocks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
