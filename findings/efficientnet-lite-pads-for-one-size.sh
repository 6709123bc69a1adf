#!/usr/bin/env bash
# efficientnet-lite-pytorch pads every image as if it had the size that the network was trained at (224 px for Lite0):
# it takes any size, but TensorFlow's "same" padding, which it stands for, depends on the size. Of odd sizes its maps are
# a pixel short where the stride is 2, and lie half a stride off. Fails once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6 efficientnet-lite-pytorch==0.1.0
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import torch
import torch.nn.functional as F
from efficientnet_lite_pytorch import EfficientNet

torch.manual_seed(0)
stem = EfficientNet.from_name("efficientnet-lite0").eval()._conv_stem
seen = {}
with torch.no_grad():
    for side in (224, 225, 256, 299):
        image = torch.rand(1, 3, side, side)
        extra = max((-(-side // 2) - 1) * 2 + 3 - side, 0)  # TensorFlow's rule for a kernel of 3 and a stride of 2
        padded = F.pad(image, (extra // 2, extra - extra // 2) * 2)
        same, found = F.conv2d(padded, stem.weight, stride=2), stem(image)
        equal = same.shape == found.shape and bool(torch.allclose(same, found, atol=1e-5))
        seen[side] = (same.shape[-1], found.shape[-1], equal)
print("torch", torch.__version__, "efficientnet-lite-pytorch 0.1.0")
print("expected: the map that TensorFlow's padding gives, of any size")
print("seen:     side: (pixels of that map, pixels of the package's, equal)", seen)
assert seen[224] == (112, 112, True) and seen[256] == (128, 128, True), "it has changed"
assert seen[225] == (113, 112, False) and seen[299] == (150, 149, False), "it has changed"
PYTHON
