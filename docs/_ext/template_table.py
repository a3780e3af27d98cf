"""``{template-table}``: what chat templates do to training rows, from chat_templates.json, which tests/support/template_table.py makes.

Each line of the content is one row, ``Label = SOURCE/NAME``. With the argument ``all``: every template, by what it is safe for.
"""

from __future__ import annotations

import json
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

DATA = Path(__file__).with_name("chat_templates.json")
USES = ("sft", "rl", "dpo")
# Which checks are told in the row, and which of their answers are no news.
TOLD = {
    "conversation with tools": ("kept",), "append-only": ("yes",), "append-only with thoughts": ("yes",), "empty turns in the loss": ("no",),
    "parallel calls": ("kept", "no calls"), "text beside a call": ("kept",), "generation marks": ("around", "none"),
    "content null": ("as empty",), "arguments as JSON text": ("as objects", "no calls"), "developer role": ("as ",), "date in the prompt": ("no",),
}
SHORT = {
    "arguments as JSON text: encoded twice": "JSON-text arguments are encoded twice", "developer role: lost": "developer text lost",
    "date in the prompt: yes: the same row gives other tokens on another day": "today's date in the prompt",
    "text beside a call: text lost": "text beside a call lost", "parallel calls: second call lost": "second parallel call lost",
    "content null: written as None": "null content becomes None", "content null: written as null": "null content becomes null",
}


def safe(one: dict, use: str) -> str:
    """Whether a use is safe: yes, no, or only for rows with or without thoughts."""
    with_, without = (use in one["safe"].get(mode, ()) for mode in ("always", "never"))
    return {(True, True): "yes", (True, False): "with thoughts", (False, True): "without thoughts", (False, False): "no"}[with_, without]


def told(one: dict) -> str:
    found = []
    for what, fine in TOLD.items():
        said = one["checks"].get(what, "")
        if said and not said.startswith(fine):
            words = said if what == "conversation with tools" else f"{what}: {said}"
            words = SHORT.get(words, f"{what}: raises" if ": raises" in words else words)
            found.append(words.removeprefix("empty turns in the loss: ").replace(" of 4 turns", " of 4").replace("<", r"\<"))
    if one["checks"].get("reasoning_content", "").startswith("unread (reads"):
        found.append(f"reads `{one['checks']['reasoning_content'].split()[-1].rstrip(')')}`, not `reasoning_content`")
    return "; ".join(found) or "nothing found"


def switches(one: dict) -> str:
    """Each switch with what it makes safe: only those for RL or SFT, which a longer conversation needs."""
    found = []
    for switch, modes in one["mend"].items():
        for mode, uses in modes.items():
            names = {"sft": "SFT", "rl": "RL", "dpo": "DPO"}
            when = {"always": "with thoughts", "never": "without"}[mode]
            found.append(f"`{switch}` for {', '.join(names[use] for use in uses)} {when}")
    return "; ".join(found) or "–"


def lines_of(data: dict, rows: list[tuple[str, str]]) -> list[str]:
    lines = ["| Template | SFT | Multi-turn RL | DPO | What it does to rows | A switch that mends it |", "| --- | --- | --- | --- | --- | --- |"]
    for label, place in rows:
        source, _, name = place.partition("/")
        one = data["templates"][source][name]
        lines.append(f"| {label} | {' | '.join(safe(one, use) for use in USES)} | {told(one)} | {switches(one)} |")
    return lines


def all_of(data: dict) -> list[str]:
    """Every template that multi-turn RL may take, by its name, under its condition; the others as a number."""
    answers = ("yes", "without thoughts", "with thoughts", "no")
    lines = ["| Source | Multi-turn RL: yes | without thoughts only | with thoughts only | no |", "| --- | --- | --- | --- | --- |"]
    for source, templates in data["templates"].items():
        names = {answer: ", ".join(f"`{name}`" for name, one in templates.items() if safe(one, "rl") == answer) or "–" for answer in answers}
        names["no"] = f"the other {sum(safe(one, 'rl') == 'no' for one in templates.values())}"
        lines.append(f"| {source} {data['versions'][source]} | {' | '.join(names[answer] for answer in answers)} |")
    return lines


class TemplateTable(SphinxDirective):
    has_content, optional_arguments = True, 1

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(DATA))
        data = json.loads(DATA.read_text(encoding="utf-8"))
        rows = [tuple(map(str.strip, line.split("="))) for line in self.content if line.strip()]
        try:
            return self.parse_text_to_nodes("\n".join(all_of(data) if self.arguments else lines_of(data, rows)))
        except KeyError as error:
            raise self.error(f"{{template-table}}: no template {error} in chat_templates.json") from None


def setup(app) -> dict:
    app.add_directive("template-table", TemplateTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
