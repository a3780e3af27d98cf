"""What lets a page be read on a narrow screen, put into its HTML; the stylesheet decides from what width on it counts.

A table of three columns or more carries the titles of its columns, so that each row can be a card in which every value has
its title. A long name in code carries the places at which it may break: after a dot, a slash, an underscore.
"""

from __future__ import annotations

import html
import re

TABLE = re.compile(r'<table class="([^"]*)">(.*?)</thead>', re.S)
HEADER = re.compile(r"<th\b[^>]*>(.*?)</th>", re.S)
TAG = re.compile(r"<[^>]+>")
CODE = re.compile(r'(<code>)(.*?)(</code>)', re.S)
LONG = re.compile(r"[^\s<>&]{28,}")
BREAK = re.compile(r"(?<=[\w)}\]])([./_=])(?=\w)")


def columns(table: re.Match) -> str:
    classes, head = table.groups()
    titles = [" ".join(html.unescape(TAG.sub("", title)).split()) for title in HEADER.findall(head)]
    if len(titles) < 3 or "matrix" in classes:
        return table[0]
    names = ";".join(f"--c{number}:'{title}'" for number, title in enumerate((t.replace("\\", "").replace("'", "\u2019").replace('"', "") for t in titles), 1))
    return f'<table class="{classes} as-cards" style="{html.escape(names, quote=False)}">{head}</thead>'


def with_breaks(code: re.Match) -> str:
    return code[1] + LONG.sub(lambda word: BREAK.sub(r"\1<wbr>", word[0]), code[2]) + code[3]


def fit(app, pagename, templatename, context, doctree) -> None:
    if "body" in context:
        context["body"] = CODE.sub(with_breaks, TABLE.sub(columns, context["body"]))


def setup(app) -> dict:
    # After the step that takes the words of code out of their elements (slim).
    app.connect("html-page-context", fit, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
