"""Read from the installed NeMo Gym what the reference states about it, as one JSON file.

    python -m gym_facts docs/_ext/facts.json

Runs under the interpreter that has nemo-gym and needs nothing else. All classes are read from their source and not by
importing them: a server's ``app.py`` may need packages that only the server's own environment has, and the source keeps
what pydantic drops (comments, the order of fields, the name of a type). ``tests/test_facts.py`` holds the result against
pydantic wherever a module can be imported.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib import metadata
from pathlib import Path

from gym_facts.command_line import commands, legacy, public_names
from gym_facts.groups import components, groups, unplaced
from gym_facts.lists import lists
from gym_facts.presets import add_presets
from gym_facts.scope import COMPONENTS, FIELDS, MORE_COMPONENTS, SETTINGS
from gym_facts.source import ROOT
from gym_facts.variables import variables
from gym_facts.vocabularies import checks, failure_classes, failure_kinds, telemetry, vocabulary


def extract() -> dict:
    distribution = metadata.distribution("nemo-gym")
    classes: dict[str, dict] = {}
    setting_groups, settings = groups(SETTINGS, classes)
    field_groups, fields = groups(FIELDS, classes)
    shipped = components(classes)
    told = commands(classes, settings)
    for command, facts in told.items():
        for flag in facts["flags"]:
            for key, setting in flag["keys"].items():
                if setting:
                    told_ = {"command": command, "names": flag["names"], "key": key}
                    settings[setting].setdefault("flags", []).append(told_)
    add_presets(settings, classes)
    folders = [
        path.relative_to(ROOT).as_posix()
        for kind in COMPONENTS + MORE_COMPONENTS
        for path in sorted((ROOT / kind).glob("*/"))
    ]
    others = {folder: variables(folder) for folder in folders}
    return {
        "release": distribution.version,
        "requires_python": distribution.metadata["Requires-Python"],
        "public_names": public_names(),
        "setting_groups": setting_groups,
        "settings": settings,
        "field_groups": field_groups,
        "fields": fields,
        "classes": dict(sorted(classes.items())),
        "unplaced": unplaced(),
        "components": shipped,
        "commands": told,
        "legacy_commands": legacy(),
        "variables": variables("nemo_gym"),
        "component_variables": {folder: found for folder, found in others.items() if found},
        "failure_kinds": failure_kinds(),
        "failure_stages": vocabulary("nemo_gym.failure_kinds:FailureStage"),
        "failure_classes": failure_classes(),
        "checks": checks(),
        "telemetry_metrics": telemetry(),
        "span_groups": vocabulary("nemo_gym.telemetry.span_groups:GymSpanGroup"),
        "lists": lists(),
        "domains": vocabulary("nemo_gym.config_types:Domain"),
        "dataset_types": vocabulary("nemo_gym.config_types:DatasetType"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("output", nargs="?", help="the file to write (default: standard output)")
    output = parser.parse_args().output
    text = json.dumps(extract(), indent=1, ensure_ascii=False) + "\n"
    if output:
        Path(output).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
