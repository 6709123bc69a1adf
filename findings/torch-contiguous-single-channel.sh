#!/usr/bin/env bash
# contiguous() does nothing to one channel taken of a channels_last image: a dimension of size 1 may have any stride, so
# PyTorch calls the slice contiguous in both layouts and leaves its strides as they are. Group norm goes by the strides,
# takes it for channels_last, and computes the variance as mean(x^2) - mean(x)^2 in fp32: of values around 10 with a
# deviation of 0.1 it is off by more than 0.1 at 1,000 px. What helps is a copy, clone(memory_format=
# torch.contiguous_format), or a view, contiguous().flatten().view(x.shape). Fails once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.manual_seed(0)
image = (10 + 0.1 * torch.randn(1, 3, 1000, 1000)).contiguous(memory_format=torch.channels_last)
channel = image[:, :1] * 1.0  # dense: arithmetic keeps the order of the strides
exact = F.group_norm(channel.double(), 1)
ways = {
    "contiguous()": channel.contiguous(),
    "clone(contiguous_format)": channel.clone(memory_format=torch.contiguous_format),
    "contiguous().flatten().view()": channel.contiguous().flatten().view(channel.shape),
}
seen = {name: float((F.group_norm(way, 1) - exact).abs().max()) for name, way in ways.items()}
print("torch", torch.__version__)
print("expected: all three are contiguous and within 0.001 of float64's")
for name, way in ways.items():
    print(f"seen:     {name}: contiguous {way.is_contiguous()}, strides {way.stride()}, off by {seen[name]:.2g}")
    assert way.is_contiguous() and (seen[name] > 0.1) == (name == "contiguous()"), "it has changed"
PYTHON
