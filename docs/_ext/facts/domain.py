"""The domain: the places of all entries, links to them, and what pages answer for."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.domains import Domain, ObjType
from sphinx.roles import XRefRole
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole
from sphinx.util.nodes import make_refnode

from facts.entries import Changes, Command, Covers, Entry, Finder, Flag, Generated, Setting, Variable
from facts.known import KINDS, Facts, Place, full_command
from facts.writer import Rendered, shown

logger = logging.getLogger(__name__)


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


class Role(XRefRole):
    """Shows the key of a setting or field, whatever its group."""

    def process_link(self, env, refnode, has_explicit_title, title, target) -> tuple[str, str]:
        target = " ".join(target.split())
        entry = Facts.of(env).entries.get(refnode["reftype"], {}).get(target)
        return (entry["key"] if entry and not has_explicit_title else title), target


class Default(SphinxRole):
    """``{gym:default}`rollout.num_repeats```: the default of a setting or variable, from the package."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        self.env.note_dependency(self.config.gym_facts)
        facts = Facts.of(self.env)
        try:
            value = facts.default(self.text)
        except (KeyError, StopIteration):
            text = "nemo-gym %s states no default of %r"
            logger.warning(text, facts.release, self.text, location=self.get_location(), type="gym", subtype="default")
            return [], []
        if value is None and self.text in facts.entries["setting"] and "null" not in facts.stated("setting", self.text)[0][1].get("type", "null"):
            return [nodes.emphasis("", "unset")], []  # as the entry says it: nothing that one could write
        return [nodes.literal("", shown(value))], []


class Listed(SphinxRole):
    """``{gym:list}`NAME``` and ``{gym:count}`NAME```: what the package has of a kind, or how many."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        self.env.note_dependency(self.config.gym_facts)
        facts = Facts.of(self.env)
        found = facts.data["lists"].get(self.text)
        if found is None:
            logger.warning("nemo-gym %s has no list %r", facts.release, self.text, location=self.get_location(), type="gym", subtype="list")  # fmt: skip
            return [], []
        if self.name.endswith("count"):
            return [nodes.Text(str(len(found)))], []
        return [node for word in found for node in (nodes.Text(", "), nodes.literal("", word))][1:], []


class GymDomain(Domain):
    name = "gym"
    label = "NeMo Gym"
    object_types = {kind: ObjType(word, kind) for kind, word in (KINDS | {"group": "group of settings"}).items()}
    directives = dict.fromkeys(KINDS, Entry) | {
        "setting": Setting, "field": Setting, "command": Command, "flag": Flag, "variable": Variable,
        "fields": Generated, "table": Generated, "covers": Covers, "finder": Finder, "changes": Changes,
    }  # fmt: skip
    roles = {kind: Role(warn_dangling=True) for kind in object_types} | {"default": Default(), "count": Listed(), "list": Listed()}
    # "described" has the places of each (kind, name), "covers" what pages answer for, "prose" more names and the words of
    # each entry, by page.
    initial_data = {"described": {}, "covers": [], "prose": {}}
    data_version = 2

    @functools.cached_property
    def facts(self) -> Facts:
        return Facts(json.loads(Path(self.env.config.gym_facts).read_text(encoding="utf-8")))

    @functools.cached_property
    def changes(self) -> dict:
        return json.loads(Path(self.env.config.gym_changes).read_text(encoding="utf-8"))

    @property
    def described(self) -> dict[tuple[str, str], list[Place]]:
        return self.data["described"]

    def note(self, kind: str, name: str, place: Place) -> None:
        self.described.setdefault((kind, name), []).append(place)

    def tell(self, docname: str, kind: str, name: str, more: str, prose: str) -> None:
        self.data["prose"].setdefault(docname, {})[kind, name] = (more, prose)

    def told(self, kind: str, name: str) -> tuple[str, str]:
        """More names of an entry, and its prose."""
        places = self.described.get((kind, name), ())
        return self.data["prose"].get(places[0].docname, {}).get((kind, name), ("", "")) if places else ("", "")

    def clear_doc(self, docname: str) -> None:
        kept = {key: [place for place in places if place.docname != docname] for key, places in self.described.items()}
        self.data["described"] = {key: places for key, places in kept.items() if places}
        self.data["covers"] = [item for item in self.data["covers"] if item[0] != docname]
        self.data["prose"].pop(docname, None)

    def merge_domaindata(self, docnames: set[str], otherdata: dict) -> None:
        for (kind, name), places in otherdata["described"].items():
            for place in places:
                if place.docname in docnames:
                    self.note(kind, name, place)
        self.data["prose"] |= {docname: found for docname, found in otherdata["prose"].items() if docname in docnames}
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
