"""``{plot} SCRIPT.py:FUNCTION DATA.json``: a figure drawn from measured data whenever one of both changes.

``FUNCTION(data)`` returns a matplotlib figure in matplotlib's default colors. The SVG goes into the page itself, where
its text is text and its colors are the variables of the stylesheet, so that it follows light and dark.
"""

from __future__ import annotations

import html
import io
import json
import re
import runpy
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

# C0 to C5, axes and frames, light grid lines
COLORS = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b"]
VARIABLES = {color: f"var(--plot-{number})" for number, color in enumerate(COLORS)}
VARIABLES |= {"#000000": "currentColor", "#b0b0b0": "var(--pst-color-border)", "#cccccc": "var(--pst-color-border)"}
STYLE = {
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
}


def draw(script: Path, function: str, data: Path, salt: str) -> str:
    """The figure as SVG; the same inputs give the same characters."""
    import matplotlib  # here, because it costs a second that pages without a figure need not pay

    matplotlib.use("svg")
    from matplotlib import pyplot

    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": salt}):
        figure = runpy.run_path(str(script))[function](json.loads(data.read_text(encoding="utf-8")))
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
        pyplot.close(figure)
    return buffer.getvalue()


def inline(svg: str, label: str) -> str:
    """The part of an SVG file that belongs into a page: sized by the stylesheet, named, without idle ids."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*|<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    used = set(re.findall(r"""(?:url\(|href=")#([^)"]+)""", svg))
    svg = re.sub(r' id="([^"]+)"', lambda match: match[0] if match[1] in used else "", svg)
    svg = re.sub(r"#[0-9a-f]{6}\b", lambda match: VARIABLES.get(match[0], match[0]), svg)
    view = re.search(r'viewBox="[^"]+"', svg)[0]
    return re.sub(r"<svg[^>]*>", lambda _: f'<svg role="img" aria-label="{html.escape(label)}" {view}>', svg, count=1)


class Plot(SphinxDirective):
    required_arguments = 2
    has_content = True
    option_spec = {"alt": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        if "alt" not in self.options:
            raise self.error("{plot} needs :alt:, what the figure shows, in words")
        script, _, function = self.arguments[0].rpartition(":")
        paths = [Path(self.env.relfn2path(name)[1]) for name in (script, self.arguments[1])]
        for path in paths:
            self.env.note_dependency(str(path))
        try:
            svg = draw(paths[0], function, paths[1], salt=f"{self.env.docname} {self.arguments}")
        except Exception as error:
            raise self.error(f"{{plot}} {' '.join(self.arguments)}: {type(error).__name__}: {error}") from error
        # The theme makes this class reachable by keyboard where it scrolls.
        box = f'<div class="plot pst-scrollable-table-container">{inline(svg, self.options["alt"])}</div>'
        figure = nodes.figure("", nodes.raw("", box, format="html"))
        for number, node in enumerate(self.parse_content_to_nodes()):
            figure += nodes.caption("", "", *node.children) if number == 0 else nodes.legend("", node)
        return [figure]


def setup(app) -> dict:
    app.add_directive("plot", Plot)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
