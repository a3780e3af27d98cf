"""Answers questions that only the installed package can answer. Runs in the environment that has Gym, one JSON line each.

Imports nothing of this repository. ``{"ask": NAME, ...}`` on stdin gives ``{"error": TEXT or null}`` on stdout.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import shlex
import sys
import tempfile

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever the package prints must not mix with the answers


def row(text: str) -> str | None:
    """Build one JSON row into the package's classes: a rollout if it has a response, else a task."""
    from nemo_gym.base_resources_server import BaseVerifyResponse
    from nemo_gym.openai_utils import NeMoGymResponseCreateParamsNonStreaming

    data = json.loads(text)
    if "response" in data:
        BaseVerifyResponse.model_validate(data)
    elif "responses_create_params" in data:
        NeMoGymResponseCreateParamsNonStreaming.model_validate(data["responses_create_params"])
    else:
        return "neither a task row (`responses_create_params`) nor a rollout (`response`)"
    return None


def configuration(text: str, folder: str) -> str | None:
    """Resolve a configuration with Gym's own loader, with ``folder`` as the current folder."""
    from nemo_gym.global_config import GlobalConfigDictParser, GlobalConfigDictParserConfig

    from omegaconf import OmegaConf

    os.chdir(folder)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        GlobalConfigDictParser().parse(GlobalConfigDictParserConfig(
            skip_load_from_cli=True, offline=True, initial_global_config_dict=OmegaConf.create({"config_paths": [file.name]}),
        ))
    return None


def command(text: str) -> str | None:
    """Check the flags and the override keys of one ``gym`` command line against the package, without running it."""
    from nemo_gym.cli.main import build_parser

    words = shlex.split(text)
    try:
        arguments, rest = build_parser().parse_known_args(words[1:])
    except SystemExit:
        return f"gym does not accept: {text}"
    if getattr(arguments, "_command", None) is None:
        return f"not a complete gym command: {text}"
    known = known_keys()
    for word in rest:
        if word.startswith("-"):
            return f"unknown flag {word}"
        key = word.lstrip("+~").split("=", 1)[0]
        # A dotted key addresses a server block of the merged configuration; its first part is the user's own name.
        if "." not in key and key not in known:
            return f"unknown configuration key {key}"
    return None


def known_keys() -> set[str]:
    """Every field of every configuration class of the package, and every reserved global key."""
    import nemo_gym
    from nemo_gym import global_config
    from pydantic import BaseModel

    for module in pkgutil.walk_packages(nemo_gym.__path__, "nemo_gym."):
        try:
            importlib.import_module(module.name)
        except Exception:  # an optional dependency of one module says nothing about the others
            continue
    keys = set(global_config.NEMO_GYM_RESERVED_TOP_LEVEL_KEYS)
    classes = [BaseModel]
    while classes:
        cls = classes.pop()
        classes += cls.__subclasses__()
        if cls.__module__.startswith("nemo_gym.") and cls.__name__.endswith("Config"):
            keys |= set(cls.model_fields)
    return keys


ASK = {"row": row, "configuration": configuration, "command": command}

for line in sys.stdin:
    question = json.loads(line)
    try:
        error = ASK[question.pop("ask")](**question)
    except Exception as exception:
        error = f"{type(exception).__name__}: {exception}"
    print(json.dumps({"error": error}), file=answers, flush=True)
