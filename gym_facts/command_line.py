"""The command line, which is asked at run time because its flags are functions: commands, flags, and the keys that flags set."""

from __future__ import annotations

import argparse
import ast
import re
from importlib import import_module, metadata

from gym_facts.scope import SETTINGS
from gym_facts.source import current, find, key_of, located, resolve


def commands(classes: dict[str, dict], settings: dict[str, dict]) -> dict[str, dict]:
    """Each command with its flags, and for each flag the keys of the configuration that it sets."""
    cli = import_module(located("nemo_gym.cli.main"))
    cli._asset_config_path = lambda flag, value: value  # any name will do: only the key counts here

    def top(parser: argparse.ArgumentParser) -> None:
        for action in cli.build_parser()._actions:
            if action.dest in ("version", "json", "verbose"):
                parser._add_action(action)

    found = {}
    for command_name, command in {"": cli.Command(target="", flags=(cli.Flag(register=top),)), **cli.COMMANDS}.items():
        reads = read_by(command.target)
        flags = []
        for flag in command.flags:
            parser = argparse.ArgumentParser(add_help=False)
            flag.register(parser)
            for action in parser._actions:
                told = {"names": action.option_strings or [action.metavar or action.dest], "takes": takes(action)}
                if action.choices:
                    told["choices"] = list(action.choices)
                if isinstance(action.default, str) and action.default != argparse.SUPPRESS:
                    told["default"] = action.default
                told["keys"] = {key: setting_of(key, reads, classes, settings) for key in keys_of(flag, parser, action)}
                flags.append(told | {"help": action.help or ""})
        found[command_name] = {"summary": command.summary or "", "reads": reads, "flags": flags}
    return found


def keys_of(flag, parser: argparse.ArgumentParser, action: argparse.Action) -> list[str]:
    """Give one argument a value and see which overrides come out."""
    unset = {other.dest: False if other.nargs == 0 and other.const is True else None for other in parser._actions}
    arguments = argparse.Namespace(**unset)
    value: object = action.const if action.const is not None and action.nargs == 0 else "x"
    if action.choices:
        value = next(iter(action.choices))
    elif isinstance(action.nargs, int) and action.nargs > 1:
        value = [0.0] * action.nargs
    elif isinstance(action, argparse._AppendAction):
        value = ["x"]
    elif action.type:
        value = action.type("1")
    setattr(arguments, action.dest, value)
    tokens = flag.translate_to_hydra(arguments)
    return [match[1] for token in tokens if (match := re.match(r"\+*([\w.]+)=", token))]


def takes(action: argparse.Action) -> str:
    """What follows the flag on the command line; nothing for a switch."""
    if action.nargs == 0:
        return ""
    if isinstance(action.metavar, tuple):
        return " ".join(action.metavar)
    return action.metavar or ("{" + ",".join(map(str, action.choices)) + "}" if action.choices else "VALUE")


def read_by(target: object) -> list[str]:
    """The configuration classes that a command validates: those its function, or a function it names, calls."""
    first = find(target if isinstance(target, str) else f"{target.__module__}:{target.__name__}")
    texts = [child.value for child in ast.walk(first.node) if isinstance(child, ast.Constant)] if first else []
    named = [find(text) for text in texts if re.fullmatch(r"nemo_gym[\w.]+:\w+", str(text))]
    found = []
    for function in filter(None, [first, *named]):
        imports = [child for child in ast.walk(function.node) if isinstance(child, ast.ImportFrom)]
        local = {alias.name: child.module for child in imports for alias in child.names}
        for child in ast.walk(function.node):
            match child:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="model_validate")):
                    found.append(key_of(resolve(local.get(name, function.module), name)))
                case ast.Name(id="TrainDataProcessor"):  # validates its configuration itself
                    found.append(current("nemo_gym.train_data_utils:TrainDataProcessorConfig"))
    return [key for key in dict.fromkeys(found) if not key.endswith(":BaseNeMoGymCLIConfig")]


def setting_of(key: str, reads: list[str], classes: dict[str, dict], settings: dict[str, dict]) -> str | None:
    """The setting that a command means by a key: of a class it validates, else of the top of the configuration."""
    first = key.partition(".")[0]
    order = [cls for read in reads for cls in [read, *classes.get(read, {}).get("bases", [])]] + [current(key) for key in SETTINGS["global"]]
    for cls in order:
        for identifier, setting in settings.items():
            if setting["key"] == first and cls in setting["in"]:
                return identifier
    return None


def legacy() -> dict[str, str]:
    """The commands of earlier releases that are still installed, and what each stands for."""
    today = import_module(located("nemo_gym.cli.legacy")).LEGACY
    scripts = {entry.name for entry in metadata.distribution("nemo-gym").entry_points}
    stands = {name: "gym " + " ".join(words) for name, words in today.items()} | {"reinstall": "uv sync --extra dev"}
    pairs = ((prefix + name, words) for name, words in sorted(stands.items()) for prefix in ("ng_", "nemo_gym_"))
    return {name: words for name, words in pairs if name in scripts}


def public_names() -> list[str]:
    """What the package promises to keep importable from its top level."""
    return sorted(getattr(import_module("nemo_gym"), "__all__", []))
