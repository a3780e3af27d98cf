"""The ``gym`` domain: entries of the reference, whose facts come from the package and whose prose is ours.

``facts.json`` holds what ``facts_extract.py`` read from the package. An author writes ``{gym:setting} rollout.limit`` with
the meaning as its body; the entry shows type, default, accepted values, flag and place as well. Roles of the same names
link to an entry from any page. What does not exist, has no prose, or is described twice is a build warning, and
``{gym:covers}`` makes a page answer for being complete.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.directives import ObjectDescription
from sphinx.domains import Domain, ObjType
from sphinx.roles import XRefRole
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

logger = logging.getLogger(__name__)

# Each kind of entry that an author describes, with the word for it in the index.
KINDS = {
    "setting": "setting",
    "field": "field",
    "command": "command",
    "flag": "flag",
    "variable": "environment variable",
    "failure": "failure",
    "check": "health check",
}


class Facts:
    """The facts of one release, and the questions that are asked about them."""

    def __init__(self, data: dict) -> None:
        self.data = data
        self.release = data["release"]
        self.entries = {"setting": data["settings"], "field": data["fields"]}
        self.groups = data["setting_groups"] | data["field_groups"]
        self.home = {cls: name for name, group in self.groups.items() for cls in group["classes"]}
        self.flags = {
            " ".join(["gym", *command.split(), flag["names"][0]]): flag
            for command, found in data["commands"].items()
            for flag in found["flags"]
        }
        # A failure class that only one component writes is listed, not described.
        written_by = data["failure_classes"].items()
        shared = [name for name, files in written_by if any(file.startswith("nemo_gym/") for file in files)]
        self.ids = {
            "setting": list(data["settings"]),
            "field": list(data["fields"]),
            "command": [f"gym {name}".strip() for name in data["commands"]],
            "flag": [name for name, flag in self.flags.items() if not any(flag["keys"].values())],
            "variable": list(data["variables"]),
            "failure": list(dict.fromkeys([kind["name"] for kind in data["failure_kinds"]] + shared)),
            "check": [check["id"] for check in data["checks"]],
        }

    @classmethod
    def of(cls, env) -> Facts:
        return env.domains["gym"].facts

    def covered(self, what: str) -> list[tuple[str, str]] | None:
        """The entries that a word of ``{gym:covers}`` stands for: a kind in the plural, or a group."""
        kind = what.removesuffix("s")
        if kind in KINDS and kind != what:
            kinds = [kind, "flag"] if kind == "command" else [kind]
            return [(kind, name) for kind in kinds for name in self.ids[kind]]
        for kind in ("setting", "field"):
            if what in self.data[f"{kind}_groups"]:
                return [(kind, name) for name in self.data[f"{kind}_groups"][what]["entries"]]
        return None

    def stated(self, kind: str, name: str) -> list[tuple[str, dict]]:
        """What each class that has a setting or field states about it, the main one first."""
        entry = self.entries[kind][name]
        fields = ((cls, field) for cls in entry["in"] for field in self.data["classes"][cls]["fields"])
        return [(cls, field) for cls, field in fields if field["name"] == entry["key"]]

    def entry_of(self, cls: str, key: str) -> tuple[str, str] | None:
        """The entry that describes a key of a class, be it one of its own or one that it takes over."""
        for base in (cls, *self.data["classes"][cls]["bases"]):
            for kind, entries in self.entries.items():
                if f"{self.home.get(base)}.{key}" in entries:
                    return kind, f"{self.home[base]}.{key}"
        return None

    def legacy(self, command: str) -> list[str]:
        """The commands of earlier releases that a command replaced."""
        pattern = re.compile(rf"{command}( --?\w.*)?")
        found = self.data["legacy_commands"].items()
        return [name for name, today in found if name.startswith("ng_") and pattern.fullmatch(today)]


# --- entries ----------------------------------------------------------------------------------------------------------


class Place(NamedTuple):
    docname: str
    line: int
    anchor: str


class Rendered(nodes.General, nodes.Element):
    """Facts that become HTML when the page is written: as hundreds of tables of nodes they would slow down each step before."""


def full_command(text: str) -> str:
    return " ".join(["gym", *text.removeprefix("gym").split()])


def anchor_of(kind: str, name: str) -> str:
    return f"{kind}-{re.sub(r'[^A-Za-z0-9_.]+', '-', name).strip('-')}"


class Entry(ObjectDescription):
    """One entry: its name as signature, our prose as body, the facts in front of the prose.

    Several ids may stand behind each other if the same words are true of them all.
    """

    has_content = True
    required_arguments = 1
    final_argument_whitespace = True
    option_spec = ObjectDescription.option_spec | {
        "since": directives.unchanged_required,
        "deprecated": directives.unchanged_required,
    }

    @functools.cached_property
    def facts(self) -> Facts:
        return Facts.of(self.env)

    def warn(self, message: str, *values: object) -> None:
        logger.warning(message, *values, location=self.get_location(), type="gym", subtype=self.objtype)

    def get_signatures(self) -> list[str]:
        return self.arguments[0].split()

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(self.config.gym_facts)
        found = super().run()
        if not any(text.strip() for text in self.content):
            self.warn("gym:%s %s has no prose", self.objtype, self.arguments[0])
        return found

    def handle_signature(self, sig: str, signode: addnodes.desc_signature) -> str:
        if sig not in self.facts.ids[self.objtype]:
            self.warn("nemo-gym %s has no %s %r", self.facts.release, KINDS[self.objtype], sig)
            raise ValueError
        signode += addnodes.desc_name("", self.display(sig))
        return sig

    def display(self, name: str) -> str:
        return name

    def also_found_as(self, name: str) -> list[str]:
        """More words for the index."""
        return []

    def add_target_and_index(self, name: str, sig: str, signode: addnodes.desc_signature) -> None:
        anchor = anchor_of(self.objtype, name)
        if anchor not in self.state.document.ids:
            signode["ids"].append(anchor)
            self.state.document.note_explicit_target(signode)
        self.env.domains["gym"].note(self.objtype, name, Place(self.env.docname, self.lineno, anchor))
        for word in [self.display(name), *self.also_found_as(name)]:
            self.indexnode["entries"].append(("single", f"{word} ({KINDS[self.objtype]})", anchor, "", None))

    def _object_hierarchy_parts(self, signode: addnodes.desc_signature) -> tuple[str, ...]:
        return ()  # hundreds of entries have no room in a page's table of contents

    def transform_content(self, content: addnodes.desc_content) -> None:
        first, *others = content.parent.children[:-1]
        for signode in others:  # one signature for ids that read the same
            if signode.astext() == first.astext():
                first["ids"] += signode["ids"]
                content.parent.remove(signode)
        for option in ("deprecated", "since"):
            if option in self.options:
                text = f"{option.capitalize()} {self.options[option]}."
                content.insert(0, nodes.paragraph("", text, classes=[f"gym-{option}"]))
        if self.names:
            given = {option: self.options[option] for option in ("type", "default") if option in self.options}
            content.insert(0, Rendered(how=self.objtype, what=tuple(self.names), given=given))


class Stated(Entry):
    """An entry whose default, and maybe type, the package states; where it does not, the author may."""

    option_spec = Entry.option_spec | {"default": directives.unchanged_required}

    def handle_signature(self, sig: str, signode: addnodes.desc_signature) -> str:
        name = super().handle_signature(sig, signode)
        for option in self.known(name) & set(self.options):
            self.warn("the %s of %s comes from the package: leave the option out", option, name)
        return name

    def known(self, name: str) -> set[str]:
        """The options that the package leaves no room for."""
        raise NotImplementedError


class Setting(Stated):
    """``{gym:setting} GROUP.KEY`` and ``{gym:field} GROUP.KEY``."""

    option_spec = Stated.option_spec | {"type": directives.unchanged_required}

    def display(self, name: str) -> str:
        return self.facts.entries[self.objtype][name]["key"]

    def also_found_as(self, name: str) -> list[str]:
        flags = self.facts.entries[self.objtype][name].get("flags", [])
        return list(dict.fromkeys(word for flag in flags for word in flag["names"] if word.startswith("-")))

    def known(self, name: str) -> set[str]:
        field = self.facts.stated(self.objtype, name)[0][1]
        default = {"default", "default_block", "required", "set_by_gym"} & set(field)
        return {"type"} & set(field) | ({"default"} if default else set())


class Variable(Stated):
    def known(self, name: str) -> set[str]:
        return {"default"} if any("default" in place for place in self.facts.data["variables"][name]) else set()


class Command(Entry):
    """``{gym:command} gym eval run``."""

    def get_signatures(self) -> list[str]:
        return [full_command(self.arguments[0])]

    def also_found_as(self, name: str) -> list[str]:
        return self.facts.legacy(name)


class Flag(Entry):
    """A flag that sets no key: ``--search-dir`` of all commands that have it, ``gym eval run --no-serve`` of one."""

    def get_signatures(self) -> list[str]:
        wanted = self.arguments[0] if self.arguments[0].startswith("-") else full_command(self.arguments[0])
        return [name for name in self.facts.ids["flag"] if wanted in (name, name.rpartition(" ")[2])] or [wanted]

    def display(self, name: str) -> str:
        flag = self.facts.flags[name]
        return f"{', '.join(flag['names'])} {flag['takes']}".strip()


class Generated(SphinxDirective):
    """``{gym:fields} NAME`` and ``{gym:table} NAME``: facts that need no sentence for each row.

    ``:only:`` is a regular expression that the key matches.
    """

    required_arguments = 1
    option_spec = {"only": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(self.config.gym_facts)
        kind, name = self.name.partition(":")[2], self.arguments[0]
        facts = Facts.of(self.env)
        known = TABLES if kind == "table" else {**facts.groups, **facts.data["components"], **facts.data["classes"]}
        if name not in known:
            logger.warning("nemo-gym %s has no %r", facts.release, name, location=self.get_location(), type="gym", subtype=kind)  # fmt: skip
            return []
        found = nodes.container("", Rendered(how=kind, what=(name,), given=self.options), classes=[f"gym-{kind}"])
        if kind == "fields" and name in facts.groups and not self.options:
            found["ids"].append(anchor_of("keys", name))
            self.env.domains["gym"].note("group", name, Place(self.env.docname, self.lineno, found["ids"][0]))
        return [found]


class Covers(SphinxDirective):
    """``{gym:covers} rollout aggregate commands``: what the page answers for describing completely."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(self.config.gym_facts)
        for what in self.arguments[0].split():
            self.env.domains["gym"].data["covers"].append((self.env.docname, self.lineno, what))
        return []


