"""Figures that follow light and dark: their SVG goes into the page itself, where text is text and colors are variables.

``{plot} SCRIPT.py:FUNCTION DATA.json`` is drawn from measured data. ``FUNCTION(data)`` returns a matplotlib figure in
matplotlib's default colors, which become the variables of the stylesheet. The drawings are kept in `docs/_plots`, because
to draw them takes a sixth of a build; one that is older than its script or its data is drawn anew, beside the doctrees,
until `make plots` (this file as a program) has kept it.
``{diagram} FILE.svg`` is drawn by hand, with these variables.
"""

from __future__ import annotations

import hashlib
import html
import io
import json
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

DOCS = Path(__file__).resolve().parents[1]
KEPT = DOCS / "_plots"
PLOT = re.compile(r"^`{3,}\{plot\} (\S+):(\w+) (\S+)$", re.MULTILINE)
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
    import matplotlib  # here, because it costs half a second that pages without a figure need not pay
    from matplotlib.artist import Artist

    Artist._update_set_signature_and_docstring = classmethod(lambda cls: None)  # nobody asks for help here, and it is a fifth of the import
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    matplotlib.use("svg")
    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": salt}):
        figure = runpy.run_path(str(script))[function](json.loads(data.read_text(encoding="utf-8")))
        if figure.get_layout_engine():  # it fits; `savefig` would draw it twice all the same
            FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
        else:
            figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    return buffer.getvalue()


def inputs_of(script: Path, function: str, data: Path) -> str:
    """A hash of what a drawing is made from, with which it begins."""
    return hashlib.sha256(b"\0".join([function.encode(), *(path.read_bytes() for path in (script, data, Path(__file__)))])).hexdigest()


def kept(function: str, data: Path) -> Path:
    return KEPT / f"{data.stem}-{function}.svg"


def drawing(script: Path, function: str, data: Path, drawn_here: Path) -> str:
    """The kept drawing, or that in a folder of this build, if its script and its data are as they were; else a new one."""
    inputs = inputs_of(script, function, data)
    for path in (kept(function, data), again := drawn_here / f"{inputs}.svg"):
        if path.exists() and (svg := path.read_text(encoding="utf-8")).startswith(f"<!-- {inputs} -->"):
            return svg
    again.parent.mkdir(parents=True, exist_ok=True)
    again.write_text(svg := f"<!-- {inputs} -->\n{draw(script, function, data, inputs)}", encoding="utf-8")
    return svg


def wanted() -> Iterator[tuple[Path, str, Path]]:
    """Script, function and data of each plot on a page."""
    for page in sorted(DOCS.glob("training/**/*.md")):
        for script, function, data in PLOT.findall(page.read_text(encoding="utf-8")):
            yield (page.parent / script).resolve(), function, (page.parent / data).resolve()


def inline(svg: str, label: str) -> str:
    """The part of an SVG file that belongs into a page: sized by the stylesheet, named, without idle ids."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*|<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    used = set(re.findall(r"""(?:url\(|href=")#([^)"]+)""", svg))
    svg = re.sub(r' id="([^"]+)"', lambda match: match[0] if match[1] in used else "", svg)
    svg = re.sub(r"#[0-9a-f]{6}\b", lambda match: VARIABLES.get(match[0], match[0]), svg)
    view = re.search(r'viewBox="[^"]+"', svg)[0]
    return re.sub(r"<svg[^>]*>", lambda _: f'<svg role="img" aria-label="{html.escape(label)}" {view}>', svg, count=1)


class Picture(SphinxDirective):
    """An SVG with a text alternative, and a caption from the directive's content."""

    has_content = True
    option_spec = {"alt": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        if "alt" not in self.options:
            raise self.error(f"{{{self.name}}} needs :alt:, what the figure shows, in words")
        # The theme makes this class reachable by keyboard where it scrolls.
        box = f'<div class="plot pst-scrollable-table-container">{inline(self.svg(), self.options["alt"])}</div>'
        figure = nodes.figure("", nodes.raw("", box, format="html"))
        for number, node in enumerate(self.parse_content_to_nodes()):
            figure += nodes.caption("", "", *node.children) if number == 0 else nodes.legend("", node)
        return [figure]


class Plot(Picture):
    required_arguments = 2

    def svg(self) -> str:
        script, _, function = self.arguments[0].rpartition(":")
        paths = [Path(self.env.relfn2path(name)[1]) for name in (script, self.arguments[1])]
        for path in paths:
            self.env.note_dependency(str(path))
        try:
            return drawing(paths[0], function, paths[1], Path(self.env.doctreedir, "plots"))
        except Exception as error:
            raise self.error(f"{{plot}} {' '.join(self.arguments)}: {type(error).__name__}: {error}") from error


class Diagram(Picture):
    required_arguments = 1

    def svg(self) -> str:
        path = Path(self.env.relfn2path(self.arguments[0])[1])
        self.env.note_dependency(str(path))
        try:
            return path.read_text(encoding="utf-8")
        except OSError as error:
            raise self.error(f"{{diagram}} {self.arguments[0]}: {error.strerror}") from error


def setup(app) -> dict:
    app.add_directive("diagram", Diagram)
    app.add_directive("plot", Plot)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def main() -> None:
    """Draw what is outdated, and delete what is on no page."""
    sys.path.insert(0, str(DOCS / "training" / "index"))  # scripts that draw read with the shared reader
    KEPT.mkdir(exist_ok=True)
    pages = set()
    for script, function, data in wanted():
        path, inputs = kept(function, data), inputs_of(script, function, data)
        pages.add(path)
        if not path.exists() or not path.read_text(encoding="utf-8").startswith(f"<!-- {inputs} -->"):
            path.write_text(f"<!-- {inputs} -->\n{draw(script, function, data, inputs)}", encoding="utf-8")
            print(f"drawn: {path.relative_to(DOCS.parent)}")
    for path in set(KEPT.iterdir()) - pages:
        path.unlink()
        print(f"on no page: {path.relative_to(DOCS.parent)}")


if __name__ == "__main__":
    main()
