"""How facts read: they become HTML when the page is written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from html import escape

from docutils import nodes
from sphinx.util import logging

from facts.known import Facts

logger = logging.getLogger(__name__)
HYPHENATED = re.compile(r"\S*-\S*")
UNBROKEN = r'<span class="pre">\g<0></span>'


class Rendered(nodes.General, nodes.Element):
    """Facts that become HTML when the page is written: as hundreds of tables of nodes they would slow down each step before."""


def shown(value: object) -> str:
    """A value as a reader would write it in YAML; of a long one (a prompt) the beginning."""
    plain = isinstance(value, str) and re.fullmatch(r"[^\s:#'\"\[\]{}][^:#'\"\n]*", value)
    text = value if plain else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else text[:99] + "…"


def word(text: object) -> str:
    """One code word; as Sphinx writes it, so that no line breaks at a hyphen."""
    return f'<code>{HYPHENATED.sub(UNBROKEN, escape(str(text), quote=False))}</code>'


def with_code(text: str) -> str:
    """Plain text in which backticks mark code."""
    return "".join(word(part) if number % 2 else escape(part, quote=False) for number, part in enumerate(text.split("`")))


def code(*texts: object) -> str:
    """Code words with commas between them."""
    return ", ".join(map(word, texts))


def type_of(field: dict) -> str:
    return escape(field.get("type", ""), quote=False)


def default_of(field: dict) -> str:
    if field.get("required"):
        return "<em>required</em>"
    if field.get("set_by_gym"):
        return "<em>set by Gym</em>"
    if "default_block" in field:
        return "the block's own defaults"
    if "default" in field:
        # ``max_steps: int = None``: there is no value that one could write for it.
        unset = field["default"] is None and not re.search("null|any value", field.get("type", "null"))
        return "<em>unset</em>" if unset else code(shown(field["default"]))
    return code(field["default_code"]) if "default_code" in field else ""


def presets(entry: dict) -> str:
    """What the server's own configurations write over the default, and which of them."""
    files: dict[str, list[str]] = {}
    for file, value in entry.get("presets", {}).items():
        files.setdefault(code(shown(value)), []).append(word(file))
    return "; ".join(f"{value} in {', '.join(names[:3])}{' and more' * (len(names) > 3)}" for value, names in files.items())


def accepts(field: dict) -> str:
    return code(*map(shown, field.get("choices", [])), *field.get("limits", []))


Fact = tuple[str, str]  # a label, and what stands behind it


def line(facts: Iterable[Fact]) -> str:
    """Facts in one line, each behind its label: it reads well as plain text, too."""
    told = [(label, content) for label, content in facts if content]
    items = [f'<span class="gym-fact"><strong>{label}</strong>: {content}</span>' for label, content in told if label != "Defined in"]
    # Few ask where; those who do open it.
    where = "".join(f'<details class="gym-where"><summary>{label}</summary>{content}</details>\n' for label, content in told if label == "Defined in")
    return where + (f'<p class="gym-facts">{"; ".join(items)}</p>\n' if items else "")


def lines(found: list[list[Fact]]) -> str:
    """A line for each list of facts; those that differ in the key alone become one that names all of the keys."""
    if any(facts[:1] == [] or facts[0][0] != "Key" for facts in found):
        return "".join(map(line, found))
    keys: dict[tuple[Fact, ...], list[str]] = {}
    for (_, key), *facts in found:
        keys.setdefault(tuple(facts), []).append(key)
    # What is true of all keys that the entry names needs none of them.
    return "".join(line([("Key", ", ".join(names)), *facts] if len(keys) > 1 else facts) for facts, names in keys.items())


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    def row(cell: str, texts: Iterable[str]) -> str:
        cells = "\n".join(f"<{cell}>{text}</{cell}>" for text in texts)
        return f"<tr>{cells}</tr>\n"

    body = "".join(row("td", cells) for cells in rows)
    return f'<div class="pst-scrollable-table-container"><table class="table">\n<thead>{row("th", head)}</thead>\n<tbody>{body}</tbody></table></div>\n'


