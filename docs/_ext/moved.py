"""Sections that are elsewhere now: a link to an anchor that a page had once leads to where its content is (moved_anchors.txt).

A page that moves as a whole is a line of redirects.txt. The finder of the reference (reference.js) knows the entries that were on
the hub; what it does not know is listed, too.
"""

from __future__ import annotations

import json
from pathlib import Path

LISTED = "moved_anchors.txt"
SCRIPT = """<script>
(moved => {
  const follow = () => {
    const name = decodeURIComponent(location.hash.slice(1));
    if (moved[name] && !document.getElementById(name)) location.replace(moved[name]);
  };
  addEventListener("DOMContentLoaded", follow);
  addEventListener("hashchange", follow);
})(%s);
</script>"""


def read(docs: Path) -> dict[str, dict[str, str]]:
    """By page, each anchor that is gone with the page and the anchor that it leads to: ``{"a/b": {"old": "a/c#new"}}``."""
    found: dict[str, dict[str, str]] = {}
    for line in (docs / LISTED).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            old, new = line.split()
            page, _, anchor = old.partition("#")
            found.setdefault(page, {})[anchor] = new
    return found


def add_script(app, pagename, templatename, context, doctree) -> None:
    if moved := app.moved.get(pagename):
        places = ((anchor, new.partition("#")) for anchor, new in moved.items())
        addresses = {anchor: f"{app.builder.get_relative_uri(pagename, page) if page != pagename else ''}#{at}" for anchor, (page, _, at) in places}
        context["metatags"] += SCRIPT % json.dumps(addresses, separators=(",", ":")).replace("<", "\\u003c")


def setup(app) -> dict:
    # A change to the list or to this file writes every page again.
    listed = Path(app.srcdir, LISTED)
    app.add_config_value("moved_anchors_changed", [file.stat().st_mtime_ns for file in (listed, Path(__file__))], "html", types=[list])
    app.connect("builder-inited", lambda app: setattr(app, "moved", read(Path(app.srcdir))))
    app.connect("html-page-context", add_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
