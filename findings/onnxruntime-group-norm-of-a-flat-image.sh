#!/usr/bin/env bash
# onnxruntime on a CPU gives NaN for GroupNormalization of an image of one colour, where the answer is 0: it takes the
# variance as mean(x^2) - mean(x)^2, which rounds to less than -epsilon. Of a sky (100.3, deviation 0.1) the outputs
# are off by 0.1 and more. InstanceNormalization, the same by definition here, has neither. Fails once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper

CHANNELS, SIDE = 4, 64


def run(operator: str, images: np.ndarray, **attributes: int) -> np.ndarray:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, images.shape)
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, images.shape)
    ones, zeros = (helper.make_tensor(n, TensorProto.FLOAT, [CHANNELS], [v] * CHANNELS) for n, v in (("s", 1.0), ("b", 0.0)))
    node = helper.make_node(operator, ["x", "s", "b"], ["y"], epsilon=1e-5, **attributes)
    graph = helper.make_graph([node], "g", [value], [output], [ones, zeros])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": images})[0]


flat = np.full((1, CHANNELS, SIDE, SIDE), 100.3, np.float32)
sky = (100.3 + 0.1 * np.random.default_rng(0).standard_normal(flat.shape)).astype(np.float32)
wide = sky.astype(np.float64)
exact = (wide - wide.mean((2, 3), keepdims=True)) / np.sqrt(wide.var((2, 3), keepdims=True) + 1e-5)
group, instance = (lambda x: run("GroupNormalization", x, num_groups=CHANNELS)), (lambda x: run("InstanceNormalization", x))
errors = {name: float(np.abs(made(sky) - exact).max()) for name, made in (("group", group), ("instance", instance))}
print("onnxruntime", onnxruntime.__version__)
print("expected: of one colour 0 everywhere, of a sky what float64 gives, to 0.001; for both operators")
print("seen:     group norm of one colour:", np.unique(group(flat)), "; largest errors of a sky:", errors)
assert np.isnan(group(flat)).all() and errors["group"] > 0.05 > 0.001 > errors["instance"], "the behaviour has changed"
PYTHON
