"""Say what a release of NeMo Gym added, removed or changed, from two files that ``python -m gym_facts`` wrote.

python -m gym_facts.difference build/facts-0.6.0.json docs/_ext/facts.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

Items = dict[str, dict[str, object]]

# What a reader can see of a field. Lines move and descriptions are the package's own words.
VISIBLE = ["type", "choices", "limits", "required", "set_by_gym", "default", "default_block", "default_code"]


def told(field: dict) -> dict[str, object]:
    seen = {key.replace("_", " "): field[key] for key in VISIBLE if key in field}
    if "default block" in seen:  # a class keeps its name when its module moves
        seen["default block"] = str(seen["default block"]).rpartition(":")[2]
    return seen


def own(facts: dict, cls: str, key: str) -> dict:
    return next(field for field in facts["classes"][cls]["fields"] if field["name"] == key)


def entries(kind: str) -> Callable[[dict], Items]:
    def read(facts: dict) -> Items:
        found: Items = {}
        for name, entry in facts[kind].items():
            main, *others = entry["in"]
            found[name] = told(own(facts, main, entry["key"]))
            for cls in others:
                found[name][f"in {cls.rpartition(':')[2]}"] = summary(told(own(facts, cls, entry["key"])))
            found[name]["described"] = own(facts, main, entry["key"]).get("description", "")
        return found

    return read


def component_keys(facts: dict) -> Items:
    """The keys of the servers that no group of settings has."""
    placed = {cls for group in facts["setting_groups"].values() for cls in group["classes"]}
    found: Items = {}
    for component, about in facts["components"].items():
        for cls in about["classes"]:
            if cls not in placed and cls.startswith(component.replace("/", ".")):
                for field in facts["classes"][cls]["fields"]:
                    found[f"{component} {cls.rpartition(':')[2]}.{field['name']}"] = told(field)
    return found


def flags(facts: dict) -> Items:
    found: Items = {}
    for command, about in facts["commands"].items():
        for flag in about["flags"]:
            name = " ".join(filter(None, ["gym", command, flag["names"][0]]))
            told_ = {
                "also": flag["names"][1:],
                "value": flag["takes"],
                "choices": flag.get("choices"),
                "default": flag.get("default"),
            }
            found[name] = {key: value for key, value in told_.items() if value} | {"sets": list(flag["keys"])}
    return found


def variables(facts: dict) -> Items:
    return {
        name: {
            "default": sorted({str(place["default"]) for place in places if "default" in place}),
            "access": sorted({place["access"] for place in places}),
        }
        for name, places in facts["variables"].items()
    }


def named(kind: str, *attributes: str, key: str = "name") -> Callable[[dict], Items]:
    return lambda facts: {item[key]: {attribute: item[attribute] for attribute in attributes} for item in facts[kind]}


def words(kind: str) -> Callable[[dict], Items]:
    return lambda facts: {str(word): {} for word in facts[kind]}


KINDS: dict[str, Callable[[dict], Items]] = {
    "Settings": entries("settings"),
    "Commands": lambda facts: {f"gym {name}".strip(): {} for name in facts["commands"]},
    "Flags": flags,
    "Commands of earlier releases": lambda facts: {name: {"today": today} for name, today in facts["legacy_commands"].items()},
    "Environment variables": variables,
    "Fields of rows and files": entries("fields"),
    "Failure kinds": named("failure_kinds", "layer"),
    "Failure stages": words("failure_stages"),
    "Failure classes": words("failure_classes"),
    "Health checks": named("checks", "scope", "subject", "reads", key="id"),
    "Telemetry metrics": named("telemetry_metrics", "kind", "unit"),
    "Span groups": words("span_groups"),
    "Domains": words("domains"),
    "Dataset types": words("dataset_types"),
    "Names at the top level": lambda facts: dict.fromkeys(facts.get("public_names", ()), {}),
    "Lists": lambda facts: {f"{kind}: {name}": {} for kind, found in facts.get("lists", {}).items() for name in found},
    "Components": lambda facts: {name: {} for name in facts["components"]},
    "Keys of other servers": component_keys,
    "Environment variables of components": lambda facts: {
        f"{component} {name}": {} for component, found in facts["component_variables"].items() for name in found
    },
    "Classes that no group of settings has yet": words("unplaced"),
}  # fmt: skip


def shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:79] + "…"


def phrase(key: str, value: object) -> str:
    return key if value is True and key in ("required", "set by gym") else f"{key} {shown(value)}"


def summary(attributes: dict[str, object]) -> str:
    """An item in one line."""
    told_ = {key: value for key, value in attributes.items() if key != "described" and not key.startswith("in ")}
    return "; ".join(phrase(key, value) for key, value in told_.items())


def changes(old: dict[str, object], new: dict[str, object]) -> Iterator[str]:
    for key in dict.fromkeys([*old, *new]):
        if key == "described" or old.get(key) == new.get(key):
            continue
        if key not in old or key not in new:
            yield f"{'now' if key in new else 'no longer'} {phrase(key, new.get(key, old.get(key)))}"
        elif isinstance(old[key], list) and isinstance(new[key], list) and key != "default":
            gone = [item for item in old[key] if item not in new[key]]
            come = [item for item in new[key] if item not in old[key]]
            parts = [f"without {shown(gone)}"] * bool(gone) + [f"with {shown(come)}"] * bool(come)
            yield f"{key} {' and '.join(parts) or 'in another order'}"
        else:
            yield f"{key} {shown(old[key])} -> {shown(new[key])}"


def moved(old: dict, new: dict) -> dict[str, str]:
    """The classes that another module has now, as MODULE:NAME: one name that went in one place and came in another."""

    def only(facts: dict, other: dict) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key in facts["classes"].keys() - other["classes"].keys():
            found.setdefault(key.rpartition(":")[2], []).append(key)
        return found

    came = only(new, old)
    pairs = ((gone, came.get(name, [])) for name, gone in only(old, new).items())
    return dict(sorted((gone[0], here[0]) for gone, here in pairs if len(gone) == len(here) == 1))


def differences(old: dict, new: dict) -> dict[str, dict]:
    """For each kind what was added, removed, changed, and described in other words; each by its name, with what there is to say."""
    found = {}
    for kind, read in KINDS.items():
        before, after = read(old), read(new)
        changed = {name: list(changes(before[name], after[name])) for name in after if name in before}
        changed = {name: told_ for name, told_ in changed.items() if told_}
        same = (name for name in after if name in before and name not in changed)
        parts = {
            "added": {name: summary(after[name]) for name in after if name not in before},
            "removed": {name: "" for name in before if name not in after},
            "changed": {name: "; ".join(told_) for name, told_ in changed.items()},
            "described in other words": {name: "" for name in same if before[name].get("described") != after[name].get("described")},
        }
        if any(parts.values()):
            found[kind] = parts
    return found


def compare(old: dict, new: dict) -> Iterator[str]:
    """The lines of the report."""
    yield f"nemo-gym {old['release']} -> {new['release']}"
    if old["requires_python"] != new["requires_python"]:
        yield f"  Python {old['requires_python']} -> {new['requires_python']}"
    if moves := moved(old, new):
        yield f"\nClasses: {len(moves)} moved"
        yield from (f"  > {before}  to {after.rpartition(':')[0].removeprefix('built:')}" for before, after in moves.items())
    signs = {"added": "+", "removed": "-", "changed": "~", "described in other words": '"'}
    for kind, parts in differences(old, new).items():
        yield f"\n{kind}: {', '.join(f'{len(items)} {word}' for word, items in parts.items() if items)}"
        for word, items in parts.items():
            yield from (f"  {signs[word]} {name}  {told_}".rstrip() for name, told_ in items.items())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("old", type=Path, help="facts of the earlier release")
    parser.add_argument("new", type=Path, help="facts of the later release")
    parser.add_argument("--page", type=Path, help="also write what a page shows of it, as JSON")
    arguments = parser.parse_args()
    found = []
    for path in (arguments.old, arguments.new):
        try:
            found.append(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, json.JSONDecodeError) as error:
            print(f"{path} is no file of facts: {error}", file=sys.stderr)
            return 2
    print("\n".join(compare(*found)))
    if arguments.page:
        releases = {"from": found[0]["release"], "to": found[1]["release"]}
        kinds = ("Settings", "Commands", "Flags", "Environment variables")
        shown_ = {kind: parts for kind, parts in differences(*found).items() if kind in kinds}
        text = json.dumps(releases | shown_, indent=1, ensure_ascii=False)
        arguments.page.write_text(f"{text}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
