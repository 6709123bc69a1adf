"""Files of ONNX and what they say of themselves: onnxruntime and NumPy, without PyTorch.

A file says what it holds as safetensors do, by the same JSON under the same key of its metadata. Shapes: N batch, C
channels, H height, W width.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Lt

from translate.checkpoint.files import METADATA_KEY, WeightsError
from translate.checkpoint.formats import recognise
from translate.config.base import Config, ConfigError, from_dict
from translate.config.networks import ConditionalResNetConfig, GeneratorConfig
from translate.config.training import Precision
from translate.config.weights import weights_config
from translate.inference.errors import DeviceError
from translate.inference.threads import threads_of_process

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


class OnnxFile:
    """A network of images that `translate export --format onnx` wrote, opened by onnxruntime.

    Args:
        path: The file; it is read again by copies of this.
        encoder: The file of what finds styles, where that is not the one beside it.
        threads: Of onnxruntime; a thread for each core that this process may use, or OMP_NUM_THREADS, unless given.

    Attributes:
        path: As given.
        config: The `WeightsConfig`.
        noise: Its inputs beside the images, one for each dropout that stays on.
        any_sides: Whether the graph pads and crops by itself.

    Raises:
        WeightsError: torn, not written by translate, of another format version or kind, other inputs or outputs than
            the network that it describes, or onnxruntime is not installed.
    """

    def __init__(self, path: Path, *, encoder: Path | None = None, threads: int | None = None) -> None:
        self.path, self.threads = path, threads or threads_of_process()
        self._encoder_path, self._encoder = encoder or encoder_beside(path), None
        self._session, metadata = _opened(path, threads=self.threads)
        if METADATA_KEY not in metadata:
            raise WeightsError(
                f"{path} does not record its network: it was not written by translate. "
                "Only what `translate export WEIGHTS --format onnx` writes can be opened"
            )
        try:
            self.config = weights_config(json.loads(metadata[METADATA_KEY]))
            self.noise = from_dict(_NoiseInputs, {"inputs": json.loads(metadata.get(NOISE_KEY, "[]"))}).inputs
        except (json.JSONDecodeError, ConfigError) as error:
            raise WeightsError(f"{path}: {error}") from None
        self.any_sides = metadata.get(SIDES_KEY) == ANY_SIDES
        network = self.config.network
        if not isinstance(network, GeneratorConfig | ConditionalResNetConfig):
            raise WeightsError(f"{path} holds a {self.config.kind}: only translators and segmenters are run from ONNX")
        styles: dict[str, int] = {}
        if isinstance(network, ConditionalResNetConfig):
            styles = {STYLES: network.num_styles} if network.num_styles else {CODES: network.code}
        expected = {
            INPUT: network.in_channels,
            **styles,
            **{one.name: one.channels for one in self.noise},
            OUTPUT: network.out_channels,
        }
        values = (*self._session.get_inputs(), *self._session.get_outputs())
        found = {value.name: value.shape[1] if len(value.shape) in (2, 4) else None for value in values}
        if found != expected:
            raise WeightsError(
                f"{path} does not fit the {network.type} that it describes: its channels are {_listed(found)}, "
                f"expected {_listed(expected)}. Export it again"
            )
        self.code_input = next(iter(styles), None)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_session": None, "_encoder": None}  # a session cannot be copied

    def __setstate__(self, state: dict[str, Any]) -> None:
        session, _ = _opened(state["path"], threads=state["threads"])
        vars(self).update({**state, "_session": session})

    def run(
        self, images: np.ndarray, *, code: np.ndarray | None = None, noise: Mapping[str, np.ndarray] | None = None
    ) -> np.ndarray:
        """Translate.

        Args:
            images: float32 [N, C_in, H, W] in [-1, 1].
            code: float32 [N, K] or [N, D], of a network that takes styles.
            noise: What each dropout that stays on multiplies by.

        Returns:
            float32 [N, C_out, H, W].
        """
        number, _, height, width = images.shape
        values = {INPUT: images, **(noise or {})}
        if self.code_input is not None:
            assert code is not None
            values[self.code_input] = code
        large = number * height * width > KEPT_PIXELS
        return _run(self._session, OUTPUT, values, _giving_memory_back() if large else None)

    def encode_style(self, images: np.ndarray) -> np.ndarray:
        """The codes of the styles of images, by the encoder beside this file: [N, 3, H, W] in [-1, 1] -> [N, D].

        Raises:
            WeightsError: it is not there, or no ONNX file.
        """
        if self._encoder is None:
            if not self._encoder_path.is_file():
                raise WeightsError(
                    f"{self.path} needs the style encoder {self._encoder_path.name}, which is not beside it: "
                    "copy it there, or export again"
                )
            self._encoder, _ = _opened(self._encoder_path, threads=self.threads)
        return _run(self._encoder, CODES, {EXAMPLES: images}, None)


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


def _run(session: Any, output: str, values: dict[str, np.ndarray], options: Any) -> np.ndarray:
    try:
        (made,) = session.run([output], values, options)
    except Exception as error:  # onnxruntime's errors have no base of their own
        raise RuntimeError(f"onnxruntime: {error}") from None
    return np.asarray(made)


def _opened(file: Path, *, threads: int) -> tuple[Any, dict[str, str]]:
    """An ``onnxruntime.InferenceSession``, and the metadata of the file."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise WeightsError(f"{file} needs onnxruntime: {INSTALL}") from None
    onnxruntime.disable_telemetry_events()  # on by default on Windows
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
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
