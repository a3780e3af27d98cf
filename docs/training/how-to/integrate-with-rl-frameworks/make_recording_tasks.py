"""Write the tasks behind recorded_rollouts.jsonl.

    python make_recording_tasks.py [-o recording_tasks.jsonl]

To record again, with the practice endpoint and token_ids_relay.py running, and the servers of record.yaml started with
`gym env start --config record.yaml`:

    gym eval run --no-serve -i recording_tasks.jsonl -o recorded/rollouts.jsonl --num-repeats 4 --temperature 0.7 --concurrency 4
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

WEATHER = {
    "type": "function", "name": "get_weather", "description": "Weather in a city.", "strict": True,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False},
}


def text_tasks(here: Path) -> list[dict]:
    """Four of the practice tasks: the model solves them sometimes."""
    rows = [json.loads(line) for line in (here / "practice_tasks.jsonl").read_text(encoding="utf-8").splitlines()]
    return [rows[number] | {"task_source": "string_match"} for number in (6, 19, 28, 33)]


def tool_tasks(here: Path) -> list[dict]:
    """Four tasks with one function call each. The calls are of three functions with different arguments."""
    rows = [json.loads(line) for line in (here / "practice_tool_tasks.jsonl").read_text(encoding="utf-8").splitlines()]
    return [rows[number] | {"task_source": "xlam_fc"} for number in (2, 4, 6, 10)]


def reasoning_tasks() -> list[dict]:
    """Worked examples think between tags first, so the small model does it too."""
    shown = [("Italy", "Italy is in Europe. Its capital is Rome.", "Rome"), ("Japan", "Japan is in Asia. Its capital is Tokyo.", "Tokyo"),
             ("Peru", "Peru is in South America. Its capital is Lima.", "Lima")]
    told = [
        message for country, thought, answer in shown
        for message in ({"role": "user", "content": f"Capital of {country}?"}, {"role": "assistant", "content": f"<think>{thought}</think>{answer}"})
    ]
    return [
        {"responses_create_params": {"input": [*told, {"role": "user", "content": f"Capital of {country}?"}], "max_output_tokens": 60},
         "expected_answer": capital, "extraction_mode": "full_response", "task_source": "string_match"}
        for country, capital in (("Kenya", "Nairobi"), ("Australia", "Canberra"))
    ]


def parallel_tasks() -> list[dict]:
    """Two calls in one turn, their results, and an answer: shown four times, asked once."""
    told = [{"role": "developer", "content": [{"type": "input_text", "text": "Answer from the weather reports alone."}]}]
    for asked in (("Rome", "Oslo"), ("Lima", "Cairo"), ("Bern", "Kiev"), ("Doha", "Minsk")):
        results = [json.dumps({"city": city, "weather_description": f"The weather in {city} is cold."}, separators=(",", ":")) for city in asked]
        told += [
            {"role": "user", "content": f"Is it cold in {asked[0]} and {asked[1]}?"},
            *({"type": "function_call", "call_id": f"shown_{city}", "name": "get_weather", "arguments": json.dumps({"city": city})} for city in asked),
            *({"type": "function_call_output", "call_id": f"shown_{city}", "output": result} for city, result in zip(asked, results)),
            {"role": "assistant", "content": f"Yes, {asked[0]} and {asked[1]} are cold."},
        ]
    return [
        {"responses_create_params": {"input": [*told, {"role": "user", "content": f"Is it cold in {one} and {two}?"}], "tools": [WEATHER],
                                     "max_output_tokens": 80}, "task_source": "example_single_tool_call_simple_agent"}
        for one, two in (("Paris", "Tokyo"), ("Madrid", "Quito"))
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("recording_tasks.jsonl"), help="default: %(default)s")
    output = parser.parse_args().output
    here = Path(__file__).resolve().parent
    try:
        rows = text_tasks(here) + tool_tasks(here) + reasoning_tasks() + parallel_tasks()
        output.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    except OSError as error:
        print(f"{error.filename}: {error.strerror}. Run this in the unpacked folder", file=sys.stderr)
        return 2
    print(f"{output}: {len(rows)} tasks")
    return 0


if __name__ == "__main__":
    sys.exit(main())
