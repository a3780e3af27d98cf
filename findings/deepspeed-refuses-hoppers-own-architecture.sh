#!/bin/bash
# DeepSpeed 0.19.6: with TORCH_CUDA_ARCH_LIST=9.0a, which PyTorch accepts and Hopper's own instructions need, no CUDA operation can be built.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
"${UV:-uv}" venv -q --seed venv
# torch by pip, which may be configured for a place that has a CPU build; uv does not read pip's configuration.
venv/bin/pip install -q --disable-pip-version-check torch==2.13.0
"${UV:-uv}" pip install -q --python venv/bin/python setuptools==80.9.0 wheel==0.45.1 einops==0.8.1 hjson==3.1.0 msgpack==1.1.2 ninja==1.13.0 numpy==2.4.6 packaging==25.0 psutil==7.2.2 py-cpuinfo==9.0.0 pydantic==2.14.3 tqdm==4.70.1
# The operations are not built here: what fails is the step before, which needs neither a GPU nor nvcc.
DS_BUILD_OPS=0 DS_ACCELERATOR=cpu "${UV:-uv}" pip install -q --python venv/bin/python --no-deps --no-build-isolation deepspeed==0.19.6

cat > ask.py <<'P'
import os
from importlib.metadata import version

from deepspeed.ops.op_builder import FusedAdamBuilder
from torch.utils.cpp_extension import _get_cuda_arch_flags

print("deepspeed", version("deepspeed"), "torch", version("torch").split("+")[0])
for name in ("9.0", "9.0a"):
    os.environ["TORCH_CUDA_ARCH_LIST"] = name
    print(f"{name} PyTorch: {_get_cuda_arch_flags()[0]}")
    for way in ("installing", "at first use"):
        os.environ["TORCH_CUDA_ARCH_LIST"] = name
        builder = FusedAdamBuilder()
        builder.jit_mode = way == "at first use"
        try:
            builder.compute_capability_args()
            print(f"{name} DeepSpeed, {way}: builds for {os.environ['TORCH_CUDA_ARCH_LIST']}")
        except ValueError as error:
            print(f"{name} DeepSpeed, {way}: ValueError: {error}")
P
DS_ACCELERATOR=cuda venv/bin/python ask.py 2>/dev/null | grep -v '^\[' | tee printed.txt
echo "expected: 9.0a works as it does in PyTorch, or a message that names TORCH_CUDA_ARCH_LIST"
tail -n +2 printed.txt | diff - <(cat <<'S'
9.0 PyTorch: -gencode=arch=compute_90,code=sm_90
9.0 DeepSpeed, installing: builds for 9.0
9.0 DeepSpeed, at first use: builds for 9.0+PTX
9.0a PyTorch: -gencode=arch=compute_90a,code=sm_90a
9.0a DeepSpeed, installing: ValueError: invalid literal for int() with base 10: '0a'
9.0a DeepSpeed, at first use: ValueError: invalid literal for int() with base 10: '0a'
S
)
echo "seen: an error about a number '0a'; 9.0 works"
