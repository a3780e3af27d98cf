"""The groups with their entries, the configuration classes that no group has, and the servers that ship."""

from __future__ import annotations

import ast
import re

from gym_facts.classes import describe, own_fields
from gym_facts.rows import built, constant_keys, global_reads, row_keys
from gym_facts.scope import COMPONENTS, NOT_SETTINGS, SCOPE
from gym_facts.source import ROOT, Name, base_names, current, find, key_of, lineage, module_of, python_files, resolve, source, tree


def groups(scope: dict[str, list[str]], classes: dict[str, dict]) -> tuple[dict, dict]:
    """The groups of a scope with their entries, and each entry with the classes that have it, the main one first.

    A field that a class repeats from a base in scope is no entry of its own: it is the base's, with another default.
    """
    scope = {group: [current(key) for key in members_] for group, members_ in scope.items()}
    for members_ in scope.values():
        for key in members_:
            if key.startswith("keys:"):
                fields = constant_keys(key)
                fields += global_reads() if key == "keys:global" else row_keys() if key == "keys:row" else []
                found = {"line": 0, "doc": "", "bases": [], "extra": "allow", "fields": fields}
            elif key.startswith("built:"):
                found = built(key)
            else:
                found = describe(name) if (name := find(key)) else None
            if found:
                classes[key] = found
    home = {key: group for group, members_ in scope.items() for key in members_ if key in classes}
    listed = {group: {"classes": [key for key in home if home[key] == group], "entries": []} for group in scope}
    has = {key: [entry["name"] for entry in classes[key]["fields"]] for key in home}
    entries: dict[str, dict] = {}
    for key in home:
        for word in has[key]:
            # Bases are listed nearest first: the farthest one that has the field is where it comes from.
            owners = [base for base in classes[key]["bases"] if word in has.get(base, [])]
            group = home[owners[-1] if owners else key]
            identifier = f"{group}.{word}"
            if identifier not in entries:
                entries[identifier] = {"key": word, "group": group, "in": []}
                listed[group]["entries"].append(identifier)
            entries[identifier]["in"].append(key)
    return {group: found for group, found in listed.items() if found["classes"]}, entries


def unplaced() -> list[str]:
    """Configuration classes of the core that no group has and that nobody declared out of scope."""
    found = []
    for path in python_files("nemo_gym"):
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef) and re.search(r"(Config|Settings)(Mixin)?$", node.name):
                name = Name(module_of(path), node.name, node)
                if "BaseModel" in base_names(name) and not re.search(NOT_SETTINGS, key_of(name)):
                    found.append(key_of(name))
    placed = {current(key) for key in SCOPE}
    return [key for key in found if key not in placed]


def components(classes: dict[str, dict]) -> dict[str, dict]:
    """Each server that ships: the classes of its configuration and its configuration files."""
    found: dict[str, dict] = {}
    for folder in (folder for kind in COMPONENTS for folder in sorted((ROOT / kind).glob("*"))):
        if not any((folder / name).exists() for name in ("app.py", "__init__.py")):
            continue
        names_ = [
            configuration
            for path in python_files(folder.relative_to(ROOT).as_posix())
            if "config" in source(path)
            for node in tree(path).body
            if isinstance(node, ast.ClassDef)
            for configuration in configurations(Name(module_of(path), node.name, node))
        ]
        for name in (base for own in names_ for base in lineage(own)):
            if name in names_ or own_fields(name):
                classes.setdefault(key_of(name), describe(name))
        configs = sorted(path.relative_to(folder).as_posix() for path in folder.glob("configs/**/*.yaml"))
        found[folder.relative_to(ROOT).as_posix()] = {
            "classes": list(dict.fromkeys(map(key_of, names_))),
            "configs": configs,
        }
    return found


def configurations(name: Name) -> list[Name]:
    """The class itself if it is a server's configuration; the class of ``config:`` if it is a server."""
    bases = [cls.name for cls in lineage(name)]
    if "BaseRunServerInstanceConfig" in bases:
        return [name]
    for cls in lineage(name) if "BaseServer" in bases else ():
        for node in cls.node.body:
            match node:
                case ast.AnnAssign(target=ast.Name(id="config"), annotation=ast.Name(id=annotation)):
                    found = resolve(cls.module, annotation)
                    return [found] if isinstance(found.node, ast.ClassDef) else []
    return []
