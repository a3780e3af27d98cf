"""Plan the memory of several models on one or more GPUs, and print the commands that start them, in order.

    python memory_worksheet.py PLAN.toml

The plan names the GPUs and, for each model, the numbers of its config.json. Per GPU of a model:
  weights   = parameters x bytes per weight / (tensor parallel x pipeline parallel)
  KV cache  = tokens x 2 (keys, values) x layers x KV heads x head size x bytes per value, split over the same GPUs
  needed    = weights + KV cache + working memory (activations, graphs; vLLM measures it when it starts)
  share     = needed / memory of the GPU, for --gpu-memory-utilization
Memory is in GiB (2**30 bytes). Exit code: 0 everything fits, 1 a GPU is too small, 2 bad input.
"""

from __future__ import annotations

import argparse
import math
import shlex
import sys
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

GIB = 2**30
HEADROOM = 0.05  # of a GPU: its driver and each process need some, and free memory must cover a share when its server starts


class BadInput(Exception):
    """Something the reader can put right; shown as one line."""


@dataclass
class Model:
    """One model of the plan: where it runs, what its config.json says, what it has to hold at a time."""

    name: str
    model: str
    gpus: list  # numbers of GPUs, counted over the nodes
    parameters_billion: float
    layers: int  # num_hidden_layers
    kv_heads: int  # num_key_value_heads
    head_dim: int  # head_dim, or hidden_size / num_attention_heads
    context_tokens: int  # prompt and answer of one sequence
    sequences: int  # at the same time, on one replica
    port: int
    weight_bytes: float = 2.0  # bfloat16; 1 for 8 bits, 0.5 for 4 bits
    kv_bytes: float = 2.0
    working_gib: float = 2.0
    tensor_parallel: int = 1
    pipeline_parallel: int = 1

    @property
    def replicas(self) -> int:
        """Data parallel: how many copies the GPUs hold."""
        return len(self.gpus) // (self.tensor_parallel * self.pipeline_parallel)

    def weights(self) -> float:
        """Bytes per GPU."""
        return self.parameters_billion * 1e9 * self.weight_bytes / (self.tensor_parallel * self.pipeline_parallel)

    def kv_per_token(self) -> float:
        """Bytes per GPU for one token. A GPU keeps at least one whole KV head, so heads are copied where GPUs outnumber them."""
        layers = math.ceil(self.layers / self.pipeline_parallel)
        return 2 * layers * max(1, self.kv_heads / self.tensor_parallel) * self.head_dim * self.kv_bytes

    def kv_cache(self) -> float:
        """Bytes per GPU for all sequences at full length."""
        return self.kv_per_token() * self.context_tokens * self.sequences

    def share(self, gpu_bytes: float) -> float:
        """Of the memory of a GPU, rounded up to a whole percent."""
        return math.ceil(100 * (self.weights() + self.kv_cache() + self.working_gib * GIB) / gpu_bytes - 1e-9) / 100


