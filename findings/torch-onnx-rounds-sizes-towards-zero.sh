#!/usr/bin/env bash
# A module that pads to the next multiple, by Python's idiom for rounding up, -(-size // 8), is exported by torch.onnx
# with dynamic sizes, without a word, as a graph that rounds down: the division of sizes becomes ONNX's Div, which
# rounds towards zero, and the dividend is negative. torch.export, on which it is built, keeps it right; so does
# (size + 7) // 8 in both. Sizes that are multiples, such as those of an example, hide it. Fails once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON' || { cat "$folder/log"; exit 1; }
import onnxruntime
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import Dim


class Negated(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, (0, -(-x.shape[1] // 8) * 8 - x.shape[1]))


class Added(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, (0, (x.shape[1] + 7) // 8 * 8 - x.shape[1]))


seen = {}
for module in (Negated().eval(), Added().eval()):
    shapes = ({1: Dim("size", min=4, max=4096)},)
    exported = torch.export.export(module, (torch.zeros(1, 40),), dynamic_shapes=shapes)
    program = torch.onnx.export(module, (torch.zeros(1, 40),), dynamo=True, dynamic_shapes=shapes, verbose=False)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    name = session.get_inputs()[0].name
    rows = []
    for size in (40, 42):
        x = torch.ones(1, size)
        (made,) = session.run(None, {name: x.numpy()})
        rows.append((size, module(x).shape[1], exported.module()(x).shape[1], made.shape[1]))
    seen[type(module).__name__] = rows
print("torch", torch.__version__, "onnxruntime", onnxruntime.__version__)
print("expected: 40 stays 40 and 42 becomes 48, by whichever way: size, PyTorch, torch.export, ONNX")
for name, rows in seen.items():
    print(f"seen:     {name:8}", *rows)
right = [(40, 40, 40, 40), (42, 48, 48, 48)]
assert seen["Added"] == right, "the behaviour has changed"
assert seen["Negated"] == [right[0], (42, 48, 48, 40)], "the behaviour has changed"
PYTHON
