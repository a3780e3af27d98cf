"""Keys that have no class: of the top of the configuration, of rows, and of dictionaries that a function puts together."""

from __future__ import annotations

import ast
import re

from gym_facts.classes import default, first_paragraph, own_fields, said_about
from gym_facts.scope import KEYS, SETTINGS
from gym_facts.source import core_files, evaluate, find, located, module_of, names, parents, path_of, tree
from gym_facts.type_words import Type
from gym_facts.values import possible


def constant_keys(group: str) -> list[dict]:
    """The keys that constants of a module name."""
    module, pattern = located(KEYS[group][0]), KEYS[group][1]
    path = path_of(module)
    found = []
    for node in tree(path).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=key)) if re.fullmatch(pattern, name):
                place = {"line": node.lineno, "module": module}
                found.append({"name": key, "description": said_about(path, node, None)} | place)
    return found


def global_reads() -> list[dict]:
    """The keys at the top of the configuration: the reserved ones, and those the core reads with a default of its own."""
    module = located("nemo_gym.global_config")
    reserved = possible(path_of(module), names(module)["NEMO_GYM_RESERVED_TOP_LEVEL_KEYS"])
    found = {key: {"name": key, "module": module} for key in reserved}
    stored, read = set(), set()
    for path in core_files("global_config"):
        for node in ast.walk(tree(path)):
            match node:
                case ast.Call(func=ast.Attribute(receiver, "get" | "setdefault" as method), args=[key, *rest]):
                    outer = parents(path).get(node)
                    if not rest and isinstance(outer, ast.BoolOp) and isinstance(outer.op, ast.Or):
                        rest = outer.values[1:]
                case ast.Subscript(value=receiver, slice=key, ctx=ast.Store()):
                    method, rest = "", []
                case _:
                    continue
            text = ast.unparse(receiver)
            is_top = re.search(r"(^|\.)global_config(_dict)?$|get_global_config_dict\(\)$", text)
            values = possible(path, key) if is_top or text in found else [evaluate(module_of(path), key)]
            read |= {value for value in values if method and isinstance(value, str)}
            place = {"module": module_of(path), "line": node.lineno}
            fallback = default(place["module"], rest[0]) if rest else {}
            if text in found and rest and method == "setdefault":  # a block whose keys are filled in one by one
                found |= {f"{text}.{inner}": {"name": f"{text}.{inner}"} | fallback | place for inner in values}
            for value in values if is_top else ():
                if not method:
                    stored.add(value)
                # A key that is read without a default is some command's, or the name of a server.
                elif value in found or rest:
                    entry = found.setdefault(value, {"name": value})
                    known = {"default", "default_code"} & set(entry)
                    if fallback and fallback != {"default": {}} and (method == "setdefault" or not known):
                        entry |= fallback | place
    for key, entry in found.items():
        if key in stored - read:
            entry["set_by_gym"] = True
        if isinstance(entry.get("default"), bool | int | float | str):
            entry["type"] = Type.scalar(type(entry["default"]).__name__).one
    # What commands of their own describe needs no second entry.
    classes = filter(None, map(find, SETTINGS["rollout"] + SETTINGS["workload"]))
    elsewhere = {entry["name"] for cls in classes for entry in own_fields(cls)}
    return [entry for key, entry in found.items() if key not in elsewhere]


def row_keys() -> list[dict]:
    """The keys that the core writes into rows for itself: ``_ng_...`` and ``ng_...``."""
    found: dict[str, dict] = {}
    pattern = re.compile(r"_ng_[a-z_]+|ng_[a-z]+_[a-z_]+|ng_perf|ng_trajectory")
    for path in core_files("ng_"):
        for node in ast.walk(tree(path)):
            match node:
                case ast.Dict(keys=keys):
                    pass
                case ast.Subscript(slice=key) | ast.keyword(arg="alias", value=key):
                    keys = [key]
                case ast.Call(func=ast.Attribute(attr="get" | "pop" | "setdefault"), args=[key, *_]):
                    keys = [key]
                case ast.Assign(targets=[ast.Name(id=name)], value=key) if re.search(r"_KEY(_NAME)?$", name):
                    keys = [key]
                case _:
                    continue
            for key in keys:
                if isinstance(key, ast.Constant) and pattern.fullmatch(str(key.value)):
                    found.setdefault(key.value, {"name": key.value, "module": module_of(path), "line": key.lineno})
    return sorted(found.values(), key=lambda entry: entry["name"])


def built(key: str) -> dict | None:
    """The keys of the largest dictionary that a function puts together, nested ones with dots."""
    name = find(key.removeprefix("built:"))
    if name is None:
        return None
    path = path_of(name.module)

    def read(node: ast.Dict, prefix: str = "") -> dict[str, int]:
        keys: dict[str, int] = {}
        for child, value in zip(node.keys, node.values, strict=True):
            if isinstance(word := evaluate(name.module, child), str):
                keys[prefix + word] = child.lineno
                keys |= read(value, f"{prefix}{word}.") if isinstance(value, ast.Dict) else {}
        return keys

    found: dict[str, int] = {}
    variable = ""
    for node in ast.walk(name.node):
        match node:
            case ast.Return(value=ast.Dict() as value):
                target = ""
            case ast.Assign(targets=[ast.Name(id=target)], value=ast.Dict() as value):
                pass
            case ast.AnnAssign(target=ast.Name(id=target), value=ast.Dict() as value):
                pass
            case _:
                continue
        if len(keys := read(value)) > len(found):
            found, variable = keys, target
    for node in ast.walk(name.node):
        match node:
            case ast.Subscript(value=ast.Name(id=target), slice=word, ctx=ast.Store()) if target == variable:
                found |= {value: node.lineno for value in possible(path, word) if isinstance(value, str)}
    fields = [{"name": word, "line": line} for word, line in found.items()]
    return {"line": name.node.lineno, "doc": first_paragraph(name), "bases": [], "extra": "allow", "fields": fields}
