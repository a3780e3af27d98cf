"""Leave out what the theme loads on every page and no page of this site uses.

``layout.html`` drops the tags (search index, Font Awesome, Bootstrap's script), ``site.css`` draws the dozen icons that
remain. This step takes Font Awesome's 2,000 rules out of the theme's stylesheet, 21 of its 65 kB (gzip), and deletes
the files that nothing asks for.
"""

from __future__ import annotations

import re
from pathlib import Path

UNUSED = [
    "vendor/**/*",
    "scripts/fontawesome*",
    "scripts/bootstrap*",
    "styles/theme.css",
    "scripts/*.map",
    "styles/*.map",
    "webpack*",
]
ICON_RULES = re.compile(r"(?<=[}/])(?:\.fa\b[^{}]*|@font-face)\{[^{}]*\}")


def slim(app, exception) -> None:
    if exception or app.builder.format != "html":
        return
    static = Path(app.outdir, "_static")
    stylesheet = static / "styles/pydata-sphinx-theme.css"
    stylesheet.write_text(ICON_RULES.sub("", stylesheet.read_text(encoding="utf-8")), encoding="utf-8")
    for file in {file for pattern in UNUSED for file in static.glob(pattern) if file.is_file()}:
        file.unlink()


def setup(app) -> dict:
    app.connect("build-finished", slim)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