class FilterBox(SphinxDirective):
    """``{gym:filter}``: a box that narrows the page's entries as the reader types. Without scripts there is no box."""

    def run(self) -> list[nodes.Node]:
        box = (
            '<search class="gym-filter" hidden><label for="gym-filter">Filter</label>'
            '<input id="gym-filter" type="search" placeholder="a key, a flag, a word" autocomplete="off" spellcheck="false" '
            'aria-describedby="gym-filter-found" /><span id="gym-filter-found" role="status"></span></search>'
        )
        self.env.metadata[self.env.docname]["gym-filter"] = True
        return [nodes.raw("", box, format="html")]


# --- how facts read ---------------------------------------------------------------------------------------------------

HYPHENATED = re.compile(r"\S*-\S*")
UNBROKEN = r'<span class="pre">\g<0></span>'


def shown(value: object) -> str:
    """A value as a reader would write it in YAML; of a long one (a prompt) the beginning."""
    plain = isinstance(value, str) and re.fullmatch(r"[^\s:#'\"\[\]{}][^:#'\"\n]*", value)
    text = value if plain else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else text[:99] + "…"


def word(text: object) -> str:
    """One code word; as Sphinx writes it, so that no line breaks at a hyphen."""
    return f'<code class="literal">{HYPHENATED.sub(UNBROKEN, escape(str(text), quote=False))}</code>'


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