def legacy_commands(data: dict) -> Iterator[list[str]]:
    for old, today in data["legacy_commands"].items():
        if old.startswith("ng_"):
            yield [code(old), code(today)]


def metrics(data: dict) -> Iterator[list[str]]:
    for metric in data["telemetry_metrics"]:
        yield [code(metric["name"]), *(escape(metric[key], quote=False) for key in ("kind", "unit", "description"))]


def failure_classes(data: dict) -> Iterator[list[str]]:
    for name, files in data["failure_classes"].items():
        yield [code(name), code(*files)]


def component_variables(data: dict) -> Iterator[list[str]]:
    for component, variables in data["component_variables"].items():
        for name, places in variables.items():
            default = [shown(place["default"]) for place in places if "default" in place][:1]
            yield [code(component), code(name), code(*default), code(places[0]["file"].removeprefix(f"{component}/"))]


TABLES: dict[str, tuple[list[str], Callable[[dict], Iterator[list[str]]]]] = {
    "legacy-commands": (["Earlier", "Today"], legacy_commands),
    "metrics": (["Name", "Kind", "Unit", "Meaning"], metrics),
    "failure-classes": (["Class", "Written by"], failure_classes),
    "component-variables": (["Component", "Variable", "Default", "Where"], component_variables),
}


