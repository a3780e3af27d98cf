"""The data code of four trainers, as released.

Each function gives, for each row, (whole text, text in the loss), and for pairs two of these: chosen and rejected.
Rows that the trainer dropped are missing.
check_loaders.py imports a function only when its file is checked, so the other trainers need not be there.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import types
from pathlib import Path

LONGEST = 32768
LENGTH = LONGEST  # tokens of a row that a loader may take; check_loaders.py --max-length sets it


def at(number: int, read):
    """Row ``number`` (from 0), by ``read``; an error knows the row, counted from 1."""
    try:
        return read(number)
    except Exception as error:
        error.row = number + 1
        raise


Pair = tuple[tuple[str, str], tuple[str, str]]


def parts(tokenizer, ids: list[int], labels: list[int]) -> tuple[str, str]:
    return tokenizer.decode(ids), tokenizer.decode([label for label in labels if label != -100])


def both(tokenizer, row: dict) -> Pair:
    """Of a row of ids and labels, as three of the trainers name them."""
    chosen, rejected = (parts(tokenizer, row[f"{side}_input_ids"], row[f"{side}_labels"]) for side in ("chosen", "rejected"))
    return chosen, rejected


# ---------------------------------------------------------------------------------------------------------------------


def llamafactory(path: Path, tokenizer, stage: str) -> list:
    """get_dataset with the template qwen3_nothink, which keeps every turn as it is written: plain ChatML, tools as Qwen shows them."""
    os.environ.setdefault("DISABLE_VERSION_CHECK", "1")
    sys.modules.setdefault("torchaudio", types.ModuleType("torchaudio"))  # imported for speech alone
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import DataArguments, ModelArguments, TrainingArguments

    folder = tempfile.mkdtemp()
    os.environ["HF_DATASETS_CACHE"] = folder
    data = DataArguments(dataset=path.stem, dataset_dir=str(path.parent), template="qwen3_nothink", cutoff_len=LENGTH)
    template = get_template_and_fix_tokenizer(tokenizer, data)
    model = ModelArguments(model_name_or_path="none", cache_dir=folder)
    training = TrainingArguments(output_dir=folder, do_train=True, use_cpu=True)
    found = get_dataset(template, model, data, training, stage=stage, tokenizer=tokenizer)
    return found.get("train_dataset", [])


def llamafactory_sft(path: Path, tokenizer) -> list[tuple[str, str]]:
    return [parts(tokenizer, row["input_ids"], row["labels"]) for row in llamafactory(path, tokenizer, "sft")]


def llamafactory_dpo(path: Path, tokenizer) -> list[Pair]:
    return [both(tokenizer, row) for row in llamafactory(path, tokenizer, "rm")]


# ---------------------------------------------------------------------------------------------------------------------


def ms_swift(path: Path, tokenizer, mode: str, **more) -> tuple[list, object]:
    """load_dataset and Template.encode with the template qwen2_5 and loss on every turn of the assistant."""
    os.environ.setdefault("USE_HF", "1")
    from swift.dataset import load_dataset
    from swift.model import get_processor
    from swift.template import get_template

    folder = tempfile.mkdtemp()
    tokenizer.save_pretrained(folder)
    Path(folder, "config.json").write_text(json.dumps({"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "max_position_embeddings": LENGTH}))
    processor = get_processor(folder, model_type="qwen2", download_model=False)
    template = get_template(processor, template_type="qwen2_5", max_length=LENGTH, agent_template="hermes", **more)
    template.set_mode(mode)
    rows, _ = load_dataset(str(path), remove_unused_columns=False)
    return list(rows), template


def ms_swift_sft(path: Path, tokenizer) -> list[tuple[str, str]]:
    rows, template = ms_swift(path, tokenizer, "train")
    encoded = [at(number, lambda place: template.encode(rows[place])) for number in range(len(rows))]
    return [parts(tokenizer, one["input_ids"], one["labels"]) for one in encoded]


def ms_swift_dpo(path: Path, tokenizer) -> list[Pair]:
    rows, template = ms_swift(path, tokenizer, "rlhf", loss_scale="default")
    return [both(tokenizer, at(number, lambda place: template.encode(rows[place]))) for number in range(len(rows))]


# ---------------------------------------------------------------------------------------------------------------------


def axolotl_sft(path: Path, tokenizer) -> list[tuple[str, str]]:
    """The chat_template strategy with the tokenizer's own template, and the switch per message that the rows use."""
    from axolotl.prompt_strategies.chat_template import load
    from axolotl.utils.dict import DictDefault
    from datasets import load_dataset

    cfg = DictDefault({"train_on_inputs": False, "sequence_len": LENGTH, "chat_template": "tokenizer_default", "eot_tokens": ["<|im_end|>"]})
    strategy = load(tokenizer, cfg, DictDefault({"type": "chat_template", "message_field_training": "training"}))
    rows = load_dataset("json", data_files=str(path), split="train")
    return [parts(tokenizer, made["input_ids"], made["labels"]) for made in (at(number, lambda place: strategy.tokenize_prompt(rows[place])) for number in range(len(rows)))]


def axolotl_dpo(path: Path, tokenizer) -> list[Pair]:
    from axolotl.prompt_strategies.dpo.chat_template import default
    from axolotl.utils.dict import DictDefault
    from datasets import load_dataset

    transform = default(DictDefault({"chat_template": "tokenizer_default", "datasets": [{"path": str(path), "type": "chat_template.default"}]}))
    transform = transform[0] if isinstance(transform, tuple) else transform
    rows = load_dataset("json", data_files=str(path), split="train")
    made = [at(number, lambda place: transform(rows[place], tokenizer=tokenizer)) for number in range(len(rows))]
    return [tuple((row["prompt"] + row[side], row[side]) for side in ("chosen", "rejected")) for row in made]


# ---------------------------------------------------------------------------------------------------------------------


def torchtune_tokenizer(tokenizer):
    """torchtune's own tokenizer class for ChatML models, with the vocabulary of the given one."""
    from torchtune.models.qwen2._tokenizer import Qwen2Tokenizer

    folder = Path(tempfile.mkdtemp())
    tokenizer.save_pretrained(folder)
    model = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]), encoding="utf-8")
    special = {token: tokenizer.convert_tokens_to_ids(token) for token in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")}
    return Qwen2Tokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), special, eos_token="<|im_end|>")


def torchtune_sft(path: Path, tokenizer) -> list[tuple[str, str]]:
    from torchtune.datasets import chat_dataset

    data = chat_dataset(torchtune_tokenizer(tokenizer), source="json", data_files=str(path), conversation_column="messages", conversation_style="openai", split="train")
    return [parts(tokenizer, row["tokens"], row["labels"]) for row in (at(number, data.__getitem__) for number in range(len(data)))]


def torchtune_dpo(path: Path, tokenizer) -> list[Pair]:
    from torchtune.datasets import preference_dataset

    data = preference_dataset(torchtune_tokenizer(tokenizer), source="json", data_files=str(path), split="train")
    return [both(tokenizer, at(number, data.__getitem__)) for number in range(len(data))]
