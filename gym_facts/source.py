"""The package as source: its files, what a name in them leads to, and the value of a constant expression."""

from __future__ import annotations

import ast
import contextlib
import functools
import operator
import re
import tokenize
import warnings
from collections.abc import Iterator
from importlib import util
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from gym_facts.scope import COMPONENTS

class Name(NamedTuple):
    """Where a name leads: to a node of a module, or out of the source at hand (no node)."""

    module: str
    name: str
    node: ast.AST | None


ROOT = Path(util.find_spec("nemo_gym").submodule_search_locations[0]).parent
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
OPAQUE = object()  # a value that only running the code would tell
OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.BitOr: operator.or_,
}


@functools.cache
def path_of(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


@functools.cache
def source(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


@functools.cache
def tree(path: Path) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an invalid escape in somebody's docstring
        return ast.parse(source(path))


@functools.cache
def parents(path: Path) -> dict[ast.AST, ast.AST]:
    return {child: node for node in ast.walk(tree(path)) for child in ast.iter_child_nodes(node)}


def above(path: Path, node: ast.AST) -> Iterator[ast.AST]:
    """The nodes around a node, from the inside out."""
    while node in parents(path):
        yield (node := parents(path)[node])


@functools.cache
def comments(path: Path) -> dict[int, tuple[str, bool]]:
    """The comment of each line, and whether it has the line to itself."""
    return {
        token.start[0]: (token.string.lstrip("#:").strip(), not token.line[: token.start[1]].strip())
        for token in tokenize.generate_tokens(StringIO(source(path)).readline)
        if token.type == tokenize.COMMENT
    }


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def python_files(*folders: str) -> list[Path]:
    files = (file for folder in folders for file in sorted((ROOT / folder).rglob("*.py")))
    return [
        file
        for file in files
        if not {"tests", "test"} & set(file.relative_to(ROOT).parts) and not file.name.startswith("test_")
    ]


def core_files(word: str) -> list[Path]:
    """The files of the library itself that mention a word."""
    return [
        path
        for path in python_files("nemo_gym")
        if word in source(path) and "sandbox" not in path.relative_to(ROOT).parts
    ]


@functools.cache
def names(module: str) -> dict[str, ast.AST]:
    """What each top-level name of a module stands for, also below ``if`` and ``try``."""
    found: dict[str, ast.AST] = {}

    def read(body: list[ast.stmt]) -> None:
        for node in body:
            match node:
                case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                    found[node.name] = node
                case ast.Assign():
                    found.update({target.id: node.value for target in node.targets if isinstance(target, ast.Name)})
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
                    found[name] = node.value
                case ast.Import() | ast.ImportFrom():
                    found.update({alias.asname or alias.name: node for alias in node.names})
                case ast.If() | ast.Try():
                    read(node.body)
                    read(node.orelse)

    read(tree(path_of(module)).body)
    return found


@functools.cache
def resolve(module: str, name: str) -> Name:
    """Follow the imports of a name to its definition."""
    node = names(module).get(name)
    if isinstance(node, ast.ImportFrom):
        origin = node.module or ""
        if node.level:
            package = module if path_of(module).name == "__init__.py" else module.rpartition(".")[0]
            package = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
            origin = f"{package}.{origin}".rstrip(".")
        original = next(alias.name for alias in node.names if (alias.asname or alias.name) == name)
        return resolve(origin, original) if path_of(origin) and origin != module else Name(origin, original, None)
    return Name(module, name, None if isinstance(node, ast.Import) else node)


@functools.cache
def located(module: str) -> str:
    """Where a module of the library is in this release: by its path, else by the longest end of its path that one file has."""
    parts = module.split(".")
    files = [module_of(path) for path in python_files(parts[0])] if not path_of(module) else []
    for start in range(1, len(parts)):
        ends = [file for file in files if file.endswith("." + ".".join(parts[start:]))]
        if len(ends) == 1:
            return ends[0]
    return module


@functools.cache
def definitions(package: str) -> dict[str, list[str]]:
    """The modules of a package that define a class or a function, by its name."""
    found: dict[str, list[str]] = {}
    for path in python_files(package):
        for name, node in names(module_of(path)).items():
            if isinstance(node, ast.ClassDef | FUNCTION):
                found.setdefault(name, []).append(module_of(path))
    return found


def find(key: str) -> Name | None:
    """The class or function MODULE:NAME, wherever the release has it; None if it does not have it.

    A name is what stays: modules move between releases. So one that its module does not have is looked for by name.
    """
    module, _, name = key.partition(":")
    module = located(module)
    found = resolve(module, name) if path_of(module) else Name(module, name, None)
    if found.node is None and path_of(module):
        inner = (node for node in ast.walk(tree(path_of(module))) if isinstance(node, FUNCTION) and node.name == name)
        found = Name(module, name, next(inner, None))
    own = module.partition(".")[0] in ("nemo_gym", *COMPONENTS)
    if found.node is None and own and len(homes := definitions(module.partition(".")[0]).get(name, [])) == 1:
        found = resolve(homes[0], name)
    return found if found.node is not None else None


def current(key: str) -> str:
    """MODULE:NAME of the scope as this release has it."""
    prefix, module, name = re.fullmatch(r"(built:|)(.*?):(\w+)", key).groups()
    if module == "keys" or (path_of(module) and (prefix or name in names(module))):
        return key
    return prefix + key_of(found) if (found := find(f"{module}:{name}")) else key


def key_of(name: Name) -> str:
    return f"{name.module}:{name.name}"


@functools.cache
def lineage(name: Name) -> tuple[Name, ...]:
    """The class and its bases in Python's order (C3), as far as their source is at hand."""
    bases = [
        resolve(name.module, base.id) for base in map(unsubscripted, name.node.bases) if isinstance(base, ast.Name)
    ]
    bases = [base for base in bases if isinstance(base.node, ast.ClassDef)]
    queues = [list(lineage(base)) for base in bases] + [bases]
    order = [name]
    while queues := [queue for queue in queues if queue]:
        head = next(queue[0] for queue in queues if not any(queue[0] in other[1:] for other in queues))
        order.append(head)
        queues = [queue[1:] if queue[0] == head else queue for queue in queues]
    return tuple(order)


def unsubscripted(node: ast.expr) -> ast.expr:
    return node.value if isinstance(node, ast.Subscript) else node


def base_names(name: Name) -> set[str]:
    return {ast.unparse(unsubscripted(base)).rpartition(".")[2] for cls in lineage(name) for base in cls.node.bases}


def members(name: Name) -> dict[str, object]:
    """The constants of a class body: an enumeration's members."""
    assigned = [
        node for node in name.node.body if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    ]
    return {node.targets[0].id: evaluate(name.module, node.value) for node in assigned}


def evaluate(module: str, node: ast.AST | None, local: dict[str, object] | None = None) -> object:
    """The value of an expression of constants; OPAQUE for anything else."""
    read = functools.partial(evaluate, module, local=local)
    match node:
        case ast.Constant():
            return node.value
        case ast.Name(id=name):
            if local and name in local:
                return local[name]
            found = resolve(module, name)
            return evaluate(found.module, found.node) if isinstance(found.node, ast.expr) else OPAQUE
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            values = [read(item) for item in items]
            return OPAQUE if OPAQUE in values else values
        case ast.Dict():
            keys, values = [read(key) for key in node.keys], [read(value) for value in node.values]
            return OPAQUE if OPAQUE in keys + values else dict(zip(keys, values, strict=True))
        case ast.UnaryOp(op=ast.USub()) if isinstance(value := read(node.operand), int | float):
            return -value
        case ast.BinOp() if type(node.op) in OPERATORS:
            left, right = read(node.left), read(node.right)
            with contextlib.suppress(TypeError):
                return OPAQUE if OPAQUE in (left, right) else OPERATORS[type(node.op)](left, right)
        case ast.JoinedStr():
            values = [read(value) for value in node.values]
            return OPAQUE if OPAQUE in values else "".join(map(str, values))
        case ast.FormattedValue():
            return read(node.value)
        case ast.Attribute(value=ast.Name(id=name), attr=attribute):
            found = resolve(module, name)
            return members(found).get(attribute, OPAQUE) if isinstance(found.node, ast.ClassDef) else OPAQUE
        case ast.Subscript(value=value, slice=key) if isinstance(table := read(value), dict):
            return table.get(read(key), OPAQUE)
        case ast.Call(
            func=ast.Name(id="frozenset" | "set" | "list" | "tuple" | "Path" | "str"), args=[only], keywords=[]
        ):
            value = read(only)
            return list(value) if isinstance(value, dict) else value
    return OPAQUE
