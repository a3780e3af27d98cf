"""The classes of the package: their fields with type, default and description, read from the source."""

from __future__ import annotations

import ast
import functools
import inspect
from pathlib import Path

from gym_facts.source import OPAQUE, Name, comments, evaluate, key_of, lineage, path_of, resolve
from gym_facts.type_words import Type, limits


def describe(name: Name) -> dict:
    """A class as the facts hold it."""
    bases = [cls for cls in lineage(name)[1:] if own_fields(cls)]
    return {
        "line": name.node.lineno,
        "doc": first_paragraph(name),
        "bases": [key_of(cls) for cls in bases],
        "extra": extra(name),
        "fields": own_fields(name),
    }


@functools.cache
def own_fields(name: Name) -> list[dict]:
    """The fields that a class declares itself, in the order of its source."""
    body = name.node.body
    return [
        field(name, node, following)
        for node, following in zip(body, [*body[1:], None], strict=True)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and not node.target.id.startswith("_")
        and "ClassVar" not in ast.unparse(node.annotation)
    ]


def field(name: Name, node: ast.AnnAssign, following: ast.stmt | None) -> dict:
    """One field of a class, from its line, the comment above or beside it and the string below it."""
    module, value = name.module, node.value
    kind = Type.read(module, node.annotation)
    found = {"name": node.target.id, "type": kind.one}
    asked, description = list(kind.limits), ""
    if isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in ("Field", "field"):
        arguments = {keyword.arg: keyword.value for keyword in value.keywords}
        asked += limits(module, value)
        if isinstance(alias := evaluate(module, arguments.get("alias")), str):
            found["name"] = alias
        description = evaluate(module, arguments.get("description"))
        factory = arguments.get("default_factory")
        value = value.args[0] if value.args else arguments.get("default")
        if factory is not None:
            empty = {"list": ast.List([]), "dict": ast.Dict([], []), "set": ast.List([])}
            made = factory.body if isinstance(factory, ast.Lambda) else ast.Call(factory, [], [])
            value = empty.get(ast.unparse(factory), made)
    if kind.choices:
        found["choices"] = list(kind.choices)
    if kind.blocks:
        found["blocks"] = list(kind.blocks)
    if asked:
        found["limits"] = list(dict.fromkeys(asked))
    if value is None or ast.unparse(value) == "...":
        found["required"] = True
    else:
        found |= default(module, value)
    if not isinstance(description, str) or not description:
        description = said_about(path_of(module), node, following)
    if description:
        found["description"] = description
    return found | {"line": node.lineno}


def default(module: str, node: ast.expr) -> dict:
    """The default: its value; the block whose own defaults apply; or the code that computes it."""
    if isinstance(node, ast.Call) and not node.args and not node.keywords and isinstance(node.func, ast.Name):
        found = resolve(module, node.func.id)
        if isinstance(found.node, ast.ClassDef):
            return {"default_block": key_of(found)}
    value = evaluate(module, node)
    return {"default_code": ast.unparse(node)} if value is OPAQUE else {"default": value}


def said_about(path: Path, node: ast.stmt, following: ast.stmt | None) -> str:
    """The string below a statement, or the comment on its line, or the comments right above it."""
    match following:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return inspect.cleandoc(text)
    known = comments(path)
    if node.end_lineno in known:
        return known[node.end_lineno][0]
    lines, line = [], node.lineno - 1
    while line in known and known[line][1]:
        lines.insert(0, known[line][0] if known[line][0].strip("=-# ") else "")
        line -= 1
    return " ".join(filter(None, lines))


def extra(name: Name) -> str:
    """What the class does with a key that it does not know."""
    for cls in lineage(name):
        keywords = list(cls.node.keywords)
        for node in cls.node.body:
            match node:
                case ast.Assign(value=ast.Call(func=ast.Name(id="ConfigDict"), keywords=given)):
                    keywords += given
        for keyword in keywords:
            if keyword.arg == "extra":
                return evaluate(cls.module, keyword.value)
    return "ignore"


def first_paragraph(name: Name) -> str:
    return " ".join((ast.get_docstring(name.node) or "").partition("\n\n")[0].split())
