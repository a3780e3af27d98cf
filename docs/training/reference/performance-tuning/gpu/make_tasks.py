"""Write tasks that a 135M model half knows, for training (train.jsonl) and held out (held_out.jsonl): no question is in both.

    python make_tasks.py [--out-dir DIR]

For the shipped string_match environment: a plural, a past tense, a first letter, the sum of two numbers. Four worked
examples in front, as in practice_tasks.jsonl. The output is the same on every run. Exit code: 0 done, 2 bad input.
"""

import argparse
import json
import random
import sys
from pathlib import Path

WORDS = ("apple bird boat bread bridge brother butter button camera candle carpet castle chair cherry circle city cloud coffee corner cotton "
         "country cousin crown desert doctor dragon dream driver eagle engine farmer father feather field finger flower forest friend garden "
         "ghost glass grape green guitar hammer harbor heart honey horse hotel island jacket jungle kitchen ladder lemon letter lion machine "
         "market melon mirror monkey morning mother mountain mouse music needle night number ocean office onion orange oven palace paper parrot "
         "pencil pepper person picture pillow pilot planet plate pocket poem potato prince queen rabbit radio rain ribbon river road rocket "
         "salad sailor school shadow sheep shirt shoulder silver sister snake spider spoon spring square stone storm street student sugar "
         "summer table teacher temple thunder ticket tiger tomato tower travel tree tunnel uncle valley village violin voice wagon water "
         "weather wheel window winter wolf wonder yellow zebra").split()
VERBS = ("add answer ask bake boil borrow brush call carry change check clean climb close collect color comb cook copy count cover cry dance "
         "deliver depend destroy develop discover divide dream dress drop dry empty enjoy enter explain fail fill finish fold follow gather "
         "glue greet guess hammer happen help hope hug hunt hurry identify imagine improve invite join joke jump kick kiss knock label land "
         "laugh learn like listen live lock look love marry measure melt mix move multiply notice obey offer open order pack paint park pass "
         "pay phone pick plan plant play point pour practice pray print promise pull push rain reach remember repair reply rest return roll "
         "save search serve share shop shout sign smile sneeze sound start stay stop study talk taste thank tie touch travel try turn type use "
         "visit wait walk want wash watch wave whisper wish work worry yell").split()
DOUBLED = {"drop": "dropped", "hug": "hugged", "plan": "planned", "shop": "shopped", "stop": "stopped", "pay": "paid", "sheep": "sheep", "mouse": "mice",
           "wolf": "wolves", "person": "people", "potato": "potatoes", "tomato": "tomatoes"}


def ending(word: str, added: str) -> str:
    """The plural (``s``) or the past (``d``) of a word that follows the rules, or is listed as one that does not."""
    if word in DOUBLED:
        return DOUBLED[word]
    if word[-1] == "y" and word[-2] not in "aeiou":
        return f"{word[:-1]}ie{added}"
    more = "" if word[-1] == "e" else "e" if added == "d" or word.endswith(("s", "x", "ch", "sh")) else ""
    return word + more + added


FAMILIES = {
    "plural": (WORDS, [("cat", "cats"), ("box", "boxes"), ("baby", "babies"), ("foot", "feet")], "Plural of {}?", lambda word: ending(word, "s")),
    "past": (VERBS, [("show", "showed"), ("carve", "carved"), ("fry", "fried"), ("need", "needed")], "Past tense of {}?", lambda word: ending(word, "d")),
    "first": (WORDS, [("ant", "a"), ("moon", "m"), ("sun", "s"), ("key", "k")], "First letter of {}?", lambda word: word[0]),
    "sum": ([f"{a} + {b}" for a in range(1, 15) for b in range(1, 15)], [("2 + 3", "5"), ("4 + 4", "8"), ("7 + 5", "12"), ("6 + 9", "15")], "{}?",
            lambda both: str(sum(int(part) for part in both.split(" + ")))),
}


def rows() -> tuple[list[dict], list[dict]]:
    """(training, held out): the words of each family are split before tasks are made of them."""
    pick, parts = random.Random(0), ([], [])
    for family, (words, shown, question, answer) in FAMILIES.items():
        words = sorted(set(words) - {word for word, _ in shown})
        for place, word in enumerate(pick.sample(words, len(words))):
            parts[place % 3 == 2].append(row(family, [(question.format(a), b) for a, b in shown], question.format(word), answer(word)))
    return tuple(pick.sample(part, len(part)) for part in parts)


def row(family: str, shown: list[tuple[str, str]], question: str, answer: str) -> dict:
    told = [{"role": role, "content": text} for pair in shown for role, text in zip(("user", "assistant"), pair)]
    return {
        "responses_create_params": {"input": [*told, {"role": "user", "content": question}], "max_output_tokens": 24},
        "expected_answer": answer, "extraction_mode": "full_response", "metadata": {"family": family},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out-dir", type=Path, default=Path("."), help="where to write both files (default: here)")
    folder = parser.parse_args().out_dir
    if not folder.is_dir():
        print(f"make_tasks.py: {folder} is not a folder. Create it first: mkdir -p {folder}", file=sys.stderr)
        return 2
    for name, its in zip(("train", "held_out"), rows()):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in its), encoding="utf-8")
        print(f"{folder / name}.jsonl: {len(its)} tasks")
    return 0


if __name__ == "__main__":
    sys.exit(main())