class Writer:
    """What stands in place of a ``Rendered``: a method for each kind of entry or table."""

    def __init__(self, builder, node: Rendered) -> None:
        self.builder, self.names, self.given = builder, node["what"], node["given"]
        self.domain = builder.env.domains["gym"]
        self.facts: Facts = self.domain.facts
        self.render = getattr(self, node["how"])
        entries = self.facts.entries.get(node["how"])
        # Of what the names have several: an entry may have hundreds of names.
        self.several = {part for part in ("key", "group") if entries and len({entries[name][part] for name in self.names}) > 1}

    def html(self) -> str:
        found = [self.render(name) for name in self.names]
        return "".join(found) if isinstance(found[0], str) else lines(found)

    def link(self, kind: str, target: str, content: str) -> str:
        """A link to an entry if somebody describes it."""
        for docname, _, anchor in self.domain.find(kind, target)[:1]:
            page = self.builder.current_docname
            address = "" if docname == page else self.builder.get_relative_uri(page, docname)
            return f'<a class="reference internal" href="{address}#{anchor}">{content}</a>'
        return content

    def entries(self, name: tuple[str, str]) -> str:
        """A paragraph that leads to entries of this page, each with its anchor and its name."""
        links = (f'<a class="reference internal" href="#{anchor}">{word(text)}</a>' for anchor, text in name)
        return f'<p class="gym-keys">{", ".join(links)}</p>\n'

    def setting(self, name: str, kind: str = "setting") -> list[Fact]:
        entries = self.facts.entries[kind]
        entry, stated = entries[name], self.facts.stated(kind, name)
        cls, field = stated[0]
        flags: dict[str, list[str]] = {}
        for flag in entry.get("flags", []):
            sets = "" if flag["key"] == entry["key"] else f" (sets {flag['key']})"
            flags.setdefault(", ".join(flag["names"]) + sets, []).append(f"gym {flag['command']}")
        module = (field["module"] if cls.startswith("keys:") else cls.removeprefix("built:").replace(":", ".")).removeprefix("nemo_gym.")
        blocks = dict.fromkeys(self.facts.home[block] for block in field.get("blocks", []) if block in self.facts.home)
        return [
            *([("Key", code(entry["key"]))] if "key" in self.several else []),
            *([("In", code(entry["group"]))] if "group" in self.several else []),
            ("Type", code(self.given["type"]) if "type" in self.given else type_of(field)),
            ("Default", code(self.given["default"]) if "default" in self.given else default_of(field)),
            ("Shipped", presets(entry)),
            ("Accepts", accepts(field)),
            *(("Flag", f"{code(flag)} of {', '.join(commands)}") for flag, commands in flags.items()),
            ("Keys", ", ".join(self.link("group", group, code(group)) for group in blocks)),
            *self.variants(stated),
            ("Defined in", code(module)),
        ]

    def field(self, name: str) -> list[Fact]:
        return self.setting(name, "field")

    def variants(self, stated: list[tuple[str, dict]]) -> Iterator[Fact]:
        """Where another class has the same key with other facts."""
        (main_class, main), *others = stated
        for cls, field in others:
            parts = [(type_of, ""), (default_of, "" if field.get("required") else "default "), (accepts, "")]
            differ = [f"<span>{start}{of(field)}</span>" for of, start in parts if of(field) and of(field) != of(main)]
            if differ:
                home = self.facts.home[cls]
                where = home if home != self.facts.home[main_class] else cls.rpartition(":")[2]
                yield f"In {where}", ", ".join(differ)

    def command(self, name: str) -> str:
        rows = []
        for flag in self.facts.data["commands"][name.removeprefix("gym").strip()]["flags"]:
            this = ("flag", f"{name} {flag['names'][0]}")
            values = flag.get("choices") or [flag["takes"]] * (bool(flag["takes"]) and flag["takes"] not in flag["names"])
            sets = [self.link(*(("setting", setting) if setting else this), code(key)) for key, setting in flag["keys"].items()]
            rows.append([code(*flag["names"]), code(*values), ", ".join(sets or [self.link(*this, "what it does")])])
        return line([("Earlier", code(*self.facts.legacy(name)))]) + (table(["Flag", "Value", "Sets or does"], rows) if rows else "")

    def flag(self, name: str) -> list[Fact]:
        flag = self.facts.flags[name]
        commands = code(*(name.rpartition(" ")[0] for name in self.names))
        facts = [("Default", code(*filter(None, [flag.get("default")]))), ("Accepts", code(*flag.get("choices", []))), ("Of", commands)]
        return facts if name == self.names[0] else []

    def variable(self, name: str) -> list[Fact]:
        places = self.facts.data["variables"][name]
        default = [self.given["default"]] if "default" in self.given else []
        default += dict.fromkeys(shown(place["default"]) for place in places if "default" in place)

        def files(access: str) -> str:
            return code(*dict.fromkeys(place["file"] for place in places if place["access"] == access))

        return [("Default", code(*default)), ("Read by", files("read")), ("Set by", files("set"))]

    def failure(self, name: str) -> list[Fact]:
        layers = [kind["layer"] for kind in self.facts.data["failure_kinds"] if kind["name"] == name]
        return [("Observed by", "".join(layers)), ("Written by", code(*self.facts.data["failure_classes"].get(name, [])))]

    def check(self, name: str) -> list[Fact]:
        check = next(check for check in self.facts.data["checks"] if check["id"] == name)
        texts = {key: escape(", ".join(value) if isinstance(value, list) else value, quote=False) for key, value in check.items()}
        return [("Looks at", texts["subject"]), ("Once per", texts["scope"]), ("Needs", texts["reads"])]

    def fields(self, name: str) -> str:
        """Links to the keys that have an entry, and a table of the others: one of a group, one per class of a server."""
        data, facts = self.facts.data, self.facts
        about = facts.groups.get(name) or data["components"].get(name) or {"classes": [name]}
        described: dict[str, tuple[str, str]] = {}
        tables: dict[str, dict[str, list[str]]] = {}
        taken: list[str] = []
        for cls in about["classes"]:
            rows = tables.setdefault("" if name in facts.groups else cls, {})
            for field in data["classes"][cls]["fields"]:
                key = field["name"]
                if key not in rows and re.search(self.given.get("only", ""), key):
                    entry = facts.entry_of(cls, key)
                    if entry and self.domain.find(*entry):
                        described[key] = entry
                    else:
                        rows[key] = [code(key), type_of(field), default_of(field), accepts(field)]
            taken += [facts.home[base] for base in data["classes"][cls]["bases"] if facts.home.get(base, name) != name]
        found = ""
        filled = {cls: rows for cls, rows in tables.items() if rows}
        for cls, rows in filled.items():
            found += f"<p>{code(cls.rpartition(':')[2])}</p>\n" if len(filled) > 1 else ""
            found += table(["Key", "Type", "Default", "Accepts"], rows.values())
        if described:
            links = ", ".join(self.link(*entry, code(key)) for key, entry in described.items())
            found += f'<p class="gym-keys">{"Also: " if found else ""}{links}</p>\n'
        if taken and "only" not in self.given:
            text = "Takes the keys of these, too: " if found else "Has no keys of its own, but takes those of "
            links = ", ".join(self.link("group", group, code(group)) for group in dict.fromkeys(taken))
            found += f"<p>{text}{links}.</p>\n"
        return found or "<p>Has no keys of its own.</p>\n"

    def changes(self, wanted: tuple[str, ...]) -> str:
        """What a release changed of settings below these groups, or of a whole kind."""
        kinds = {"commands": ("command", "Commands"), "flags": ("flag", "Flags"), "variables": ("variable", "Environment variables")}
        found: list[tuple[str, str, str, str]] = []
        for word_ in wanted:
            kind, title = kinds.get(word_, ("setting", "Settings"))
            for change, names in self.domain.changes.get(title, {}).items():
                for name, told in names.items() if change != "described in other words" else ():
                    if word_ in kinds or name.rpartition(".")[0] == word_ or name.startswith(f"{word_}."):
                        found.append((kind, name, change, told))
        order = ["removed", "changed", "added"]
        rows = []
        for kind, name, change, told in sorted(dict.fromkeys(found), key=lambda item: order.index(item[2])):
            if change != "added" and name not in self.given:
                text = "gym:changes says nothing of %s, which was %s"
                logger.warning(text, name, change, location=self.builder.current_docname, type="gym", subtype="changes")
            shown_name = f"{name.rpartition('.')[0]} › {name.rpartition('.')[2]}" if kind == "setting" else name
            advice = with_code(self.given[name]) if name in self.given else escape(self.first_sentence(kind, name), quote=False)
            if kind == "flag" and not advice:
                keys = re.findall(r"\w+", told.rpartition("sets ")[2])
                advice = "Sets " + ", ".join(self.link(kind, name, code(key)) for key in keys) + "."
            what = {"added": "new", "removed": "gone"}.get(change) or with_code(re.sub(r'[][]?"[][]?', "`", told).replace("access with", "now also"))
            if kind == "variable" and change == "added" and not name.startswith("NEMO_GYM_"):  # of another library: it may have worked before
                what = "now " + " and ".join(re.findall(r"read|set", told)) + " by Gym"
            rows.append([self.link(kind, name, word(shown_name)), what, advice])
        return table(["Setting" if wanted[0] not in kinds else wanted[0].capitalize()[:-1], "Change", "What it means"], rows)

    def first_sentence(self, kind: str, name: str) -> str:
        """Of the entry that describes it."""
        prose = self.domain.told(kind, name)[1]
        return prose and re.match(r".*?[.:](?=\s|$)|.*", prose)[0].removesuffix(":").removesuffix(".") + "."

    def table(self, name: str) -> str:
        head, rows = TABLES[name]
        only = re.compile(self.given.get("only", ""))
        return table(head, (row for row in rows(self.facts.data) if only.search(re.sub("<[^>]+>", "", row[0]))))


def write_rendered(translator, node: Rendered) -> None:
    translator.body.append(Writer(translator.builder, node).html())
    raise nodes.SkipNode
