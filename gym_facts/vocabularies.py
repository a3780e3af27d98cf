"""The words that rows and reports use: failures, health checks, metrics, and the members of enumerations."""

from __future__ import annotations

import ast
import re

from gym_facts.scope import COMPONENTS
from gym_facts.source import ROOT, comments, evaluate, find, located, members, module_of, names, path_of, python_files, source, tree
from gym_facts.type_words import Type
from gym_facts.values import possible


def failure_kinds() -> list[dict]:
    """The names of failures in the order of the source, each with the layer that observes it."""
    module = located("nemo_gym.failure_kinds")
    if not path_of(module):
        return []
    kinds = evaluate(module, names(module)["FAILURE_KINDS"])
    said = comments(path_of(module)).items()
    layers = {line: match[1] for line, (text, _) in said if (match := re.match(r"-+ (.+?) -+", text))}
    found = []
    for node in tree(path_of(module)).body:
        match node:
            case ast.Assign(value=ast.Constant(value=name)) if name in kinds:
                before = [line for line in layers if line < node.lineno]
                found.append({"name": name, "layer": layers[max(before)] if before else "", "line": node.lineno})
    return found


def failure_classes() -> dict[str, list[str]]:
    """The values that code writes under ``_ng_failure_class``, with the files that do."""
    found: dict[str, set[str]] = {}
    for path in [*python_files("nemo_gym", *COMPONENTS)]:
        if not re.search(r"_ng_failure_class|FAILURE_CLASS_KEY", source(path)):
            continue
        for node in ast.walk(tree(path)):
            match node:
                case ast.Dict():
                    pairs = list(zip(node.keys, node.values, strict=True))
                case ast.Assign(targets=[ast.Subscript(slice=key)], value=value):
                    pairs = [(key, value)]
                case ast.keyword(arg="_ng_failure_class", value=value):
                    pairs = [(ast.Constant("_ng_failure_class"), value)]
                case _:
                    continue
            for key, value in pairs:
                if evaluate(module_of(path), key) == "_ng_failure_class":
                    for name in possible(path, value):
                        if isinstance(name, str) and re.fullmatch(r"[a-z][a-z0-9_]+", name):
                            found.setdefault(name, set()).add(path.relative_to(ROOT).as_posix())
    return {name: sorted(files) for name, files in sorted(found.items())}


def checks() -> list[dict]:
    """The health checks: what each looks at and what it needs."""
    registry = find("nemo_gym.health.checks:CHECK_REGISTRY") or find("nemo_gym.rollout_health:CHECK_REGISTRY")
    found = []
    for call in registry.node.elts if registry else ():
        facts = {keyword.arg: evaluate(registry.module, keyword.value) for keyword in call.keywords}
        words = {
            key: facts[word].replace("_", " ") for key, word in (("scope", "evaluation_scope"), ("subject", "subject"))
        }
        found.append({"id": facts["id"], **words, "reads": sorted(word.replace("_", " ") for word in facts["reads"])})
    return found


def telemetry() -> list[dict]:
    """The instruments that the telemetry modules create, and the names they forward to nemo-lens."""
    found: dict[str, dict] = {}
    for path in python_files("nemo_gym/telemetry"):
        for node in (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)):
            values = [*node.args, *(keyword.value for keyword in node.keywords)]
            words = [word for value in values if isinstance(word := evaluate(module_of(path), value), str)]
            instruments = [word for word in words if re.fullmatch(r"gym(\.[a-z_0-9]+)+", word)]
            kind = re.search("observable_counter|up_down_counter|counter|histogram|gauge", ast.unparse(node.func))
            if instruments and kind:
                texts = [word for word in words if word not in instruments]
                unit = next((text for text in texts if " " not in text), "")
                description = next((text for text in texts if " " in text), "")
                told = {"kind": kind[0].replace("_", " "), "unit": unit, "description": description}
                found.setdefault(instruments[0], {"name": instruments[0]} | told)
        # Five instruments are nemo-lens's own; their names stand in the docstring of the module that feeds them.
        for match in re.finditer(r"^``(gym\.[a-z_.]+)`` \((\w+)\)$", ast.get_docstring(tree(path)) or "", re.MULTILINE):
            found.setdefault(match[1], {"name": match[1], "kind": match[2], "unit": "", "description": ""})
    return sorted(found.values(), key=lambda entry: entry["name"])


def vocabulary(key: str) -> list:
    """The members of an enumeration or the values of a type."""
    name = find(key)
    if name is None:
        return []
    if isinstance(name.node, ast.ClassDef):
        return [value for value in members(name).values() if isinstance(value, str)]
    return list(Type.read(name.module, name.node).choices)
