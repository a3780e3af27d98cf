"""A type annotation in a reader's words, with the choices, limits and blocks that it asks for."""

from __future__ import annotations

import ast

from gym_facts.source import OPAQUE, base_names, evaluate, key_of, members, resolve


class Type:
    """A type in a reader's words, and what a value must be beyond that."""

    SCALARS = {
        "str": ("string", "strings"), "int": ("int", "ints"), "float": ("float", "floats"), "bool": ("bool", "bools"),
        "Path": ("path", "paths"), "Any": ("any value", "any values"), "object": ("any value", "any values"),
        "dict": ("mapping", "mappings"), "list": ("list", "lists"), "bytes": ("bytes", "bytes"),
        "DictConfig": ("mapping", "mappings"), "AnyHttpUrl": ("URL", "URLs"), "JsonValue": ("any value", "any values"),
    }  # fmt: skip
    BOUNDED = {
        "PositiveInt": ("int", "> 0"), "NonNegativeInt": ("int", "≥ 0"),
        "PositiveFloat": ("float", "> 0"), "NonNegativeFloat": ("float", "≥ 0"),
    }  # fmt: skip
    LISTS = {"List", "list", "Iterable", "Sequence", "Tuple", "tuple", "Set", "set", "FrozenSet", "frozenset"}
    MAPPINGS = {"Dict", "dict", "Mapping"}
    LONG = 4  # a union of more classes than this goes by its own name

    def __init__(
        self, one: str, many: str = "", *, choices: tuple = (), blocks: tuple = (), limits: tuple = ()
    ) -> None:
        self.one, self.many = one, many or one
        self.choices, self.blocks, self.limits = choices, blocks, limits

    @classmethod
    def read(cls, module: str, node: ast.expr, name: str = "") -> Type:
        match node:
            case ast.Constant(value=None):
                return cls("null")
            case ast.Constant(value=str(text)):
                return cls.read(module, ast.parse(text, mode="eval").body)
            case ast.Name(id=name):
                return cls.named(module, name)
            case ast.Attribute():
                return cls.scalar(node.attr)
            case ast.BinOp(op=ast.BitOr()):
                return cls.union([cls.read(module, part) for part in flattened(node)], name)
            case ast.Subscript(value=value, slice=inner):
                kind = ast.unparse(value).rpartition(".")[2]
                parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
                if kind == "Literal":
                    return cls.of_choices([choice for part in parts for choice in literal(module, part)])
                if kind == "Annotated":
                    found = cls.read(module, parts[0], name)
                    for call in (part for part in parts[1:] if isinstance(part, ast.Call)):
                        found.limits += tuple(limits(module, call))
                    return found
                types = [cls.read(module, part) for part in parts if ast.unparse(part) != "..."]
                if kind in ("Optional", "Union"):
                    return cls.union(types + ([cls("null")] if kind == "Optional" else []), name)
                if kind in cls.LISTS:
                    many = types[0].many if len(types) == 1 else " and ".join(part.one for part in types)
                    return cls.joined(f"list of {many}", f"lists of {many}", types)
                if kind in cls.MAPPINGS and len(types) == 2:
                    many = f"of {types[0].many} to {types[1].many}"
                    return cls.joined(f"mapping {many}", f"mappings {many}", types)
                if kind in ("Required", "NotRequired", "ClassVar"):
                    return types[0]
                return cls.read(module, value)
        return cls(ast.unparse(node))

    @classmethod
    def scalar(cls, name: str) -> Type:
        return cls(*cls.SCALARS.get(name, (name,)))

    @classmethod
    def named(cls, module: str, name: str) -> Type:
        found = resolve(module, name)
        if found.name in cls.BOUNDED:
            one, limit = cls.BOUNDED[found.name]
            return cls(one, one + "s", limits=(limit,))
        if isinstance(found.node, ast.ClassDef):
            if base_names(found) & {"Enum", "StrEnum", "IntEnum"}:
                return cls.of_choices(list(members(found).values()))
            return cls(f"{name} block", f"{name} blocks", blocks=(key_of(found),))
        if isinstance(found.node, ast.expr) and not isinstance(found.node, ast.Call):
            return cls.read(found.module, found.node, name)
        return cls.scalar(found.name)

    @classmethod
    def of_choices(cls, choices: list) -> Type:
        kinds = list(dict.fromkeys(type(choice).__name__ for choice in choices))
        found = cls.union([cls.scalar("null" if kind == "NoneType" else kind) for kind in kinds])
        found.choices = tuple(choices)
        return found

    @classmethod
    def union(cls, types: list[Type], name: str = "") -> Type:
        words = list(dict.fromkeys(part.one for part in types))
        if name and sum(len(part.blocks) for part in types) > cls.LONG:
            return cls(f"{name} block", f"{name} blocks")
        if "null" in words:
            words.append(words.pop(words.index("null")))
        many = list(dict.fromkeys(part.many for part in types if part.one != "null"))
        free = {part.one for part in types if not part.choices}
        # ``str | Literal[...]``: any string fits, the named ones are no more than suggestions.
        types = [part if part.one not in free else cls(part.one, part.many, blocks=part.blocks, limits=part.limits) for part in types]
        return cls.joined(" or ".join(words), " or ".join(many), types)

    @classmethod
    def joined(cls, one: str, many: str, types: list[Type]) -> Type:
        def merged(attribute: str) -> tuple:
            return tuple(dict.fromkeys(value for part in types for value in getattr(part, attribute)))

        return cls(one, many, choices=merged("choices"), blocks=merged("blocks"), limits=merged("limits"))


def flattened(node: ast.expr) -> list[ast.expr]:
    return [*flattened(node.left), *flattened(node.right)] if isinstance(node, ast.BinOp) else [node]


def literal(module: str, node: ast.expr) -> list:
    value = evaluate(module, node)
    return [ast.unparse(node)] if value is OPAQUE else [value]


def limits(module: str, call: ast.Call) -> list[str]:
    """What the arguments of ``Field(...)`` ask of a value."""
    words = {
        "gt": "> {}",
        "ge": "≥ {}",
        "lt": "< {}",
        "le": "≤ {}",
        "max_length": "length ≤ {}",
        "pattern": "matches {}",
    }
    found = []
    for keyword in call.keywords:
        value = evaluate(module, keyword.value)
        if keyword.arg == "min_length":
            found.append("not empty" if value == 1 else f"length ≥ {value}")
        elif keyword.arg == "allow_inf_nan" and value is False:
            found.append("finite")
        elif keyword.arg in words and value is not None:
            found.append(words[keyword.arg].format(f"{value:g}" if isinstance(value, int | float) else value))
    return found