def accepts(field: dict) -> str:
    return code(*map(shown, field.get("choices", [])), *field.get("limits", []))


Fact = tuple[str, str]  # a label, and what stands behind it


def line(facts: Iterable[Fact]) -> str:
    """Facts in one line, each behind its label: it reads well as plain text, too."""
    items = [f'<span class="gym-fact"><strong>{label}</strong>: {content}</span>' for label, content in facts if content]
    return f'<p class="gym-facts">{"; ".join(items)}</p>\n' if items else ""


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
        keys, groups = ({entries[other][part] for other in self.names} for part in ("key", "group"))
        flags: dict[str, list[str]] = {}
        for flag in entry.get("flags", []):
            sets = "" if flag["key"] == entry["key"] else f" (sets {flag['key']})"
            flags.setdefault(", ".join(flag["names"]) + sets, []).append(f"gym {flag['command']}")
        module = (field["module"] if cls.startswith("keys:") else cls.removeprefix("built:").replace(":", ".")).removeprefix("nemo_gym.")
        blocks = dict.fromkeys(self.facts.home[block] for block in field.get("blocks", []) if block in self.facts.home)
        return [
            *([("Key", code(entry["key"]))] if len(keys) > 1 else []),
            *([("In", code(entry["group"]))] if len(groups) > 1 else []),
            ("Type", code(self.given["type"]) if "type" in self.given else type_of(field)),
            ("Default", code(self.given["default"]) if "default" in self.given else default_of(field)),
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
            values = flag.get("choices") or ([flag["takes"]] if flag["takes"] else [])
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

    def table(self, name: str) -> str:
        head, rows = TABLES[name]
        only = re.compile(self.given.get("only", ""))
        return table(head, (row for row in rows(self.facts.data) if only.search(re.sub("<[^>]+>", "", row[0]))))


def write_rendered(translator, node: Rendered) -> None:
    translator.body.append(Writer(translator.builder, node).html())
    raise nodes.SkipNode


class ListEntries(SphinxPostTransform):
    """What a section describes, as links below its introduction."""

    default_priority = 990

    def run(self, **_: object) -> None:
        for section in self.document.findall(nodes.section):
            entries = [node for node in section.children if isinstance(node, addnodes.desc) and node["domain"] == "gym"]
            listed = any("gym-fields" in node.get("classes", []) for node in section.children if isinstance(node, nodes.container))
            if len(entries) > 3 and not listed:
                names = [signature for entry in entries for signature in entry.findall(addnodes.desc_signature)]
                what = tuple((name["ids"][0], name.next_node(addnodes.desc_name).astext()) for name in names)
                section.insert(section.index(entries[0]), Rendered(how="entries", what=(what,), given={}))


# --- the domain -------------------------------------------------------------------------------------------------------


class Role(XRefRole):
    """Shows the key of a setting or field, whatever its group."""

    def process_link(self, env, refnode, has_explicit_title, title, target) -> tuple[str, str]:
        target = " ".join(target.split())
        entry = Facts.of(env).entries.get(refnode["reftype"], {}).get(target)
        return (entry["key"] if entry and not has_explicit_title else title), target


class GymDomain(Domain):
    name = "gym"
    label = "NeMo Gym"
    object_types = {kind: ObjType(word, kind) for kind, word in (KINDS | {"group": "group of settings"}).items()}
    directives = dict.fromkeys(KINDS, Entry) | {
        "setting": Setting, "field": Setting, "command": Command, "flag": Flag, "variable": Variable,
        "fields": Generated, "table": Generated, "covers": Covers, "filter": FilterBox,
    }  # fmt: skip
    roles = {kind: Role(warn_dangling=True) for kind in object_types}
    # "described" has the places of each (kind, name), "covers" what pages answer for.
    initial_data = {"described": {}, "covers": []}
    data_version = 1

    @functools.cached_property
    def facts(self) -> Facts:
        return Facts(json.loads(Path(self.env.config.gym_facts).read_text(encoding="utf-8")))

    @property
    def described(self) -> dict[tuple[str, str], list[Place]]:
        return self.data["described"]

    def note(self, kind: str, name: str, place: Place) -> None:
        self.described.setdefault((kind, name), []).append(place)

    def clear_doc(self, docname: str) -> None:
        kept = {key: [place for place in places if place.docname != docname] for key, places in self.described.items()}
        self.data["described"] = {key: places for key, places in kept.items() if places}
        self.data["covers"] = [item for item in self.data["covers"] if item[0] != docname]

    def merge_domaindata(self, docnames: set[str], otherdata: dict) -> None:
        for (kind, name), places in otherdata["described"].items():
            for place in places:
                if place.docname in docnames:
                    self.note(kind, name, place)
        self.data["covers"] += [item for item in otherdata["covers"] if item[0] in docnames]

    def check_consistency(self) -> None:
        for (kind, name), places in sorted(self.described.items()):
            for place in places[1:] if kind in KINDS else ():
                text = "gym:%s %s is described already in %s, line %d"
                logger.warning(text, kind, name, *places[0][:2], location=place[:2], type="gym", subtype=kind)
        for docname, number, what in self.data["covers"]:
            entries = self.facts.covered(what)
            if entries is None:
                logger.warning(
                    "gym:covers: there is no %r", what, location=(docname, number), type="gym", subtype="covers"
                )
            missing = [f"{kind} {name}" for kind, name in entries or [] if (kind, name) not in self.described]
            if missing:
                text = "%d without prose in %r: %s"
                logger.warning(text, len(missing), what, "; ".join(missing), location=(docname, number), type="gym", subtype="covers")  # fmt: skip

    def find(self, kind: str, target: str) -> list[Place]:
        """The entries that a target can mean: the one of that id, else each that a reader may call so."""
        facts = self.facts
        wanted = [(kind, target)]
        if kind in facts.entries and target not in facts.entries[kind]:
            wanted = [(kind, name) for name, entry in facts.entries[kind].items() if entry["key"] == target]
        elif kind == "command":
            wanted = [
                (kind, name) for name in facts.ids[kind] if target in facts.legacy(name) or name == full_command(target)
            ][:1]
        elif kind == "flag":
            command, _, word = target.rpartition(" ")
            for name, flag in facts.flags.items():
                if word in flag["names"] and (not command or full_command(command) == name.rpartition(" ")[0]):
                    wanted += [("setting", setting) for setting in flag["keys"].values() if setting] or [(kind, name)]
        found = [self.described[key][0] for key in wanted if key in self.described]
        # Several ids of one directive are one answer.
        return list({place[:2]: place for place in reversed(found)}.values())[::-1]

    def resolve_xref(self, env, fromdocname, builder, typ, target, node, contnode):
        found = self.find(typ, target)
        if len(found) > 1:
            places = ", ".join(place.anchor.partition("-")[2] for place in found)
            logger.warning("gym:%s %r can mean any of %s", typ, target, places, location=node, type="gym", subtype=typ)
        return make_refnode(builder, fromdocname, *found[0][::2], contnode) if found else None

    def resolve_any_xref(self, env, fromdocname, builder, target, node, contnode):
        return []  # keys are too common words for `any`

    def get_objects(self) -> Iterator[tuple[str, str, str, str, str, int]]:
        entries = self.facts.entries
        for (kind, name), places in self.described.items():
            shown_name = entries[kind][name]["key"] if kind in entries else name
            yield name, shown_name, kind, places[0].docname, places[0].anchor, 1


def add_filter(app, pagename, templatename, context, doctree) -> None:
    if "gym-filter" in app.env.metadata.get(pagename, {}):
        app.add_js_file("filter.js", loading_method="defer")


def setup(app) -> dict:
    app.connect("html-page-context", add_filter)
    app.add_config_value("gym_facts", str(Path(__file__).with_name("facts.json")), "env", str)
    app.add_node(Rendered, html=(write_rendered, None))
    app.add_post_transform(ListEntries)
    app.add_domain(GymDomain)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "env_version": 1}
