"""One self-describing ONNX file, in fp32 and for images of any size and number, checked against its network.

It is for onnxruntime: `translate apply model.onnx`, a browser, a phone. The graph pads images to what the network needs
and crops its output, as `pad_to` and `run_network` do, so that any height and width will do. Their values are in
[-1, 1] (or ``value_range``): the file's description says so, and its metadata hold the same JSON as those of
safetensors.
Shapes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.checkpoint.atomic import written_beside
from translate.checkpoint.files import METADATA_KEY
from translate.checkpoint.weights import load_weights
from translate.config.base import to_dict
from translate.config.networks import ConditionalResNetConfig, GeneratorConfig
from translate.config.style_transfer import LEAST_STYLE
from translate.config.weights import WeightsConfig
from translate.export.exported import Exported, ExportError, source_file
from translate.export.operators import as_operators
from translate.inference.errors import a_kind
from translate.inference.onnx import load_onnx
from translate.inference.onnx_file import (
    ANY_SIDES,
    CODES,
    EXAMPLES,
    INPUT,
    INSTALL,
    NOISE_KEY,
    ONNX_SUFFIX,
    OUTPUT,
    SIDES_KEY,
    STYLES,
    NoiseInput,
    encoder_beside,
)
from translate.inference.running import example_code, run_network
from translate.networks import ConditionalResNet, Generator

TOLERANCE = 1e-4  # of a range of 2: an eightieth of a step of 8 bits; sums in another order differ by a tenth of it
MAX_BYTES = 2 * 10**9  # what one ONNX file can hold
CHECKED_SIZE = 256  # the side of the largest images of the check, in pixels

_Inputs = dict[str, tuple[Tensor, tuple[str | int, ...]]]  # by name, each with what its shape is in general


class _GivenNoise(nn.Module):
    """A network whose dropouts multiply by what they are given, in the order in which the network comes to them."""

    def __init__(self, network: Generator) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, *noise: Tensor) -> Tensor:
        waiting = iter(noise)

        def multiply(dropout: nn.Module, given: Any, output: Tensor) -> Tensor:
            return output * next(waiting)

        hooks = [dropout.register_forward_hook(multiply) for dropout in _dropouts(self.network)]
        try:
            return self.network(images)
        finally:
            for hook in hooks:
                hook.remove()


class _ByStyles(nn.Module):
    """A network with named styles that takes the share of each in place of a code."""

    def __init__(self, network: Generator) -> None:
        super().__init__()
        assert network.named_codes is not None
        self.network, self.codes = network, network.named_codes

    def forward(self, images: Tensor, styles: Tensor) -> Tensor:
        return self.network(images, styles @ self.codes)


class _Encoder(nn.Module):
    """The part of a network for the style of any image that finds it."""

    def __init__(self, network: ConditionalResNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, examples: Tensor) -> Tensor:
        return self.network.encode_style(examples)


def _dropouts(network: nn.Module) -> list[nn.Dropout]:
    """Those that drop anything while they are on."""
    return [module for module in network.modules() if isinstance(module, nn.Dropout) and module.p > 0]


def export_onnx(source: Path, target: Path, *, name: str | None = None) -> Exported:
    """Write a translator or segmenter as ONNX, then let onnxruntime compute it and compare outputs at seven sizes.

    Args:
        source: A weights folder, a run folder or a file.
        target: An ``.onnx`` file.
        name: What the weights are called from now on; as before unless given.

    Raises:
        WeightsError: the source cannot be opened.
        ExportError: a library is not installed; the weights are not a translator's or segmenter's, or more than one
            file can hold; the target is the source itself or no ``.onnx`` file; or an output differs from the network's
            by more than 1e-4, and nothing is kept.
        WriteError: the target cannot be written.
    """
    if target.suffix.lower() != ONNX_SUFFIX:
        raise ExportError(f"{target}: ONNX is one file, so give a name that ends in {ONNX_SUFFIX}")
    _require_libraries()
    network, config = load_weights(source_file(source, destination=target))
    if not isinstance(config.network, GeneratorConfig | ConditionalResNetConfig):
        raise ExportError(
            f"'{config.name}' holds {a_kind(config.kind)}: translators and segmenters are exported to ONNX, "
            f"{a_kind(config.kind)} stays a .safetensors file"
        )
    assert isinstance(network, Generator)
    config = config if name is None else replace(config, name=name)
    size = sum(tensor.nbytes for tensor in network.state_dict().values())
    if size > MAX_BYTES:
        raise ExportError(
            f"'{config.name}' has {size / 1e9:.1f} GB of weights, and one ONNX file holds {MAX_BYTES / 1e9:.1f} GB: "
            "keep the .safetensors file"
        )
    from onnxscript import ir

    model, encoder = _onnx_model(network, config), _onnx_encoder(network, config)
    others = {} if encoder is None else {encoder_beside(target): encoder}
    with ExitStack() as stack:
        beside, *more = (stack.enter_context(written_beside(file)) for file in (target, *others))
        for file, one in zip((beside, *more), (model, *others.values()), strict=True):
            ir.save(one, file)
        mean, highest = _check(network, config, beside, encoder=more[0] if more else None)
    return Exported(
        file=target,
        others=tuple(others),
        file_bytes=sum(file.stat().st_size for file in (target, *others)),
        mean_difference=mean,
        max_difference=highest,
    )


def _require_libraries() -> None:
    for library in ("onnx", "onnxscript", "onnxruntime"):
        try:
            import_module(library)
        except ModuleNotFoundError:
            raise ExportError(f"exporting ONNX needs {library}: {INSTALL}") from None


def _onnx_model(network: Generator, config: WeightsConfig) -> Any:
    """The network as onnxscript's ``ir.Model``, described."""
    assert isinstance(config.network, GeneratorConfig | ConditionalResNetConfig)
    noise = _noise_inputs(network, config) if config.noise == "always" else []
    # Twice the least size: padding of a single pixel, at the innermost level too, goes another way.
    height = 2 * network.minimum_size
    width = height + network.stride
    channels = config.network.in_channels
    inputs: _Inputs = {INPUT: (torch.zeros(2, channels, height, width), ("batch", channels, "height", "width"))}
    module: nn.Module = _GivenNoise(network).eval() if noise else network
    for one in noise:
        example = torch.ones(2, one.channels, height // one.stride, width // one.stride)
        inputs[one.name] = example, ("batch", one.channels, f"{one.name}_height", f"{one.name}_width")
    if isinstance(config.network, ConditionalResNetConfig):
        named = config.network.num_styles
        module = _ByStyles(network).eval() if named else network
        length = named or config.network.code
        inputs[STYLES if named else CODES] = torch.ones(2, length), ("batch", length)
    model = _exported(module, config, inputs, output=OUTPUT)
    _pad_and_crop(model.graph, network, channels=config.network.out_channels)
    model.graph.name = config.name
    model.doc_string = _description(network, config, noise)
    model.metadata_props[METADATA_KEY] = json.dumps(to_dict(config))
    model.metadata_props[SIDES_KEY] = ANY_SIDES
    if noise:
        model.metadata_props[NOISE_KEY] = json.dumps([to_dict(one) for one in noise])
    return model


def _onnx_encoder(network: Generator, config: WeightsConfig) -> Any:
    """What finds the style of any image, as another; None where there is no such part."""
    if not isinstance(network, ConditionalResNet) or network.named_codes is not None:
        return None
    side = network.config.style_size
    inputs: _Inputs = {EXAMPLES: (torch.zeros(2, 3, side, side + side // 4), ("batch", 3, "height", "width"))}
    model = _exported(_Encoder(network).eval(), config, inputs, output=CODES)
    model.graph.name = f"{config.name}.encoder"
    low, high = config.preprocessing.value_range
    model.doc_string = (
        f"The codes of styles, for {config.name}; written by translate.\n"
        f"{EXAMPLES}: [N, 3, H, W], values from {low:g} to {high:g}; the shorter side is to be {side} pixels.\n"
        f"{CODES}: [N, {network.config.code}]; a number from 0 to 1.5 times that is a strength."
    )
    return model


def _exported(module: nn.Module, config: WeightsConfig, inputs: _Inputs, *, output: str) -> Any:
    """A module as ``ir.Model``, traced at the size of its inputs; its graph is for any.

    Args:
        module: What is called with the inputs.
        config: For a message.
        inputs: By name.
        output: Its name.

    Raises:
        ExportError: PyTorch cannot write it.
    """
    from onnxscript import ir
    from onnxscript.ir.passes.common import ClearMetadataAndDocStringPass

    with warnings.catch_warnings(), as_operators(module):
        warnings.simplefilter("ignore")  # of what changes in PyTorch's exporter from release to release
        try:
            program = torch.onnx.export(
                module,
                tuple(example for example, _ in inputs.values()),
                dynamo=True,
                input_names=list(inputs),
                output_names=[output],
                optimize=False,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise ExportError(
                f"PyTorch {torch.__version__} cannot write the {config.network.type} '{config.name}' as ONNX: "
                "update torch and onnxscript, or keep the .safetensors file"
            ) from error
        assert program is not None
        model = program.model
        # Before it is simplified, which may take known sizes for constants.
        _forget_shapes(model.graph)
        for value, (_, shape) in zip(model.graph.inputs, inputs.values(), strict=True):
            value.shape = ir.Shape(shape)
        program.optimize()
    ClearMetadataAndDocStringPass()(model)  # each node has the traceback of where it was made, with the machine's paths
    return model


def _forget_shapes(graph: Any) -> None:
    """Of all that its nodes make."""
    for node in graph:
        for value in node.outputs:
            value.shape = None


def _pad_and_crop(graph: Any, network: Generator, *, channels: int) -> None:
    """Put what `pad_to` does in front of a network's graph, and its crop behind it.

    Of each side, the pixels are gathered by their numbers: up to the last one, then back from it (reflected), or the
    last one again where a side is too short for that.
    """
    from onnxscript import ir

    def constant(to: Any, *values: int) -> Any:
        return to.op("Constant", [], {"value_ints": list(values)} if len(values) > 1 else {"value_int": values[0]})

    (images, *_), (output,) = graph.inputs, graph.outputs
    users, front, back = list(images.uses()), ir.tape.Tape(), ir.tape.Tape()
    zero, one = constant(front, 0), constant(front, 1)
    multiple, least = constant(front, network.stride), constant(front, network.minimum_size)
    padded = images
    for axis in (2, 3):
        side = front.op("Squeeze", [front.op("Shape", [images], {"start": axis, "end": axis + 1})])
        last = front.op("Sub", [side, one])
        steps = front.op("Div", [front.op("Sub", [front.op("Max", [side, least]), one]), multiple])
        target = front.op("Mul", [front.op("Add", [steps, one]), multiple])
        numbers = front.op("Range", [zero, target, one])
        reflected = front.op("Sub", [last, front.op("Abs", [front.op("Sub", [numbers, last])])])
        repeated = front.op("Min", [numbers, last])
        fits = front.op("Less", [front.op("Sub", [target, side]), side])
        padded = front.op("Gather", [padded, front.op("Where", [fits, reflected, repeated])], {"axis": axis})
    sides = back.op("Shape", [images], {"start": 2, "end": 4})
    cropped = back.op("Slice", [output, constant(back, 0, 0), sides, constant(back, 2, 3)])
    for node, index in users:
        node.replace_input_with(index, padded)
    _forget_shapes(graph)  # which are in terms of the network's own height and width
    cropped.name, output.name = OUTPUT, f"{OUTPUT}_padded"
    cropped.type, cropped.shape = output.type, ir.Shape(["batch", channels, "height", "width"])
    graph.insert_before(graph[0], front.nodes)
    graph.extend(back.nodes)
    graph.outputs[0] = cropped


@torch.inference_mode()
def _noise_inputs(network: Generator, config: WeightsConfig) -> list[NoiseInput]:
    """An input for each dropout, in the order in which the network comes to them; it is run to see."""
    side = network.minimum_size
    found: list[NoiseInput] = []

    def note(dropout: nn.Module, given: Any, output: Tensor) -> None:
        assert isinstance(dropout, nn.Dropout)
        found.append(
            NoiseInput(
                name=f"noise_{len(found)}",
                probability=dropout.p,
                channels=output.shape[1],
                stride=side // output.shape[-1],
                channels_last=not output.is_contiguous(),
            )
        )

    hooks = [dropout.register_forward_hook(note) for dropout in _dropouts(network)]
    network(torch.zeros(1, config.network.in_channels, side, side))
    for hook in hooks:
        hook.remove()
    return found


def _description(network: Generator, config: WeightsConfig, noise: Sequence[NoiseInput]) -> str:
    """What somebody who has nothing but the file needs to know."""
    assert isinstance(config.network, GeneratorConfig | ConditionalResNetConfig)
    low, high = config.preprocessing.value_range
    logits = f", the logits of {', '.join(config.classes)}" if config.classes else ""
    lines = [
        f"{config.domains.source} to {config.domains.target}, written by translate.",
        f"{INPUT}: [N, {config.network.in_channels}, H, W], values from {low:g} to {high:g}, H and W 1 or more.",
        f"{OUTPUT}: [N, {config.network.out_channels}, H, W]{logits}.",
    ]
    if config.styles:
        lines.append(
            f"{STYLES}: [N, {len(config.styles)}], the share of each of {', '.join(config.styles)}; they add up to 1, "
            "or to less for more of the image itself."
        )
    if isinstance(config.network, ConditionalResNetConfig) and not config.styles:
        lines.append(f"{CODES}: [N, {config.network.code}], what the encoder in the file beside this one finds.")
    lines += [
        f"{one.name}: [N, {one.channels}, P / {one.stride}, Q / {one.stride}], 0 with probability {one.probability:g}, "
        f"else {1 / (1 - one.probability):g}; all 1 for no noise."
        for one in noise
    ]
    if noise:
        lines.append(f"P and Q: H and W, at least {network.minimum_size}, rounded up to multiples of {network.stride}.")
    return "\n".join(lines)


def _check(
    network: Generator, config: WeightsConfig, file: Path, *, encoder: Path | None = None
) -> tuple[float, float]:
    """Mean and highest difference of the file's outputs from the network's.

    Raises:
        ExportError: the highest is above the tolerance.
    """
    exported, _ = load_onnx(file, encoder=encoder)
    random = torch.Generator().manual_seed(0)
    low, high = config.preprocessing.value_range
    means, highest, wrong = [], [], []
    for number, height, width in _checked_shapes(network, config):
        # Not flat: instance norm enlarges whatever rounding leaves of a flat image.
        images = torch.rand(number, config.network.in_channels, height, width, generator=random) * (high - low) + low
        shares = torch.rand(1, len(config.styles), generator=random) if config.styles else None
        codes = [
            None if shares is None or one.named_codes is None else shares @ one.named_codes
            for one in (network, exported)
        ]
        pairs: list[tuple[Tensor, Tensor]] = []
        if encoder is not None:
            assert isinstance(network, ConditionalResNet)
            # Soft spots: noise is so unlike any image that codes, and with them rounding, would be a hundredfold.
            spots = torch.rand(1, 3, 6, 6, generator=random) * 2 - 1
            example = F.interpolate(spots, (LEAST_STYLE + 16 * number, LEAST_STYLE + 11), mode="bicubic").clamp(-1, 1)
            code = example_code(network, example)
            codes = [code, code]  # their own difference is not that of the outputs
            pairs.append((code, example_code(exported, example)))
        expected, found = (
            run_network(one, images, noise=config.noise, seed=number, code=code)
            for one, code in zip((network, exported), codes, strict=True)
        )
        # Logits and codes are as large as they like; images are at most 1.
        pairs.append((expected, found))
        differences = [(first - second).abs() / first.abs().max().clamp(min=1.0) for first, second in pairs]
        means.append(float(differences[-1].mean()))
        highest.append(max(float(difference.max()) for difference in differences))
        if not highest[-1] <= TOLERANCE:
            wrong.append(f"{highest[-1]:.2g} for {number} of {width}x{height}")
    if wrong:
        raise ExportError(
            f"onnxruntime's output differs from the network's by more than {TOLERANCE:g}: {'; '.join(wrong)}. "
            "Nothing was kept: update torch, onnxscript and onnxruntime, or keep the .safetensors file"
        )
    return sum(means) / len(means), max(highest)


def _checked_shapes(network: Generator, config: WeightsConfig) -> list[tuple[int, int, int]]:
    """Numbers of images with their height and width; some are no multiples of the stride, or too small to reflect."""
    least, step = network.minimum_size, network.stride
    side = max(least, min(config.preprocessing.size, CHECKED_SIZE))
    return [
        (1, side, side),
        (2, least, least + step),
        (3, least + step, least),
        (1, side // 2 + 1, side + 3),
        (2, least + 2 * step, side),
        (1, 37, 53),
        (1, 1, 1),
    ]
