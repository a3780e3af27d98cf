"""What a guide opens with: the box that says what its reader will get, and the folded setup.

References keep ``:::{job}``, their job in one sentence.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective
from sphinx_design.shared import create_component

LABELS = {"you-will-get": "You will get", "job": "Job to be done"}
SETUP, SETUP_ID = "Before you start", "before-you-start"
SETUP_ONCE = "[Set up once](/training/index.md#set-up-once) has the installation and the endpoint for all guides. This one needs:"


class Box(SphinxDirective):
    """``:::{you-will-get}``, ``:::{job}``: an ``<aside>`` with a visible label.

    A topic is the docutils node for this, so that every output format knows it.
    """

    has_content = True

    def run(self) -> list[nodes.Node]:
        self.assert_has_content()
        label = nodes.title("", LABELS[self.name])
        return [nodes.topic("", label, *self.parse_content_to_nodes(), classes=[f"box-{self.name}"])]


def is_setup(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and "setup" in node.get("container_classes", ())


class Setup(SphinxDirective):
    """``:::{setup} SUMMARY``: what only this guide needs, one line until the reader opens it.

    Its blocks run like all others. ``#before-you-start`` leads to its first line, within the box, so that browsers open it.
    """

    has_content, optional_arguments, final_argument_whitespace = True, 1, True

    def run(self) -> list[nodes.Node]:
        self.assert_has_content()
        told, _ = self.parse_inline(f": {self.arguments[0]}" if self.arguments else "")
        title = nodes.rubric("", "", nodes.strong("", SETUP), *told)
        once = self.parse_text_to_nodes(SETUP_ONCE)
        once[0]["ids"].append(SETUP_ID)
        options = {"opened": False, "has_title": True, "icon": None, "chevron": None}
        classes = {"container_classes": ["setup"], "title_classes": [], "body_classes": []}
        return [create_component("dropdown", type="dropdown", children=[title, *once, *self.parse_content_to_nodes()], **options, **classes)]


class NameSetup(SphinxTransform):
    """``[..](page.md#before-you-start)`` leads to the setup as it leads to a heading. Before MyST resolves such links."""

    default_priority = 870

    def apply(self, **kwargs) -> None:
        if any(map(is_setup, self.document.findall(nodes.container))):
            # The same mapping is the page's entry in the environment.
            self.document.myst_slugs[SETUP_ID] = (0, SETUP_ID, SETUP)


def setup(app) -> dict:
    for name in LABELS:
        app.add_directive(name, Box)
    app.add_directive("setup", Setup)
    app.add_transform(NameSetup)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
