"""The facts of one release, and the questions that are asked about them."""

from __future__ import annotations

import re
from typing import NamedTuple

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

    def default(self, name: str) -> object:
        """The default of a setting or variable; KeyError if the package does not state one."""
        if name in self.data["variables"]:
            return next(place["default"] for place in self.data["variables"][name] if "default" in place)
        kind = "setting" if name in self.entries["setting"] else "field"
        return self.stated(kind, name)[0][1]["default"]

    def legacy(self, command: str) -> list[str]:
        """The commands of earlier releases that a command replaced."""
        pattern = re.compile(rf"{command}( --?\w.*)?")
        found = self.data["legacy_commands"].items()
        return [name for name, today in found if today.startswith(command) and name.startswith("ng_") and pattern.fullmatch(today)]


class Place(NamedTuple):
    docname: str
    line: int
    anchor: str


def full_command(text: str) -> str:
    return " ".join(["gym", *text.removeprefix("gym").split()])


def anchor_of(kind: str, name: str) -> str:
    return f"{kind}-{re.sub(r'[^A-Za-z0-9_.]+', '-', name).strip('-')}"
