"""What a site needs where it is published: a page for addresses that lead nowhere and, once the site's own address is
known (``SITE_ADDRESS``, read in conf.py), the card that messengers show of a link to it, and a sitemap.

Written out because it is short: sphinx-sitemap lists only the pages of the last build, sphinxext-opengraph would draw a
picture for each page, sphinx-notfound-page assumes Read the Docs.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from html import escape, unescape
from pathlib import Path
from urllib.parse import urlsplit

CARD = {"name": "_static/card.png", "width": 1200, "height": 630}
RELATIVE = re.compile(r'\b(href|src|action|data-content_root)="(?![a-z]+:|[/#])(?:\./)?')


def add_card(app, pagename, templatename, context, doctree) -> None:
    """Open Graph tags; the canonical address comes from Sphinx itself."""
    address, config = app.config.html_baseurl, app.config
    if doctree is None or not address:
        return
    values = {
        "og:type": "article",
        "og:site_name": config.project,
        "og:title": unescape(re.sub(r"<[^>]+>", "", context["title"])),
        "og:description": context["meta"].get("description", ""),
        "og:url": context["pageurl"],
        "og:image": address + CARD["name"],
        "og:image:width": CARD["width"],
        "og:image:height": CARD["height"],
        "og:image:alt": f"{config.project}: how-to guides and reference, each command run against the real package",
    }
    tags = [f'<meta property="{name}" content="{escape(str(value))}" />' for name, value in values.items()]
    context["metatags"] += "".join([*tags, '<meta name="twitter:card" content="summary_large_image" />'])


def not_found(app) -> Iterator[tuple[str, dict, str]]:
    yield "404", {"title": "Page not found", "metatags": '<meta name="robots" content="noindex" />'}, "404.html"


def finish(app, exception) -> None:
    """The sitemap; and absolute links on the page that a host shows at any address, at any depth, that leads nowhere."""
    address, folder = app.config.html_baseurl, Path(app.outdir)
    if exception or app.builder.format != "html":
        return
    shutil.copyfile(Path(app.confdir, "LICENSE"), folder / "LICENSE.txt")  # the footer leads there
    if not address:
        return
    entries = "".join(f"<url><loc>{escape(address)}{name}.html</loc></url>\n" for name in sorted(app.env.found_docs))
    sitemap = f'<?xml version="1.0" encoding="utf-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{entries}</urlset>\n'
    (folder / "sitemap.xml").write_text(sitemap, encoding="utf-8")
    page = (folder / "404.html").read_text(encoding="utf-8")
    (folder / "404.html").write_text(RELATIVE.sub(rf'\1="{urlsplit(address).path}', page), encoding="utf-8")


def make_room(app) -> None:
    """A page that is now a redirect lies where an earlier build wrote it, and rediraffe replaces no page."""
    listed = Path(app.srcdir, app.config.rediraffe_redirects).read_text(encoding="utf-8")
    for old in re.findall(r"^(?!#)(\S+)\.md ", listed, re.M):
        Path(app.outdir, f"{old}.html").unlink(missing_ok=True)


def setup(app) -> dict:
    app.connect("builder-inited", make_room)
    app.connect("html-page-context", add_card)
    app.connect("html-collect-pages", not_found)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
