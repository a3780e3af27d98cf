"""The memory of two models on one GPU."""

import json
import re
import shlex
from pathlib import Path

from kit import need, page, read

GUIDES = ("configure-multi-model-setups",)
GPU = 48
MODELS = {
    # hidden size, heads, KV heads, layers, billions of parameters, sequences, tokens, port
    "policy": (2048, 16, 2, 36, 3.09, 24, 8192, 8000),
    "judge": (3584, 28, 4, 28, 7.62, 12, 12288, 8001),
}


def files() -> dict[str, str]:
    given = {}
    for name, (hidden, heads, kv, layers, *_) in MODELS.items():
        config = {
            "architectures": ["Qwen2ForCausalLM"], "hidden_size": hidden, "num_attention_heads": heads, "num_key_value_heads": kv, "num_hidden_layers": layers,
            "max_position_embeddings": 32768, "torch_dtype": "bfloat16", "vocab_size": 151936,
        }
        given[f"{name}/config.json"] = json.dumps(config, indent=2) + "\n"
    return given


def least(name: str) -> float:
    """GiB of weights and of the cache at full load, without what the engine needs to work."""
    hidden, heads, kv, layers, billions, sequences, tokens, _ = MODELS[name]
    return (billions * 1e9 * 2 + 2 * layers * kv * (hidden / heads) * 2 * sequences * tokens) / 2**30


def commands(text: str) -> list[dict[str, str]]:
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        if not re.search(r"^[^#]*\bvllm serve\b", line):
            continue
        words = shlex.split(line, comments=True)
        words = [part for word in words[words.index("serve") + 1 :] for part in (word.split("=", 1) if word.startswith("--") else [word])]
        options = {word: words[at + 1] for at, word in enumerate(words[:-1]) if word.startswith("--")}
        found.append({"model": Path(words[0]).name, **options})
    return found


def check(folder: Path) -> None:
    found = commands(read(folder, "start.sh").decode())
    need(sorted(one["model"] for one in found) == ["judge", "policy"], "start.sh does not start policy and judge once each")
    shares = {}
    for one in found:
        name = one["model"]
        *_, sequences, tokens, port = MODELS[name]
        try:
            shares[name] = float(one["--gpu-memory-utilization"])
        except (KeyError, ValueError):
            need(False, f"{name} has no --gpu-memory-utilization")
        for option, value in (("--max-model-len", tokens), ("--max-num-seqs", sequences), ("--port", port)):
            need(one.get(option, "8000" if option == "--port" else None) == str(value), f"{name}: {option} is {one.get(option)}, {value} is wanted")
        need(shares[name] * GPU >= least(name) + 0.5, f"{name} gets {shares[name] * GPU:.1f} GiB and needs {least(name):.1f} GiB and room to work")
    need(sum(shares.values()) <= 0.95 + 1e-9, f"the shares sum to {sum(shares.values()):.2f}: the GPU has other uses for a few percent")
    need(found[0]["model"] == "judge", "the model that needs most has to start first")


def right(folder: Path) -> None:
    blocks = [f"[gpu]\nmemory_gib = {GPU}\nper_node = 1\n"]
    for name, (hidden, heads, kv, layers, billions, sequences, tokens, port) in MODELS.items():
        blocks.append(
            f'[[model]]\nname = "{name}"\nmodel = "./{name}"\ngpus = [0]\nparameters_billion = {billions}\nlayers = {layers}\nkv_heads = {kv}\n'
            f"head_dim = {hidden // heads}\ncontext_tokens = {tokens}\nsequences = {sequences}\nport = {port}\n"
        )
    (folder / "plan.toml").write_text("\n".join(blocks))
    said = page(folder, "configure-multi-model-setups/memory_worksheet.py plan.toml")
    (folder / "start.sh").write_text("\n".join(line for line in said.splitlines() if "vllm serve" in line or line.startswith("  --")) + "\n")


def _change(folder: Path, change) -> None:
    right(folder)
    path = folder / "start.sh"
    path.write_text(change(path.read_text()))


def half_and_half(folder: Path) -> None:
    _change(folder, lambda text: re.sub(r"(--gpu-memory-utilization) \S+", r"\1 0.45", text))


def the_small_one_first(folder: Path) -> None:
    _change(folder, lambda text: "\n".join(reversed(text.splitlines())) + "\n")


def all_of_the_gpu(folder: Path) -> None:
    _change(folder, lambda text: re.sub(r"(--gpu-memory-utilization) \S+", r"\1 0.60", text))


WRONG = (half_and_half, the_small_one_first, all_of_the_gpu)
