"""The values that an expression may have where it is no constant: what loops, assignments, arguments and results give it."""

from __future__ import annotations

import ast
import itertools
from pathlib import Path

from gym_facts.classes import own_fields
from gym_facts.scope import SCOPE
from gym_facts.source import FUNCTION, OPAQUE, above, evaluate, find, module_of, tree


def possible(path: Path, node: ast.AST | None, depth: int = 5) -> list:
    """The values that an expression may have, as far as the file tells: loops, assignments, arguments, results."""
    value = evaluate(module_of(path), node)
    if value is not OPAQUE or depth == 0:
        return [] if value is OPAQUE else value if isinstance(value, list) else [value]
    origins: list[ast.expr] = []
    match node:
        case ast.IfExp():
            origins = [node.body, node.orelse]
        case ast.BoolOp():
            origins = node.values
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            functions = [
                function
                for function in ast.walk(tree(path))
                if isinstance(function, FUNCTION) and function.name == name
            ]
            origins = [
                child.value for function in functions for child in ast.walk(function) if isinstance(child, ast.Return)
            ]
        case ast.JoinedStr(values=parts):
            options = [
                possible(path, part.value if isinstance(part, ast.FormattedValue) else part, depth - 1)
                for part in parts
            ]
            return ["".join(map(str, words)) for words in itertools.product(*options)]
        case ast.Attribute(attr=attribute):
            found = [
                entry for key in SCOPE if (cls := find(key)) for entry in own_fields(cls) if entry["name"] == attribute
            ]
            return [entry["default"] for entry in found if isinstance(entry.get("default"), str)]
        case ast.Name(id=name):
            scope = next((outer for outer in above(path, node) if isinstance(outer, FUNCTION)), tree(path))
            for child in ast.walk(scope):
                match child:
                    case (
                        ast.Assign(targets=[ast.Name(id=target)])
                        | ast.AnnAssign(target=ast.Name(id=target), value=ast.expr())
                    ) if target == name:
                        origins.append(child.value)
            for outer in above(path, node):
                loops = [outer] if isinstance(outer, ast.For) else getattr(outer, "generators", [])
                for loop in loops:
                    if (items := looped(module_of(path), loop, name)) is not None:
                        return items
                    if isinstance(loop.target, ast.Name) and loop.target.id == name:
                        origins.append(loop.iter)
            if isinstance(scope, FUNCTION):
                origins += arguments_of(path, scope, name)
    return list(
        dict.fromkeys(value for origin in origins for value in possible(path, origin, depth - 1) if value.__hash__)
    )


def looped(module: str, loop: ast.For | ast.comprehension, name: str) -> list | None:
    """What a loop over constants binds to a name; None if it does not bind the name."""
    targets = loop.target.elts if isinstance(loop.target, ast.Tuple) else [loop.target]
    index = next(
        (index for index, target in enumerate(targets) if isinstance(target, ast.Name) and target.id == name), None
    )
    match loop.iter:
        case ast.Call(func=ast.Attribute(value=table, attr="items"), args=[]):
            items = evaluate(module, table)
            items = [list(pair) for pair in items.items()] if isinstance(items, dict) else OPAQUE
        case table:
            items = evaluate(module, table)
            if items is OPAQUE and isinstance(table, ast.Tuple | ast.List) and isinstance(targets[0], ast.Name):
                rows = [row.elts if isinstance(row, ast.Tuple) else [row] for row in table.elts]
                items = [[evaluate(module, cell) for cell in row] for row in rows]
    if index is None or not isinstance(items, list | dict):
        return None
    cells = [item[index] if isinstance(item, list) else item for item in items]
    return [cell for cell in cells if isinstance(cell, str)]


def arguments_of(path: Path, function: ast.FunctionDef, name: str) -> list[ast.expr]:
    """What the calls of a function in its own file give to one of its parameters, and the parameter's default."""
    parameters = [argument.arg for argument in function.args.posonlyargs + function.args.args]
    given = [
        value
        for argument, value in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        if argument.arg == name and value
    ]
    for call in ast.walk(tree(path)):
        if isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] == function.name:
            given += [keyword.value for keyword in call.keywords if keyword.arg == name]
            position = parameters.index(name) - (parameters[0] == "self") if name in parameters else None
            if position is not None and position < len(call.args):
                given.append(call.args[position])
    return given
