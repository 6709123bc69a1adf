#!/usr/bin/env bash
# Building a network under torch.device("meta"), which is done to have its names and shapes at no cost, imports
# torch._dynamo, PyTorch's compiler, where a layer draws or divides its weights: nn.Embedding does, nn.Conv2d does not.
# So does torch.utils.flop_counter on the CPU, from the first padding or flattening on. It takes longer than most networks
# take to load, and a tenth of a gigabyte. In-place arithmetic does not. Fails once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6
cat >"$folder/one.py" <<'PYTHON'
import sys
import time

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

began = time.perf_counter()
if sys.argv[1] in ("count", "run"):
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect"), nn.Flatten())
    if sys.argv[1] == "run":
        network(torch.zeros(1, 3, 8, 8))
    else:
        with FlopCounterMode(display=False):
            network(torch.zeros(1, 3, 8, 8))
else:
    with torch.device("meta"):
        exec(sys.argv[1])
print(int("torch._dynamo" in sys.modules), f"{time.perf_counter() - began:.2f}")
PYTHON
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import subprocess
import sys

import torch

expected = {
    "nn.Conv2d(3, 8, 3)": False,
    "nn.Embedding(10, 4)": True,
    "torch.randn(4) / 2": True,
    "torch.randn(4).div_(2)": False,
    "torch.empty(4).normal_()": True,
    "run": False,
    "count": True,
}
print("torch", torch.__version__, "; run and count: a padded convolution on the CPU, without and with FlopCounterMode")
print("expected: none of them needs the compiler")
for code, imported in expected.items():
    command = [sys.executable, "-W", "ignore", f"{sys.argv[1]}/one.py", code]
    found, seconds = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    print(f"seen:     {code:28} torch._dynamo imported: {bool(int(found))!s:6} {seconds} s")
    assert bool(int(found)) == imported, "it has changed"
PYTHON
