"""Networks in ONNX, run by onnxruntime on the CPU, where they are often faster than in PyTorch.

The file says what it holds as safetensors do, by the same JSON under the same key of its metadata, so that everything
around the network stays the translator's. Arithmetic is fp32. ONNX knows no seed: weights that keep their dropout on
(noise ``always``) have an input for the noise of each dropout. It is drawn here, by PyTorch's own dropout, so that a
seed gives the picture that it gives from safetensors. Shapes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn

from translate.checkpoint.formats import recognise
from translate.checkpoint.weights import METADATA_KEY, WeightsError
from translate.config.base import Config, ConfigError, from_dict
from translate.config.networks import ConditionalResNetConfig, GeneratorConfig
from translate.config.training import Precision
from translate.config.weights import WeightsConfig, weights_config
from translate.inference.device import DeviceError
from translate.networks import Generator, build_network

ONNX_SUFFIX = ".onnx"
INPUT, OUTPUT = "images", "output"
STYLES = "styles"  # input of networks with named styles: the share of each, times its strength
CODES = "codes"  # input of networks for the style of any image: what the encoder beside them found
EXAMPLES = "style_images"  # input of that encoder
NOISE_KEY = f"{METADATA_KEY}.noise"  # the noise inputs in the metadata, where there are any
SIDES_KEY, ANY_SIDES = f"{METADATA_KEY}.sides", "any"  # of a graph that pads and crops; older ones are padded for
INSTALL = "pip install 'image-translate[onnx]'"
KEPT_PIXELS = 2**20  # above this onnxruntime gives its memory back after each run: 17 megapixels would hold 5 GB


def is_onnx(file: Path) -> bool:
    """Whether a file goes by the name of ONNX."""
    return file.suffix.lower() == ONNX_SUFFIX


def encoder_beside(file: Path) -> Path:
    """The file of the encoder that finds styles for a network: ``any-style.onnx`` -> ``any-style.encoder.onnx``."""
    return file.with_suffix(f".encoder{ONNX_SUFFIX}")


@dataclass(frozen=True, kw_only=True)
class NoiseInput(Config):
    """What a dropout that stays on multiplies by: 0, or 1 / (1 - probability).

    [N, C, H / stride, W / stride], of the height and width that the network pads images to.
    """

    name: str
    probability: Annotated[float, Gt(0.0), Lt(1.0)]
    channels: Annotated[int, Ge(1)]
    stride: Annotated[int, Ge(1)]
    channels_last: bool
    """How the values lie in memory in PyTorch, whose dropout draws in that order."""


@dataclass(frozen=True, kw_only=True)
class _NoiseInputs(Config):
    inputs: tuple[NoiseInput, ...]


class OnnxNetwork(Generator):
    """A generator (or segmenter) that onnxruntime computes, in fp32, on as many threads as PyTorch has.

    Args:
        file: What it was read from, to be read again by a copy of this network.
        session: The opened file.
        config: What the file says.
        noise: Its inputs beside the images, one for each dropout that stays on.
        any_sides: Whether the graph pads and crops by itself.
        encoder: The file of what finds the code of a style, of a network for the style of any image.

    Raises:
        WeightsError: the graph has other inputs or outputs than the network that `config` describes.
    """

    def __init__(
        self,
        file: Path,
        session: Any,
        config: WeightsConfig,
        *,
        noise: Sequence[NoiseInput] = (),
        any_sides: bool = False,
        encoder: Path | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(config.network, GeneratorConfig | ConditionalResNetConfig):
            raise WeightsError(f"{file} holds a {config.kind}: only translators and segmenters are run from ONNX")
        with torch.device("meta"):
            described = build_network(config.network)
        assert isinstance(described, Generator)
        self.config = config.network
        self._step, self._least = described.stride, described.minimum_size
        self.stride, self.minimum_size = (1, 1) if any_sides else (self._step, self._least)
        self.reach = None if noise else described.reach
        self._noise = tuple(noise)
        self.dropouts = nn.ModuleList(nn.Dropout(one.probability) for one in noise)
        self._file, self._session = file, session
        self._codes: Tensor | None = None
        self._encoder_file, self._encoder = encoder or encoder_beside(file), None
        styles = {}
        if isinstance(config.network, ConditionalResNetConfig) and config.network.num_styles:
            self._codes = torch.eye(config.network.num_styles)
            styles = {STYLES: config.network.num_styles}
        elif isinstance(config.network, ConditionalResNetConfig):
            styles = {CODES: config.network.code}
        expected = {
            INPUT: config.network.in_channels,
            **styles,
            **{one.name: one.channels for one in noise},
            OUTPUT: config.network.out_channels,
        }
        values = (*session.get_inputs(), *session.get_outputs())
        found = {value.name: value.shape[1] if len(value.shape) in (2, 4) else None for value in values}
        if found != expected:
            raise WeightsError(
                f"{file} does not fit the {config.network.type} that it describes: its channels are {_listed(found)}, "
                f"expected {_listed(expected)}. Export it again"
            )

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_session": None, "_encoder": None}  # a session cannot be copied

    def __setstate__(self, state: dict[str, Any]) -> None:
        session, _ = _open(state["_file"])
        super().__setstate__({**state, "_session": session})

    @property
    def step(self) -> int:
        """The stride of the network in the graph, which may pad by itself."""
        return self._step

    @property
    def named_codes(self) -> Tensor | None:
        """[K, K]: one share each."""
        return self._codes

    def forward(self, images: Tensor, codes: Tensor | None = None) -> Tensor:
        """Translate.

        Args:
            images: [N, C_in, H, W] in [-1, 1], on the CPU.
            codes: [N, K], of a network with named styles: the share of each; the first alone unless given. Of one for
                the style of any image what `encode_style` found, of the images themselves unless given: [N, D].

        Returns:
            [N, C_out, H, W].
        """
        number, _, height, width = images.shape
        tall, wide = (-(-max(side, self._least) // self._step) * self._step for side in (height, width))
        values = {INPUT: images}
        if self._codes is not None:
            values[STYLES] = self._codes[:1].expand(number, -1) if codes is None else codes
        elif isinstance(self.config, ConditionalResNetConfig):
            values[CODES] = self.encode_style(images) if codes is None else codes
        for one, dropout in zip(self._noise, self.dropouts, strict=True):
            layout = torch.channels_last if one.channels_last else torch.contiguous_format
            shape = number, one.channels, tall // one.stride, wide // one.stride
            values[one.name] = dropout(torch.ones(shape).contiguous(memory_format=layout))
        return _run(
            self._session, OUTPUT, values, _giving_memory_back() if number * height * width > KEPT_PIXELS else None
        )

    def encode_style(self, images: Tensor) -> Tensor:
        """The codes of the styles of images, by the encoder beside this file: [N, 3, H, W] in [-1, 1] -> [N, D].

        Raises:
            WeightsError: it is not there, or no ONNX file.
        """
        if self._encoder is None:
            if not self._encoder_file.is_file():
                raise WeightsError(
                    f"{self._file} needs the style encoder {self._encoder_file.name}, which is not beside it: "
                    "copy it there, or export again"
                )
            self._encoder, _ = _open(self._encoder_file)
        return _run(self._encoder, CODES, {EXAMPLES: images}, None)


def _run(session: Any, output: str, values: dict[str, Tensor], options: Any) -> Tensor:
    arrays = {name: value.numpy(force=True) for name, value in values.items()}
    try:
        (made,) = session.run([output], arrays, options)
    except Exception as error:  # onnxruntime's errors have no base of their own
        raise RuntimeError(f"onnxruntime: {error}") from None
    return torch.from_numpy(made)


def load_onnx(file: Path, *, encoder: Path | None = None) -> tuple[OnnxNetwork, WeightsConfig]:
    """Open a network that `translate export --format onnx` wrote.

    Args:
        file: Of the network.
        encoder: Of what finds styles, where that is not the file beside it.

    Raises:
        WeightsError: torn, not written by translate, of another format version, or onnxruntime is not installed.
    """
    session, metadata = _open(file)
    if METADATA_KEY not in metadata:
        raise WeightsError(
            f"{file} does not record its network: it was not written by translate. "
            "Only what `translate export WEIGHTS --format onnx` writes can be opened"
        )
    try:
        config = weights_config(json.loads(metadata[METADATA_KEY]))
        noise = from_dict(_NoiseInputs, {"inputs": json.loads(metadata.get(NOISE_KEY, "[]"))}).inputs
    except (json.JSONDecodeError, ConfigError) as error:
        raise WeightsError(f"{file}: {error}") from None
    any_sides = metadata.get(SIDES_KEY) == ANY_SIDES
    return OnnxNetwork(file, session, config, noise=noise, any_sides=any_sides, encoder=encoder), config


def cpu_and_fp32(device: str, precision: Precision) -> tuple[str, Precision]:
    """What ONNX is run on and in, where nothing else was asked for.

    Raises:
        DeviceError: something else was asked for.
    """
    if device not in ("auto", "cpu"):
        raise DeviceError(f"ONNX runs on the CPU, not on {device}: omit --device, or use the safetensors file")
    if precision not in ("auto", "fp32"):
        raise DeviceError(f"ONNX runs in fp32, not in {precision}: omit --precision, or use the safetensors file")
    return "cpu", "fp32"


def _open(file: Path) -> tuple[Any, dict[str, str]]:
    """An ``onnxruntime.InferenceSession``, and the metadata of the file."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise WeightsError(f"{file} needs onnxruntime: {INSTALL}") from None
    onnxruntime.disable_telemetry_events()  # on by default on Windows
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # what goes wrong is raised as well
    try:
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        return session, session.get_modelmeta().custom_metadata_map
    except Exception as error:  # onnxruntime's errors have no base of their own
        if file.is_file() and (found := recognise(file)) is not None and found.kind != "onnx":
            raise WeightsError(f"{file} is {found}") from None
        reason = str(error).partition("failed:")[2] or str(error)
        raise WeightsError(f"{file} is a broken ONNX file ({reason.rstrip('.')}): copy or export it again") from None


def _giving_memory_back() -> Any:
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _listed(channels: dict[str, Any]) -> str:
    return ", ".join(f"{name} {number}" for name, number in channels.items())
