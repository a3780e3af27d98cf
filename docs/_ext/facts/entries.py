"""The directives: an entry with its prose, tables of what needs none, what a page answers for, and the filter box."""

from __future__ import annotations

import functools

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.directives import ObjectDescription
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from facts.known import KINDS, Facts, Place, anchor_of, full_command
from facts.writer import TABLES, Rendered

logger = logging.getLogger(__name__)


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
        if group := self.group(sig):
            signode += addnodes.desc_addname("", f"{group} › ")
        signode += addnodes.desc_name("", self.display(sig))
        return sig

    def group(self, name: str) -> str:
        """What stands before the name, so that an entry is understood without its page."""
        return ""

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
        told = " ".join(" ".join(node.astext().split()) for node in content.findall(nodes.paragraph))
        for name in self.names:
            more = " ".join(dict.fromkeys(self.also_found_as(name)))
            self.env.domains["gym"].tell(self.env.docname, self.objtype, name, more, told)
        first, *others = content.parent.children[:-1]
        for signode in others:  # one signature for ids that read the same
            if signode.next_node(addnodes.desc_name).astext() == first.next_node(addnodes.desc_name).astext():
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

    def group(self, name: str) -> str:
        """All groups that share the key, if the words are true of several."""
        entries = self.facts.entries[self.objtype]
        same = [entries[other]["group"] for other in self.get_signatures() if other in entries and entries[other]["key"] == entries[name]["key"]]
        return ", ".join(dict.fromkeys(same))

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
        takes = "" if flag["takes"] in flag["names"] else flag["takes"]  # an argument is called what it takes
        return f"{', '.join(flag['names'])} {takes}".strip()


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
        if kind == "fields" and (name not in facts.groups or not self.options):
            found["ids"].append(anchor_of("keys", name))
            noted = ("group", name) if name in facts.groups else ("keys", f"{name} {self.options.get('only', '')}")
            self.env.domains["gym"].note(*noted, Place(self.env.docname, self.lineno, found["ids"][0]))
        return [found]


class Changes(SphinxDirective):
    """``{gym:changes} GROUP ...`` or ``{gym:changes} commands``: what the documented release changed there, each with what to do.

    The content has a line ``NAME: what to do`` for what was removed or changed; what is new says its entry's first sentence.
    """

    required_arguments = 1
    final_argument_whitespace = has_content = True

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(self.config.gym_changes)
        advice = dict(line.split(": ", 1) for line in self.content if line.strip())
        return [nodes.container("", Rendered(how="changes", what=(tuple(self.arguments[0].split()),), given=advice), classes=["gym-changes"])]


class Covers(SphinxDirective):
    """``{gym:covers} rollout aggregate commands``: what the page answers for describing completely."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(self.config.gym_facts)
        for what in self.arguments[0].split():
            self.env.domains["gym"].data["covers"].append((self.env.docname, self.lineno, what))
        return []


class Finder(SphinxDirective):
    """``{gym:finder}``: a box that finds any entry of the reference, on whichever page; ``{gym:finder} here`` those of this page.

    Without scripts there is no box.
    """

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        here, what, hint = (" data-here", "field", "a field, a word") if self.arguments == ["here"] else ("", "setting", "a key, a flag, a word")
        box = (
            f'<search class="gym-finder"{here} hidden><label for="gym-finder">Find a {what}</label>'
            f'<input id="gym-finder" type="search" placeholder="{hint}" autocomplete="off" spellcheck="false" '
            'aria-controls="gym-found" aria-describedby="gym-found-count" /><span id="gym-found-count" role="status"></span>'
            '<ol id="gym-found"></ol></search>'
        )
        self.env.metadata[self.env.docname]["gym-finder"] = True
        return [nodes.raw("", box, format="html")]
