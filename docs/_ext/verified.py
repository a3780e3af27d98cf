"""Each page says how its blocks were verified, from the record that ``make test`` leaves behind; a guide also says who did its jobs with it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from docutils import nodes

# The fresh record of this checkout, else the committed one.
RECORDS = ["build/verification.json", "docs/verification.json"]
TRIED = "cards/results.jsonl"  # what readers did with the site alone; cards/README.md says how
STATUSES = {"executed": "executed", "validated": "validated", "on-gpu": "executed on a GPU", "not-run": "not run"}


class Result(NamedTuple):
    holds: bool
    release: str
    text: str


def record(app) -> str:
    found = [path for path in (Path(app.confdir, name) for name in RECORDS) if path.exists()]
    return found[0].read_text(encoding="utf-8") if found else '{"pages": {}}'


def check(app, docname: str) -> Result | None:
    """What the record says of this page as it is now; None for a page without a block to verify."""
    data = json.loads(record(app))
    page = data["pages"].get(docname)
    if page is None:
        return Result(False, "", "Not yet verified.")
    if not page["blocks"]:
        return None
    source = Path(app.env.doc2path(docname)).read_bytes()
    if hashlib.sha256(source).hexdigest() != page["source_sha256"]:
        return Result(False, data["release"], f"Changed since its last verification on {page['date']}.")
    count = Counter(block["status"] for block in page["blocks"])
    sums = [[str(count[status]), label] for status, label in STATUSES.items() if count[status]]
    sums[0].insert(1, "block" if sums[0][0] == "1" else "blocks")
    total = ", ".join(" ".join(words) for words in sums)
    return Result(True, data["release"], f"Verified against nemo-gym {data['release']} on {page['date']}: {total}.")


def seconds(app, docname: str) -> float | None:
    """How long the commands of a page ran, all of them, when it was last verified."""
    return json.loads(record(app))["pages"].get(docname, {}).get("seconds")


def tries(app) -> str:
    path = Path(app.confdir, TRIED)
    return path.read_text(encoding="utf-8") if path.exists() else ""


def readers(text: str, guide: str) -> str | None:
    """How many of those who had a task of this guide did it: the newest try of each task from each starting point."""
    newest = {(row["card"], row["start"]): row for row in map(json.loads, text.splitlines()) if guide in row["guides"]}
    if not newest:
        return None
    done, date = sum(row["done"] for row in newest.values()), max(row["date"] for row in newest.values())
    return f"Tasks of this guide done from this site alone: by {done} of {len(newest)} readers, all of them programs, {date}."


def read_again(app, env, added, changed, removed) -> list[str]:
    """A new record concerns every page, although no source has changed."""
    now = hashlib.sha256((record(app) + tries(app)).encode()).hexdigest()
    before, env.verification_record = getattr(env, "verification_record", now), now
    return list(env.found_docs) if before != now else []


def add_sum(app, pagename, templatename, context, doctree) -> None:
    if doctree is not None and next(doctree.findall(nodes.literal_block), None) is not None:
        result, tried = check(app, pagename), readers(tries(app), pagename.rpartition("/")[2])
        context["verified"] = result._replace(text=f"{result.text} {tried}") if result and tried else result


def setup(app) -> dict:
    app.connect("env-get-outdated", read_again)
    app.connect("html-page-context", add_sum)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
