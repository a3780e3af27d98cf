"""What the finder box of the reference searches: one script with all entries and keys, loaded when a reader asks.

It also tells a link to an entry that was on the hub where the entry lives now (``docs/_static/reference.js``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from facts.known import KINDS

FILE = "reference-index.js"
HUB = "training/reference/configuration-options"


def rows(env) -> Iterator[list]:
    """Of each entry and key: page, anchor, what it is called, more names, the prose."""
    domain = env.domains["gym"]
    facts = domain.facts
    described = sorted(domain.described.items(), key=lambda item: item[1][0].docname)  # whichever process was done first
    for (kind, name), places in described:
        docname, _, anchor = places[0]
        if kind in facts.entries:
            entry = facts.entries[kind][name]
            title = f"{entry['group']} › {entry['key']}"
        elif kind in KINDS:
            title = name
        else:
            continue
        yield [docname, anchor, title, *domain.told(kind, name)]
    for (kind, name), places in described:
        if kind in KINDS:
            continue
        docname, _, anchor = places[0]
        name, _, only = name.partition(" ")
        about = facts.groups.get(name) or facts.data["components"].get(name) or {"classes": [name]}
        component = name if kind == "group" else re.split(r"[./]", name.partition(":")[0].removesuffix(".app"))[1]
        for cls in about["classes"]:
            for field in facts.data["classes"][cls]["fields"]:
                entry = facts.entry_of(cls, field["name"])
                if re.search(only, field["name"]) and not (entry and domain.find(*entry)):
                    yield [docname, anchor, f"{component} › {field['name']}", "", ""]


def write(app) -> list:
    pages: dict[str, int] = {}
    found = [[pages.setdefault(docname, len(pages)), *rest] for docname, *rest in rows(app.env)]
    labels = app.env.domains.standard_domain.anonlabels.values()
    places = {(docname, anchor) for docname, anchor in labels if docname.startswith(f"{HUB}/")}
    places |= {(name, record["id"]) for name, records in getattr(app.env, "search_records", {}).items() if name.startswith(f"{HUB}/") for record in records}
    sections = [[pages.setdefault(docname, len(pages)), anchor] for docname, anchor in sorted(places) if anchor and not anchor.startswith(tuple(KINDS))]
    titles = [[f"{name}.html", app.env.titles[name].astext()] for name in pages]
    data = json.dumps({"pages": titles, "entries": found, "sections": sections}, ensure_ascii=False, separators=(",", ":"))
    Path(app.outdir, FILE).write_text(f"const REFERENCE = {data};\n", encoding="utf-8")
    return []


def add_script(app, pagename, templatename, context, doctree) -> None:
    if "gym-finder" in app.env.metadata.get(pagename, {}):
        app.add_js_file("reference.js", loading_method="defer")


def connect(app) -> None:
    app.connect("html-collect-pages", write)
    app.connect("html-page-context", add_script)
