"""Where the environment with the package under documentation lies. `make gym` builds it."""

from __future__ import annotations

from pages import ROOT, Gym


def gym_environment() -> Gym:
    gym = Gym(folder=ROOT / ".venv-gym", servers=ROOT / "build" / "server-environments")
    if not gym.python.exists():
        raise RuntimeError("NeMo Gym is not installed for the tests: run `make gym`")
    return gym