def read_plan(path: Path) -> tuple[float, int, list[Model]]:
    """(GiB per GPU, GPUs per node, models)."""
    try:
        plan = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"Cannot read {path}: {error.strerror}. Check the path.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is no TOML: {error}.") from None
    machines, blocks = plan.get("gpu"), plan.get("model")
    if not isinstance(machines, dict) or not isinstance(blocks, list) or not blocks:
        raise BadInput(f"{path} needs a [gpu] block and a [[model]] block for each model.")
    numbers = [machines.get(key, 1 if key == "nodes" else None) for key in ("memory_gib", "per_node", "nodes")]
    if not all(isinstance(number, (int, float)) and number > 0 for number in numbers):
        raise BadInput(f"{path}: [gpu] needs memory_gib and per_node, above 0.")
    memory, per_node, nodes = float(numbers[0]), int(numbers[1]), int(numbers[2])
    models = [model_of(block, path, per_node, per_node * nodes) for block in blocks]
    ports = [(node, model.port) for model in models for node in {gpu // per_node for gpu in model.gpus}]
    if len({model.name for model in models}) < len(models) or len(set(ports)) < len(ports):
        raise BadInput(f"{path}: two models have the same name, or the same port on one node.")
    return memory, per_node, models


def model_of(block: dict, path: Path, per_node: int, gpus: int) -> Model:
    name = block.get("name", "a model without a name")
    try:
        model = Model(**block)
    except TypeError as error:
        raise BadInput(f"{path}: {name}: {str(error).removeprefix('Model.__init__() ')}.") from None
    for key in fields(Model):
        value = getattr(model, key.name)
        if key.type in ("int", "float") and not (isinstance(value, (int, float)) and value > 0):
            raise BadInput(f"{path}: {name}: {key.name} must be a number above 0.")
    group = model.tensor_parallel * model.pipeline_parallel
    if not isinstance(model.gpus, list) or not model.gpus or not all(isinstance(gpu, int) and 0 <= gpu < gpus for gpu in model.gpus):
        raise BadInput(f"{path}: {name}: gpus must be a list of numbers from 0 to {gpus - 1}.")
    if len(set(model.gpus)) % group or len(set(model.gpus)) < len(model.gpus):
        raise BadInput(f"{path}: {name}: {len(model.gpus)} GPUs are no multiple of tensor x pipeline parallel, {group}.")
    if model.kv_heads % model.tensor_parallel and model.tensor_parallel % model.kv_heads:
        raise BadInput(f"{path}: {name}: {model.kv_heads} KV heads cannot be split over {model.tensor_parallel} GPUs.")
    return model


def commands(model: Model, share: float, per_node: int) -> list[str]:
    """One server per node: a router in front of several nodes is one more thing that can fail."""
    by_node: dict[int, list[int]] = {}
    for gpu in model.gpus:
        by_node.setdefault(gpu // per_node, []).append(gpu % per_node)
    group = model.tensor_parallel * model.pipeline_parallel
    lines = []
    for node, local in by_node.items():
        if len(local) % group:
            lines.append(f"# {model.name}: one copy spans nodes; see vLLM's guide to several nodes")
            continue
        options = {
            "--port": model.port, "--gpu-memory-utilization": f"{share:.2f}", "--max-model-len": model.context_tokens,
            "--max-num-seqs": model.sequences, "--tensor-parallel-size": model.tensor_parallel,
            "--pipeline-parallel-size": model.pipeline_parallel, "--data-parallel-size": len(local) // group,
        }
        port, *more = [f"{option} {value}" for option, value in options.items() if value != 1]
        where = f"# node {node}\n" if len(by_node) > 1 or node else ""
        lines.append(f"{where}CUDA_VISIBLE_DEVICES={','.join(map(str, local))} vllm serve {shlex.quote(model.model)} {port} \\\n  {' '.join(more)}")
    return lines


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path, metavar="PLAN.toml", help="GPUs and models, as in one_gpu.toml")
    args = parser.parse_args(argv)
    try:
        memory, per_node, models = read_plan(args.plan)
    except BadInput as error:
        print(f"memory_worksheet.py: {error}", file=sys.stderr)
        return 2
    gpu_bytes = memory * GIB
    report = [f"{'GiB per GPU':<14}{'weights':>9}{'KV cache':>10}{'working':>9}{'needed':>8}{'share':>7}{'KiB/token':>11}{'replicas':>10}"]
    for model in models:
        parts = model.weights() / GIB, model.kv_cache() / GIB, model.working_gib
        report.append(
            f"{model.name:<14}{parts[0]:>9.1f}{parts[1]:>10.1f}{parts[2]:>9.1f}{sum(parts):>8.1f}{model.share(gpu_bytes):>7.2f}"
            f"{model.kv_per_token() / 1024:>11.1f}{model.replicas:>10}"
        )
    loads: dict[int, float] = {}
    for model in models:
        for gpu in model.gpus:
            loads[gpu] = loads.get(gpu, 0.0) + model.share(gpu_bytes)
    full = {gpu: load for gpu, load in sorted(loads.items()) if load > 1 - HEADROOM + 1e-9}
    for gpu, load in full.items():
        report.append(f"GPU {gpu}: shares of {load:.2f} are more than {1 - HEADROOM:.2f}. Fewer sequences, a shorter context, 8-bit weights, or one more GPU.")
    if not full:
        report.append("Everything fits. Start one after the other, each when the last answers at /health:")
        for model in sorted(models, key=lambda model: -model.share(gpu_bytes)):
            report += commands(model, model.share(gpu_bytes), per_node)
    # One write: a reader such as `head` may be gone before a second one.
    print("\n".join(report) + "\n", end="")
    return 1 if full else 0


if __name__ == "__main__":
    sys.exit(main())
