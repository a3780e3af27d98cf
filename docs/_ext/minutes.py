"""How long a guide takes: "read 14 · do 8 min". Nobody types it.

Reading is a count of the words outside code, at the pace of a technical text. Doing is what all commands of the page took
together when it was last verified, from the record that `make test` leaves behind. What is looked up (the references, the
catalog of messages) has no minutes.
"""

from __future__ import annotations

import math
import re

import problems
import verified
from docutils import nodes

WORDS_PER_MINUTE = 230
SILENT = (nodes.literal_block, nodes.raw, nodes.comment, nodes.image)
WORD = re.compile(r"[^\W_][\w'’.-]*")


def words(node: nodes.Node) -> int:
    """The words that a reader reads: not code, nor the list of files."""
    if isinstance(node, nodes.Text):
        return len(WORD.findall(node.astext()))
    if isinstance(node, SILENT) or "page-files" in getattr(node, "attributes", {}).get("classes", ()):
        return 0
    return sum(map(words, node.children))


def told(count: int, seconds: float | None) -> str:
    """``count``: words; ``seconds``: how long the commands of the page ran, None if no record says it."""
    reading = max(1, round(count / WORDS_PER_MINUTE))
    return f"read {reading} · do {math.ceil(seconds / 60)} min" if seconds is not None else f"read {reading} min"


def of(app, docname: str) -> list[str]:
    """The minutes of a guide, as the one item they are in its line of facts; none for other pages."""
    if not docname.startswith("training/how-to/") or docname == problems.HOME:
        return []
    return [told(app.env.page_words[docname], verified.seconds(app, docname))]


def count(app, doctree) -> None:
    app.env.page_words = getattr(app.env, "page_words", {}) | {app.env.docname: words(doctree)}


def merge(app, env, docnames, other) -> None:
    env.page_words = getattr(env, "page_words", {}) | {name: other.page_words[name] for name in docnames}


def setup(app) -> dict:
    app.connect("doctree-read", count)
    app.connect("env-merge-info", merge)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
