"""Is a real engine on-policy? Token ids over several calls, recorded against recomputed log probabilities, greedy answers under load.

    python check_tokens.py tasks -o tool_tasks.jsonl                             # tasks that need one tool call and an answer
    python check_tokens.py contiguity rollouts.jsonl --tokenizer DIR             # after gym eval run with token ids
    python check_tokens.py record -o recorded.jsonl --temperature 1              # answers with their log probabilities
    python check_tokens.py gap recorded.jsonl --model DIR --dtype bfloat16       # the same, computed by transformers
    python check_tokens.py greedy --levels 1 8 64                                # how many answers differ, and from which token on

Each prints one JSON object; -o FILE --name NAME adds it to a file. Exit code: 0 done, 1 nothing to compare, 2 bad input.
"""

import argparse
import asyncio
import json
import math
import statistics
import sys
import urllib.request
from pathlib import Path

from load import prompt

from rollouts import Rollouts, lines, list_of

CITIES = "Paris Tokyo Madrid Quito Dublin Seoul Lisbon Hanoi Prague Dakar Vienna Havana Athens Manila Warsaw Bogota Berlin Nairobi Sofia Jakarta".split()
WEATHER = {
    "type": "function", "name": "get_weather", "description": "Weather in a city.", "strict": True,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False},
}


def tasks(args: argparse.Namespace) -> dict:
    """For the shipped example_single_tool_call: one city or two per question, shown four times, so that a small model calls too."""
    def turn(cities: tuple[str, ...]) -> tuple[dict, list[dict]]:
        named = " and ".join(cities)
        results = [json.dumps({"city": city, "weather_description": f"The weather in {city} is cold."}, separators=(",", ":")) for city in cities]
        return {"role": "user", "content": f"Is it cold in {named}?"}, [
            *({"type": "function_call", "call_id": f"shown_{city}", "name": "get_weather", "arguments": json.dumps({"city": city})} for city in cities),
            *({"type": "function_call_output", "call_id": f"shown_{city}", "output": result} for city, result in zip(cities, results)),
            {"role": "assistant", "content": f"Yes, {named} {'are' if cities[1:] else 'is'} cold."},
        ]

    told = [item for city in ("Rome", "Oslo", "Lima", "Cairo") for question, answer in [turn((city,))] for item in (question, *answer)]
    rows = [{"responses_create_params": {"input": [*told, turn((city,))[0]], "tools": [WEATHER], "max_output_tokens": 64},
             "agent_ref": {"name": "example_single_tool_call_simple_agent"}} for city in CITIES]
    args.output.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"tasks": len(rows)}


def contiguity(args: argparse.Namespace) -> dict:
    """Of the rollouts with two calls or more: does each prompt begin with all tokens before it, and if not, with the same text?"""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(args.tokenizer / "tokenizer.json"))
    text = lambda ids: tokenizer.decode(ids, skip_special_tokens=False)  # noqa: E731
    found = {"rollouts": 0, "one call": 0, "two calls or more": 0, "contiguous": 0, "same text, other tokens": 0, "other text": 0}
    examples = []
    for _, _, _, rollout in Rollouts(args.file):
        found["rollouts"] += 1
        calls = [item for item in list_of(rollout["response"], "output") if item.get("generation_token_ids")]
        if len(calls) < 2:
            found["one call"] += 1
            continue
        found["two calls or more"] += 1
        seen, kind = [], "contiguous"
        for call in calls:
            given = call["prompt_token_ids"]
            if given[:len(seen)] != seen:
                at = next((place for place, pair in enumerate(zip(seen, given)) if pair[0] != pair[1]), min(len(seen), len(given)))
                kind = "same text, other tokens" if text(given).startswith(text(seen).rstrip("\n")) else "other text"
                if len(examples) < 8:
                    start = max(0, at - 3)
                    examples.append({"kind": kind, "sampled": [tokenizer.id_to_token(one) for one in seen[start:at + 8]],
                                     "tokenized again": [tokenizer.id_to_token(one) for one in given[start:at + 8]]})
                break
            seen = given + call["generation_token_ids"]
        found[kind] += 1
    return found | {"examples": examples}


def post(address: str, body: dict) -> dict:
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=300))


async def answers(args: argparse.Namespace, prompts: list[str], concurrency: int, body: dict) -> list[dict]:
    """The first choice for each prompt, ``concurrency`` at a time."""
    import aiohttp

    gate = asyncio.Semaphore(concurrency)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=300)) as session:
        async def one(text: str) -> dict:
            async with gate, session.post(f"{args.base}/v1/chat/completions", json={
                "model": args.model_name, "messages": [{"role": "user", "content": text}], "max_tokens": args.tokens, "ignore_eos": True} | body) as answer:
                told = await answer.json()
                return told["choices"][0] | {"prompt_token_ids": told.get("prompt_token_ids")}

        return await asyncio.gather(*map(one, prompts))


def record(args: argparse.Namespace) -> dict:
    """As Gym asks with return_token_id_information and request_prompt_and_generation_token_ids."""
    prompts = [prompt(20, number) for number in range(args.count)]
    body = {"temperature": args.temperature, "logprobs": True, "top_logprobs": 0, "return_tokens_as_token_ids": True, "return_token_ids": True}
    body |= {"top_k": args.top_k} if args.top_k else {}
    rows = []
    for text, choice in zip(prompts, asyncio.run(answers(args, prompts, 64, body))):
        content = choice["logprobs"]["content"]
        ids = choice["prompt_token_ids"] or post(f"{args.base}/tokenize", {"messages": [{"role": "user", "content": text}]})["tokens"]
        rows.append({"prompt_ids": ids, "completion_ids": [int(one["token"].removeprefix("token_id:")) for one in content],
                     "logprobs": [one["logprob"] for one in content], "temperature": args.temperature})
    args.output.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"sequences": len(rows), "tokens": sum(len(row["logprobs"]) for row in rows)}


