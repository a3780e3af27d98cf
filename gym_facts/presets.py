"""What the configurations that ship with a server write over its defaults: a reader who loads one gets these."""

from __future__ import annotations

import functools

import yaml

from gym_facts.scope import COMPONENTS
from gym_facts.source import ROOT


@functools.cache
def blocks(component: str) -> dict[str, dict]:
    """The block of a server in each of its own configurations, by file; the first where a file has several."""
    kind, name = component.split("/")
    found: dict[str, dict] = {}
    for path in sorted((ROOT / component).glob("configs/**/*.yaml")):
        instances = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        for instance in instances.values() if isinstance(instances, dict) else ():
            block = instance.get(kind, {}).get(name) if isinstance(instance, dict) and isinstance(instance.get(kind), dict) else None
            if isinstance(block, dict):
                found.setdefault(path.name, block)
    return found


def add_presets(settings: dict[str, dict], classes: dict[str, dict]) -> None:
    """Give each setting of a server the constants that its configurations set it to, where they are not its default."""
    for setting in settings.values():
        main = setting["in"][0]
        component = "/".join(main.partition(":")[0].split(".")[:2])
        if component.partition("/")[0] not in COMPONENTS:
            continue
        own = next(field for field in classes[main]["fields"] if field["name"] == setting["key"])
        absent = object()
        values = {file: block.get(setting["key"], absent) for file, block in blocks(component).items()}
        default = own.get("default", absent)
        told = {
            file: value for file, value in values.items()
            if value is not absent and value != default and not isinstance(value, dict | list) and "${" not in str(value) and value != "???"
        }  # fmt: skip
        if told:
            setting["presets"] = told
