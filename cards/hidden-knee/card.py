"""An endpoint with a number of places that only a measurement tells."""

import json
from pathlib import Path

from kit import jsonl, near, need, values

GUIDES = ("optimize-rollout-collection",)
HERE = Path(__file__).resolve().parent
PLACES, SECONDS = 6, 2.0  # of endpoint.py, where they are not written out


def files() -> dict[str, str]:
    tasks = [{"responses_create_params": {"input": f"Say the word {word}."}, "expected_answer": word, "extraction_mode": "full_response"} for word in "one two three four five six seven eight nine ten eleven twelve".split()]
    return {"endpoint.py": (HERE / "endpoint.py").read_text(), "tasks.jsonl": jsonl(tasks)}


def full(concurrency: int) -> float:
    """Rollouts per minute if the endpoint alone takes time."""
    return min(concurrency, PLACES) * 60 / SECONDS


def check(folder: Path) -> None:
    found = values(folder, "answer.json", ["measured", "concurrency", "rollouts_per_minute"])
    try:
        measured = {int(level): float(rate) for level, rate in found["measured"].items()}
        knee = int(found["concurrency"])
    except (AttributeError, TypeError, ValueError):
        need(False, "measured needs numbers by concurrency")
    need(len(measured) >= 4, f"{len(measured)} concurrencies were measured")
    for level, rate in measured.items():
        need(0.4 * full(level) <= rate <= 1.08 * full(level), f"{rate:g} rollouts per minute at {level} is not what this endpoint does")
    need(min(measured) <= PLACES - 2 and max(measured) >= PLACES + 2, "the concurrencies do not show where the rate stops growing")
    need(PLACES - 1 <= knee <= PLACES + 2 and knee in measured, f"the rate stops growing elsewhere than at {knee}")
    near(found["rollouts_per_minute"], measured[knee], 0.01 * measured[knee] + 1, "rollouts_per_minute")


def _write(folder: Path, levels: list[int], knee: int, rate=full) -> None:
    measured = {str(level): round(0.93 * rate(level), 1) for level in levels}
    (folder / "answer.json").write_text(json.dumps({"measured": measured, "concurrency": knee, "rollouts_per_minute": measured.get(str(knee), 0)}))


def right(folder: Path) -> None:
    _write(folder, [1, 4, 6, 8, 16], 6)


def the_fastest_of_all(folder: Path) -> None:
    _write(folder, [1, 4, 8, 16, 32], 32)


def powers_of_two_and_a_guess(folder: Path) -> None:
    _write(folder, [1, 2, 4, 16], 4)


def nobody_measured(folder: Path) -> None:
    _write(folder, [1, 4, 6, 8], 6, lambda level: 100.0 * level)


WRONG = (the_fastest_of_all, powers_of_two_and_a_guess, nobody_measured)