def spread(values: list[float], shares: tuple[float, ...] = (0.01, 0.5, 0.99)) -> dict:
    ordered = sorted(values)
    at = lambda share: ordered[min(len(ordered) - 1, int(share * len(ordered)))]  # noqa: E731
    return {"mean": statistics.fmean(values), "least": ordered[0], "most": ordered[-1]} | {f"p{100 * share:g}": at(share) for share in shares}


def gap(args: argparse.Namespace) -> dict:
    """Recorded minus recomputed, per token; and the ratio of probabilities of each whole sequence."""
    import torch
    from transformers import AutoModelForCausalLM

    rows = [row for _, _, _, row in lines(args.file)]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=getattr(torch, args.dtype)).to(device).eval()
    differences, ratios = [], []
    with torch.no_grad():
        for row in rows:
            ids = torch.tensor([row["prompt_ids"] + row["completion_ids"]], device=device)
            start = len(row["prompt_ids"])
            logits = model(ids).logits[0, start - 1:-1].float() / args.divide_by
            new = logits.log_softmax(-1).gather(1, ids[0, start:, None])[:, 0].tolist()
            differences += [abs(old - its) for old, its in zip(row["logprobs"], new) if math.isfinite(old)]
            ratios.append(math.exp(max(-50.0, min(50.0, sum(new) - sum(row["logprobs"])))))
    return {"sequences": len(rows), "tokens": len(differences), "dtype": args.dtype, "divided_by": args.divide_by,
            "per token": spread(differences, (0.5, 0.9, 0.99, 0.999)), "ratio of a sequence": spread(ratios, (0.05, 0.5, 0.95))}


def greedy(args: argparse.Namespace) -> dict:
    """The same prompts twice at each concurrency, with other requests beside them up to that number."""
    prompts = [prompt(20, number) for number in range(args.count)]
    body = {"temperature": 0.0, "return_token_ids": True}
    rounds = {}
    for level in args.levels:
        for again in (1, 2):
            others = [prompt(20, 10_000 * again + number) for number in range(max(0, level - len(prompts)))]
            both = asyncio.run(answers(args, prompts + others, level, body))[:len(prompts)]
            rounds[level, again] = [choice.get("token_ids") or list(choice["message"]["content"]) for choice in both]
    first = rounds[args.levels[0], 1]
    found = {}
    for level in args.levels:
        one, two = rounds[level, 1], rounds[level, 2]
        places = [next((at for at, pair in enumerate(zip(a, b)) if pair[0] != pair[1]), min(len(a), len(b))) for a, b in zip(first, one) if a != b]
        found[level] = {"differ from the first": len(places), "first different token, median": statistics.median(places) if places else None,
                        "earliest": min(places, default=None), "differ between two runs": sum(a != b for a, b in zip(one, two))}
    return {"prompts": len(prompts), "tokens": args.tokens, "levels": found}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("tasks", "contiguity", "record", "gap", "greedy"))
    add = parser.add_argument
    add("file", type=Path, nargs="?", help="contiguity: rollouts; gap: what `record` wrote")
    add("-o", "--output", type=Path, metavar="FILE", help="tasks, record: where to write. Else: a JSON file to add to")
    add("--name", default="", help="under which name to add (default: what is done)")
    add("--tokenizer", type=Path, metavar="DIR", help="contiguity: folder with tokenizer.json")
    add("--model", type=Path, metavar="DIR", help="gap: folder with the weights")
    add("--dtype", choices=("float32", "bfloat16"), default="float32", help="gap (default: %(default)s)")
    add("--divide-by", type=float, default=1.0, metavar="T", help="gap: the temperature that logits are divided by (default: 1)")
    add("--base", default="http://127.0.0.1:8000", metavar="URL", help="of the endpoint, without /v1 (default: %(default)s)")
    add("--model-name", default="policy", help="its model (default: %(default)s)")
    add("--count", type=int, default=40, help="prompts (default: %(default)s)")
    add("--tokens", type=int, default=256, help="of each answer (default: %(default)s)")
    add("--temperature", type=float, default=1.0, help="record (default: %(default)s)")
    add("--top-k", type=int, help="record (default: none)")
    add("--levels", type=int, nargs="+", default=[1, 8, 64], help="greedy: requests in flight (default: 1 8 64)")
    args = parser.parse_args()
    needs = {"contiguity": ("file", "tokenizer"), "gap": ("file", "model"), "tasks": ("output",), "record": ("output",)}.get(args.what, ())
    if missing := [name for name in needs if not getattr(args, name)]:
        parser.error(f"{args.what} needs {' and '.join(missing)}")
    try:
        found = globals()[args.what](args)
    except (OSError, KeyError, json.JSONDecodeError) as error:
        print(f"check_tokens.py: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    print(json.dumps(found, indent=1))
    if args.output and args.what in ("contiguity", "gap", "greedy"):
        data = json.loads(args.output.read_text()) if args.output.exists() else {}
        args.output.write_text(json.dumps(data | {args.name or args.what: found}, indent=1) + "\n")
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
