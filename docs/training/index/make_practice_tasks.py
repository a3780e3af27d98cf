"""Write the two practice task sets that the guides collect rollouts from.

``practice_tasks.jsonl`` is for the shipped ``string_match`` environment: short answers, six
families from easy to hopeless for a 135M model. ``practice_tool_tasks.jsonl`` is for the shipped
``xlam_fc`` environment: one function call each. Every row carries four worked examples as earlier
messages, because a model this small only answers in the asked form after it has seen it.

The output is the same on every run:

    python make_practice_tasks.py [--out-dir DIR]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

# family -> (worked examples, tasks), each a (question, answer) pair.
FAMILIES: dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]]]] = {
    "capital": (
        [("Capital of Italy?", "Rome"), ("Capital of Japan?", "Tokyo"), ("Capital of Peru?", "Lima"), ("Capital of Egypt?", "Cairo")],
        [("Capital of France?", "Paris"), ("Capital of Spain?", "Madrid"), ("Capital of Norway?", "Oslo"), ("Capital of Kenya?", "Nairobi"),
         ("Capital of Cuba?", "Havana"), ("Capital of Canada?", "Ottawa"), ("Capital of Australia?", "Canberra"), ("Capital of Bhutan?", "Thimphu")],
    ),
    "opposite": (
        [("Opposite of hot?", "cold"), ("Opposite of big?", "small"), ("Opposite of up?", "down"), ("Opposite of wet?", "dry")],
        [("Opposite of open?", "closed"), ("Opposite of left?", "right"), ("Opposite of day?", "night"), ("Opposite of early?", "late"),
         ("Opposite of full?", "empty"), ("Opposite of rich?", "poor"), ("Opposite of loud?", "quiet"), ("Opposite of scarce?", "abundant")],
    ),
    "plural": (
        [("Plural of cat?", "cats"), ("Plural of box?", "boxes"), ("Plural of foot?", "feet"), ("Plural of city?", "cities")],
        [("Plural of dog?", "dogs"), ("Plural of bus?", "buses"), ("Plural of child?", "children"), ("Plural of mouse?", "mice"),
         ("Plural of leaf?", "leaves"), ("Plural of baby?", "babies"), ("Plural of sheep?", "sheep"), ("Plural of analysis?", "analyses")],
    ),
    "sum": (
        [("2 + 3?", "5"), ("4 + 4?", "8"), ("7 + 5?", "12"), ("6 + 9?", "15")],
        [("1 + 1?", "2"), ("3 + 4?", "7"), ("5 + 5?", "10"), ("8 + 6?", "14"),
         ("9 + 7?", "16"), ("12 + 9?", "21"), ("27 + 15?", "42"), ("148 + 276?", "424")],
    ),
    "spell": (
        [("Spell cat.", "c a t"), ("Spell dog.", "d o g"), ("Spell tree.", "t r e e"), ("Spell house.", "h o u s e")],
        [("Spell sun.", "s u n"), ("Spell book.", "b o o k"), ("Spell river.", "r i v e r"), ("Spell journey.", "j o u r n e y")],
    ),
    "letter": (
        [("First letter of apple?", "a"), ("First letter of moon?", "m"), ("First letter of sun?", "s"), ("First letter of tree?", "t")],
        [("First letter of book?", "b"), ("First letter of green?", "g"), ("First letter of river?", "r"), ("First letter of window?", "w")],
    ),
}

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
CONVERT = {
    "type": "object",
    "properties": {"amount": {"type": "integer"}, "unit": {"type": "string", "enum": ["km", "miles", "kg", "pounds"]}},
    "required": ["amount", "unit"],
    "additionalProperties": False,
}
TOOLS = [
    {"type": "function", "name": name, "description": text, "parameters": parameters, "strict": True}
    for name, text, parameters in (
        ("get_weather", "Weather in a city.", CITY),
        ("get_time", "Local time in a city.", CITY),
        ("convert", "Convert an amount to a unit.", CONVERT),
    )
]
TOOL_EXAMPLES = [
    ("What is the weather in Rome?", "get_weather", {"city": "Rome"}),
    ("What time is it in Lima?", "get_time", {"city": "Lima"}),
    ("How many miles are 3 km?", "convert", {"amount": 3, "unit": "miles"}),
    ("Is it sunny in Tokyo?", "get_weather", {"city": "Tokyo"}),
]
TOOL_TASKS = [
    ("What time is it in Oslo?", "get_time", {"city": "Oslo"}),
    ("What is the weather in Paris?", "get_weather", {"city": "Paris"}),
    ("Is it raining in Quito?", "get_weather", {"city": "Quito"}),
    ("Do I need a coat in Berlin?", "get_weather", {"city": "Berlin"}),
    ("Tell me the hour in Delhi.", "get_time", {"city": "Delhi"}),
    ("Is it late in Nairobi?", "get_time", {"city": "Nairobi"}),
    ("How many km are 8 miles?", "convert", {"amount": 8, "unit": "km"}),
    ("How many pounds are 12 kg?", "convert", {"amount": 12, "unit": "pounds"}),
    ("Turn 40 pounds into kg.", "convert", {"amount": 40, "unit": "kg"}),
    ("I ran 5 miles. How far is that in km?", "convert", {"amount": 5, "unit": "km"}),
    ("Has the sun set in Cairo yet?", "get_time", {"city": "Cairo"}),
    ("Should I water my plants in Athens today?", "get_weather", {"city": "Athens"}),
]


def string_match_rows() -> list[dict]:
    """Rows for ``string_match``: the whole reply is compared with ``expected_answer``."""
    rows = []
    for family, (examples, tasks) in FAMILIES.items():
        for question, answer in tasks:
            history = []
            for shown_question, shown_answer in examples:
                history += [{"role": "user", "content": shown_question}, {"role": "assistant", "content": shown_answer}]
            rows.append({
                "responses_create_params": {"input": [*history, {"role": "user", "content": question}], "max_output_tokens": 24},
                "expected_answer": answer,
                "extraction_mode": "full_response",
                "metadata": {"family": family},
            })
    return rows


def tool_rows() -> list[dict]:
    """Rows for ``xlam_fc``: the calls in the reply are compared with ``expected_answers``."""
    history = []
    for number, (question, name, arguments) in enumerate(TOOL_EXAMPLES):
        history += [
            {"role": "user", "content": question},
            {"type": "function_call", "call_id": f"example_{number}", "name": name, "arguments": json.dumps(arguments)},
        ]
    return [
        {
            "responses_create_params": {
                "input": [*history, {"role": "user", "content": question}],
                "tools": TOOLS,
                "max_output_tokens": 48,
            },
            "expected_answers": [{"name": name, "arguments": arguments}],
        }
        for question, name, arguments in TOOL_TASKS
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out-dir", type=Path, default=Path("."), help="folder that receives both files (default: here)")
    out_dir = parser.parse_args().out_dir
    if not out_dir.is_dir():
        print(f"{out_dir} is not a folder. Create it first: mkdir -p {out_dir}", file=sys.stderr)
        return 2
    for name, rows in (("practice_tasks.jsonl", string_match_rows()), ("practice_tool_tasks.jsonl", tool_rows())):
        (out_dir / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        print(f"{out_dir / name}: {len(rows)} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
