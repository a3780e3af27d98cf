"""Lists that pages state: what of the package is of a kind, by name."""

from __future__ import annotations

import ast

from gym_facts.scope import COMPONENTS
from gym_facts.source import ROOT, module_of, names, tree


def with_module_level_app() -> list[str]:
    """The servers whose ``app.py`` has an ``app`` that a process can import: those that can run in several processes."""
    files = (path for kind in COMPONENTS for path in sorted((ROOT / kind).glob("*/app.py")))
    return [path.parent.name for path in files if "app" in names(module_of(path))]


def sandbox_providers() -> list[str]:
    return sorted(path.parent.name for path in (ROOT / "nemo_gym/sandbox/providers").glob("*/__init__.py"))


def stateless_verifiers() -> list[str]:
    """The resources servers that can score a finished rollout again from its row alone."""
    found = set()
    for path in sorted((ROOT / "resources_servers").glob("*/app.py")):
        for node in ast.walk(tree(path)):
            match node:
                case ast.Assign(targets=[ast.Name(id="REVERIFY_MODE")], value=ast.Attribute(attr="STATELESS")):
                    found.add(path.parent.name)
                case ast.AnnAssign(target=ast.Name(id="REVERIFY_MODE"), value=ast.Attribute(attr="STATELESS")):
                    found.add(path.parent.name)
    return sorted(found)


def lists() -> dict[str, list[str]]:
    return {"servers with app": with_module_level_app(), "sandbox providers": sandbox_providers(), "stateless verifiers": stateless_verifiers()}
