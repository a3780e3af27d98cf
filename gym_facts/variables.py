"""The environment variables that code reads or sets and that configuration files name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from gym_facts.scope import MORE_COMPONENTS
from gym_facts.source import OPAQUE, ROOT, above, evaluate, module_of, python_files, source, tree
from gym_facts.values import possible

VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")


def environment(path: Path) -> Iterator[tuple[str, dict]]:
    """The environment variables that a Python file reads or sets, with the places."""
    if not re.search(r"environ\b|getenv|NEMO_GYM_", source(path)):
        return
    try:
        nodes = list(ast.walk(tree(path)))
    except SyntaxError:  # somebody's Python 2
        return
    module = module_of(path)
    for node in nodes:
        fallback = None
        match node:
            case ast.Call(func=ast.Attribute(receiver, "get" | "setdefault" as method), args=[key, *rest]) if (
                is_environ(receiver)
            ):
                access, keys, fallback = ("read" if method == "get" else "set"), [key], next(iter(rest), None)
            case ast.Call(func=ast.Name(id="getenv") | ast.Attribute(attr="getenv"), args=[key, *rest]):
                access, keys, fallback = "read", [key], next(iter(rest), None)
            case ast.Subscript(receiver, key, ast.Load()) if is_environ(receiver):
                access, keys = "read", [key]
            case ast.Subscript(receiver, key, ast.Store()) if ast.unparse(receiver).endswith(("environ", "env")):
                access, keys = "set", [key]
            case ast.Compare(left=key, ops=[ast.In() | ast.NotIn()], comparators=[receiver]) if is_environ(receiver):
                access, keys = "read", [key]
            case ast.Dict():  # handed to a process
                access, keys = "set", [key for key in node.keys if str(evaluate(module, key)).startswith("NEMO_GYM_")]
            case _:
                continue
        for outer in above(path, node):  # os.environ.get(NAME, "").strip() or FALLBACK
            if (
                isinstance(outer, ast.BoolOp)
                and isinstance(outer.op, ast.Or)
                and evaluate(module, fallback) in (OPAQUE, "")
            ):
                fallback = outer.values[-1]
            elif not isinstance(outer, ast.Attribute | ast.Call):
                break
        place = {"access": access, "file": path.relative_to(ROOT).as_posix(), "line": node.lineno}
        value = evaluate(module, fallback) if access == "read" else None
        if isinstance(value, str | int | float) and value != "":
            place["default"] = value
        for name in (name for key in keys for name in possible(path, key)):
            if isinstance(name, str) and VARIABLE.fullmatch(name):
                yield name, place


def is_environ(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute | ast.Name) and ast.unparse(node).rpartition(".")[2] == "environ"


def interpolated(path: Path) -> Iterator[tuple[str, dict]]:
    """The environment variables that a configuration file names: ``${oc.env:NAME,default}``."""
    for number, line in enumerate(source(path).splitlines(), 1):
        if not line.lstrip().startswith("#"):
            for match in re.finditer(r"\$\{oc\.env:\s*(\w+)\s*(?:,\s*([^${}]*))?", line):
                place = {"access": "read", "file": path.relative_to(ROOT).as_posix(), "line": number}
                value = (match[2] or "").strip("'\" ")
                yield match[1], place | ({"default": value} if value else {})


def variables(folder: str) -> dict[str, list[dict]]:
    """The variables of a tree, each with its places, reading ones first."""
    found: dict[str, list[dict]] = {}
    apart = [other for other in MORE_COMPONENTS if other.startswith(f"{folder}/")]
    files = [*python_files(folder), *sorted((ROOT / folder).rglob("*.yaml"))]
    for path in files:
        if not any(path.is_relative_to(ROOT / other) for other in apart):
            for name, place in (environment if path.suffix == ".py" else interpolated)(path):
                if place not in found.setdefault(name, []):
                    found[name].append(place)
    return {name: sorted(places, key=lambda place: place["access"]) for name, places in sorted(found.items())}
