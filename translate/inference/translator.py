"""Images in, images out: a network with everything that happens before and after it.

Conventions: a PIL image gives a PIL image; a NumPy array [H, W] or [H, W, C] (uint8, uint16, or floats in [0, 1]) gives
an array of the same kind; a tensor [C, H, W] or [N, C, H, W] (uint8, or floats in [0, 1]) gives a tensor of the same
kind. Images and integer arrays are converted to the network's channels; floats and tensors must have them already.
Weights that were trained on measured values or bands take and give arrays and images in the units of their files.
Any size from 1x1 up: the input is padded by reflection to what the network needs (replication where it is too small
to reflect), and the output is cropped back. Alpha goes around the network, unless the network was trained with it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypedDict, Unpack, overload

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from translate.blocks.colour import coloured, luma
from translate.config.base import ConfigError
from translate.config.encoding import Encoding
from translate.config.errors import TranslateError
from translate.config.networks import ConditionalResNetConfig, ResNetConfig, UNetConfig
from translate.config.training import Noise, Precision
from translate.config.weights import WeightsConfig
from translate.data.batches import crop
from translate.data.images import ImageError, Picture, from_pil, shown, to_pil
from translate.data.ranges import find_range
from translate.data.store import Format, fitted_size, resize, to_format
from translate.data.style_images import LEAST
from translate.data.values import count_of, decoded, encoded, sampled
from translate.inference.device import autocast, choose_device, choose_precision
from translate.inference.onnx import OnnxNetwork, cpu_and_fp32
from translate.inference.styles import check_strength, mixed_code
from translate.networks import ConditionalResNet, Generator, ResNetGenerator
from translate.networks.modes import evaluating


class InferenceError(TranslateError, ValueError):
    """An image that cannot be translated; the message says what was wrong and what to give."""


_OTHER_KINDS = {
    "discriminator": ", which scores images and generates none",
    "segmenter": ", which names the class of each pixel",
    "classifier": ", which names the class of an image",
    "anomaly": ", which scores images (translate anomaly score)",
    "generator": ", which generates images from latents (translate sample)",
    "autoencoder": ", which reconstructs images (translate reconstruct)",
}


def a_kind(noun: str) -> str:
    """A noun with its article; of a kind of weights, too."""
    noun = "anomaly detector" if noun == "anomaly" else noun
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


# What PyTorch says when memory is short: CUDA and MPS, Linux and macOS, Windows; and what onnxruntime says.
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "failed to allocate memory", "bad_alloc")


def pad_to(images: Tensor, *, multiple: int, minimum: int) -> Tensor:
    """Pad [N, C, H, W] at the bottom and right to a multiple, and to a least size.

    By reflection without repeating the border; a side too short to reflect is replicated instead.
    """
    for axis in (-1, -2):
        length = images.shape[axis]
        target = -(-max(length, minimum) // multiple) * multiple
        extra = target - length
        if extra:
            mode = "reflect" if extra < length else "replicate"
            images = F.pad(images, (0, extra, 0, 0) if axis == -1 else (0, 0, 0, extra), mode=mode)
    return images


@torch.inference_mode()
def run_network(
    network: nn.Module,
    images: Tensor,
    *,
    noise: Noise = "training",
    seed: int = 0,
    code: Tensor | None = None,
    precision: Precision = "fp32",
) -> Tensor:
    """A generator's output for a batch of any size; what training's previews and the translator both call.

    Args:
        network: A `Generator`.
        images: [N, C, H, W] in the network's value range, on its device.
        noise: ``always`` keeps dropout on, drawn from `seed`.
        seed: Of the dropout; without effect otherwise. The caller's random state is left as it was.
        code: [N, D] or [1, D], of a network that takes style codes; the mean one unless given.
        precision: Of the arithmetic.

    Returns:
        float32 [N, C_out, H, W].
    """
    assert isinstance(network, Generator)
    height, width = images.shape[-2:]
    padded = pad_to(images, multiple=network.stride, minimum=network.minimum_size)
    dropouts = [module for module in network.modules() if isinstance(module, nn.Dropout)] if noise == "always" else []
    devices = [images.device] if images.is_cuda else []
    random = torch.random.fork_rng(devices=devices, enabled=bool(dropouts))
    with evaluating(network), random, autocast(precision, images.device):
        if dropouts:
            _seed(images.device, seed)
            for dropout in dropouts:
                dropout.train()
        output = network(padded) if code is None else network(padded, code.expand(len(padded), -1))
    return output[..., :height, :width].float()


def random_code(style: int, *, seed: int) -> Tensor:
    """The code that a seed stands for, on every machine: [1, D] on the CPU."""
    return torch.randn(1, style, generator=torch.Generator().manual_seed(seed), device="cpu")


@torch.inference_mode()
def example_code(network: nn.Module, examples: Tensor, *, precision: Precision = "fp32") -> Tensor:
    """The (mean) code of examples [N, C_out, H, W] in the network's value range, on its device: float32 [N, D]."""
    assert isinstance(network, ResNetGenerator | ConditionalResNet | OnnxNetwork)
    with autocast(precision, examples.device):
        found = network.encode_style(examples)
    return (found if isinstance(found, Tensor) else found[0]).float()


def _seed(device: torch.device, seed: int) -> None:
    """Seed the generator of one device; `torch.manual_seed` would seed those of all."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


class Options(TypedDict, total=False):
    """How an image is translated, as `Translator.__call__` explains."""

    seed: int
    code: Tensor | None
    style: str | Mapping[str, float] | Image.Image | None
    strength: float
    keep_colours: bool


class Translator:
    """A generator and what its weights say of it; may be called from several threads, which take turns.

    Args:
        network: Built from ``config.network``.
        config: What the weights say.
        device: cuda, mps, cpu or auto; a network from ONNX is on the CPU.
        precision: auto takes bf16 where the device is fast at it; a network from ONNX computes in fp32.

    Attributes:
        network: The ``nn.Module``.
        config: The `WeightsConfig`.
        source: How the numbers of its inputs are read; None for plain grey or RGB.
        target: How the numbers of what it makes are written; None for plain grey or RGB.

    Raises:
        InferenceError: the weights are not a translator's.
        DeviceError: this machine, or a network from ONNX, does not have the device or precision.
    """

    def __init__(
        self,
        network: nn.Module,
        config: WeightsConfig,
        *,
        device: str = "auto",
        precision: Precision = "auto",
    ) -> None:
        if config.kind != "translator" or not isinstance(
            config.network, ResNetConfig | UNetConfig | ConditionalResNetConfig
        ):
            raise InferenceError(
                f"'{config.name}' holds {a_kind(config.kind)}{_OTHER_KINDS.get(config.kind, '')}: "
                "translating needs the weights of a translator"
            )
        if isinstance(network, OnnxNetwork):
            device, precision = cpu_and_fp32(device, precision)
        self.device = choose_device(device)
        self.precision = choose_precision(precision, self.device)
        # As in training, so that a preview and its weights are the same arithmetic.
        layout = torch.channels_last if self.device.type == "cuda" else torch.contiguous_format
        self.network = network.to(self.device).to(memory_format=layout)
        self.config = config
        low, high = config.preprocessing.value_range
        self._low, self._span = low, high - low
        self._channels = config.network.in_channels, config.network.out_channels
        self.source = config.preprocessing.source
        self.target = config.preprocessing.target
        self._check_source()
        self._turn = threading.Lock()  # dropout and its generator belong to one call at a time

    def read_as(self, source: Encoding) -> None:
        """Read the numbers of inputs otherwise than the weights say.

        Raises:
            InferenceError: the network takes other channels.
        """
        self.source = source
        self._check_source()

    @property
    def takes_ids(self) -> bool:
        """Whether its inputs are class ids, as one-hot classes."""
        return self.source is not None and self.source.labels > 0

    def _check_source(self) -> None:
        """Refuse an encoding of other channels than the network's."""
        given = self.source
        channels = 0 if given is None else given.labels or len(given.bands)
        if channels not in (0, self._channels[0]):
            what = f"{channels} classes" if given is not None and given.labels else f"{channels} bands"
            raise InferenceError(f"'{self.config.name}' takes {self._channels[0]} channels, and {what} were requested")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_turn"}  # a lock cannot be copied

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._turn = threading.Lock()

    def __repr__(self) -> str:
        domains = self.config.domains
        return f"Translator('{self.config.name}', {domains.source} -> {domains.target}, {self.device})"

    @overload
    def __call__(self, image: Image.Image, **options: Unpack[Options]) -> Image.Image: ...
    @overload
    def __call__(self, image: np.ndarray, **options: Unpack[Options]) -> np.ndarray: ...
    @overload
    def __call__(self, image: Tensor, **options: Unpack[Options]) -> Tensor: ...
    def __call__(
        self,
        image: Any,
        *,
        seed: int = 0,
        code: Tensor | None = None,
        style: str | Mapping[str, float] | Image.Image | None = None,
        strength: float = 1.0,
        keep_colours: bool = False,
    ) -> Any:
        """Translate one image (or a tensor batch); see the top of this file for kinds and ranges.

        Args:
            image: A PIL image, a NumPy array, or a tensor.
            seed: Of the dropout, for weights whose noise is ``always``; of the style code, for weights that take one.
            code: A style code [1, D] in place of a drawn one, such as that of an example (`reference_code`).
            style: Of weights with named `styles`, one of these, or several by their weights: ``{"red-fuji": 0.7,
                "low-tide": 0.3}``; the first unless given. Of weights for any style, an image.
            strength: Of that style: 1 as learned, 0 for hardly any.
            keep_colours: Take the colours of the image, and only the luma of what is made.

        Raises:
            InferenceError: another kind, shape or range, an image too large for memory, or a code that does not fit.
            ConfigError: a style or strength that there is not.
        """
        if style is not None or strength != 1.0:
            code = self.style_code(style, strength=strength)
        if isinstance(image, Image.Image):
            if 0 in image.size:
                raise InferenceError(f"expected an image with pixels, not one of {image.width}x{image.height}")
            return to_pil(self.apply([from_pil(image)], seed=seed, code=code, keep_colours=keep_colours)[0])
        if isinstance(image, np.ndarray):
            return self._array(image, seed=seed, code=code, keep_colours=keep_colours)
        if isinstance(image, Tensor):
            return self._tensor(image, seed=seed, code=code, keep_colours=keep_colours)
        raise InferenceError(f"expected a PIL image, a NumPy array or a tensor, not {type(image).__name__}")

    @property
    def style(self) -> int:
        """Numbers of a style code; 0 where the weights take none, as those of ONNX do not without named styles."""
        if (codes := self._network.named_codes) is not None:
            return codes.shape[1]
        if isinstance(self.config.network, ConditionalResNetConfig):
            return self.config.network.code
        return 0 if isinstance(self.network, OnnxNetwork) else getattr(self.config.network, "style", 0)

    @property
    def styles(self) -> tuple[str, ...]:
        """Names of the styles that the weights have codes of."""
        return self.config.styles if self._network.named_codes is not None else ()

    @property
    def any_style(self) -> bool:
        """Whether the weights paint in the style of any image."""
        return isinstance(self.config.network, ConditionalResNetConfig) and self.config.network.style_size > 0

    def style_code(
        self, style: str | Mapping[str, float] | Image.Image | Picture | None = None, *, strength: float = 1.0
    ) -> Tensor:
        """The code [1, D] of a named style, or of several by their weights, the first unless given; or of an image.

        Raises:
            ConfigError: a style or strength that there is not, or weights without styles.
            InferenceError: the weights know named styles only, or the image is too small.
        """
        if isinstance(style, Image.Image | Picture):
            check_strength(strength)
            return strength * self.reference_code(style)
        codes = self._network.named_codes
        if style is not None and not isinstance(style, str | Mapping):
            raise InferenceError(f"a style is a name, shares of names, or a PIL image, not {type(style).__name__}")
        if codes is None and self.any_style:
            raise ConfigError(f"'{self.config.name}' has no named styles: give an image of one (--style-image FILE)")
        if codes is None:
            raise ConfigError(f"'{self.config.name}' has no styles: leave the style and its strength out")
        return mixed_code(codes.detach().float().cpu(), self.styles, style or self.styles[0], strength=strength)

    @property
    def _network(self) -> Generator:
        assert isinstance(self.network, Generator)
        return self.network

    def reference_code(self, example: Image.Image | Picture) -> Tensor:
        """The style code of an example of what is made, [1, D]: of its middle square, at the size of the training; of
        the whole example, for weights that paint in the style of any image.

        Raises:
            InferenceError: the weights take no style codes, or are ONNX, which has no encoder; or the example is too
                small to show a style.
        """
        if self.styles:
            raise InferenceError(f"'{self.config.name}' has named styles and no style encoder: give --style")
        if isinstance(self.network, OnnxNetwork) and not self.any_style:
            raise InferenceError(f"'{self.config.name}' is ONNX without the style encoder: use the .safetensors file")
        if not self.style:
            raise InferenceError(f"'{self.config.name}' takes no style code: it was trained without --style-dim")
        picture = from_pil(example) if isinstance(example, Image.Image) else example
        network = self.config.network
        whole = isinstance(network, ConditionalResNetConfig)
        if whole and min(picture.size) < LEAST:
            width, height = picture.size
            raise InferenceError(
                f"{width}x{height} is too small to show a style: give an image of at least {LEAST} px per side"
            )
        side = network.style_size if isinstance(network, ConditionalResNetConfig) else self.config.preprocessing.size
        width, height = fitted_size(*picture.size, side=side, fit="cover")
        kind = Format(channels=self._channels[1], bits=picture.bits, encoding=self.target)
        pixels = resize(to_format(picture, kind), width=width, height=height)
        if whole:  # of a panorama, the middle
            pixels = pixels[:, (width - min(width, 4 * side)) // 2 :][:, : 4 * side]
            pixels = pixels[(height - min(height, 4 * side)) // 2 :][: 4 * side]
        else:
            pixels = crop(pixels, size=side, left=0.5, top=0.5)
        unit = torch.from_numpy(pixels.astype(np.float32) / np.iinfo(pixels.dtype).max).permute(2, 0, 1)[None]
        with self._turn:
            images = unit.to(self.device) * self._span + self._low
            return example_code(self.network, images, precision=self.precision).cpu()

    def _code(self, code: Tensor | None, *, seed: int) -> Tensor | None:
        """The code given, or the one of a seed; None where there is none to give."""
        if code is None and (self.styles or self.any_style):
            return self.style_code()
        if code is None:
            return random_code(self.style, seed=seed) if self.style else None
        if not self.style:
            raise InferenceError(f"'{self.config.name}' takes no style code")
        if code.shape != (1, self.style):
            raise InferenceError(f"'{self.config.name}' takes a code [1, {self.style}], not {list(code.shape)}")
        return code

    def apply(
        self,
        pictures: Sequence[Picture],
        *,
        seed: int = 0,
        code: Tensor | None = None,
        keep_colours: bool = False,
    ) -> list[Picture]:
        """Translate pictures of equal size in one batch, keeping each one's alpha, depth, units and colour profile.

        Raises:
            InferenceError: a picture has other channels than the network takes, or memory runs out.
        """
        encodings = [self._encoding(picture) for picture in pictures]
        try:
            scaled = np.stack([self._scaled(*both) for both in zip(pictures, encodings, strict=True)])
        except ImageError as error:
            raise InferenceError(f"the image {error}") from None
        images = torch.from_numpy(scaled).permute(0, 3, 1, 2)
        outputs = self.apply_tensor(images, seed=seed, code=code, keep_colours=keep_colours).permute(0, 2, 3, 1).numpy()
        return [
            self._picture(output, like=picture, encoding=encoding)
            for output, picture, encoding in zip(outputs, pictures, encodings, strict=True)
        ]

    def _encoding(self, picture: Picture) -> Encoding | None:
        """How the numbers of a picture are read: as the weights say, or else what its own values are."""
        if self.source is not None or not picture.bands:
            return self.source
        dtype: Any = picture.pixels.dtype.name
        if dtype in ("uint8", "uint16"):
            return Encoding(dtype=dtype)
        return Encoding(dtype=dtype, values=picture.values or find_range([sampled(picture)]).values)

    def _scaled(self, picture: Picture, encoding: Encoding | None) -> np.ndarray:
        """A picture as the network takes it, float32 [H, W, C] in [0, 1]."""
        channels = self._channels[0]
        if encoding is not None:
            known = self.source is not None or picture.channels == channels
            if known or picture.channels not in (1, 3) or channels > 4:
                return encoded(picture, encoding, channels=channels)
            picture = shown(picture, encoding.values)  # grey for RGB, and the other way round
        if channels > 4:
            raise ImageError(
                f"has {count_of(picture.channels)}, and '{self.config.name}' takes {channels}: give as many bands, or "
                "class ids with --labels"
            )
        # Each at its own depth, whatever depth the weights were trained at: v / 255 is 257 v / 65535 to the last bit.
        pixels = to_format(picture, Format(channels=channels, bits=picture.bits))
        return pixels.astype(np.float32) / np.iinfo(pixels.dtype).max

    def apply_tensor(
        self, images: Tensor, *, seed: int = 0, code: Tensor | None = None, keep_colours: bool = False
    ) -> Tensor:
        """Translate float32 [N, C_in, H, W] in [0, 1] to float32 [N, C_out, H, W] in [0, 1] on the CPU.

        Raises:
            InferenceError: memory runs out, the code does not fit, or there are no colours to keep.
        """
        if keep_colours and self._channels != (3, 3):
            raise InferenceError(f"'{self.config.name}' does not translate RGB to RGB: there are no colours to keep")
        code = self._code(code, seed=seed)
        try:
            # In one layout, since dropout draws in the order in which values lie in memory.
            scaled = images.to(self.device, torch.float32).contiguous() * self._span + self._low
            with self._turn:
                if self.config.noise == "always":  # noise is drawn for each image alone, whatever its batch
                    rows = [
                        run_network(self.network, row, noise="always", seed=seed, precision=self.precision)
                        for row in scaled.split(1)
                    ]
                    output = torch.cat(rows)
                else:
                    own = None if code is None else code.to(self.device, torch.float32)
                    output = run_network(self.network, scaled, code=own, precision=self.precision)
        except RuntimeError as error:  # torch.OutOfMemoryError among them
            if any(words in str(error).lower() for words in _NO_MEMORY):
                size = f"{images.shape[-1]}x{images.shape[-2]}"
                raise InferenceError(f"{size} is too large for the memory of {self.device}: make it smaller") from None
            raise
        made = ((output - self._low) / self._span).clamp_(0, 1).cpu()
        if keep_colours:
            photo = images.to(made.device, torch.float32)
            made = ((coloured(luma(made) * 2 - 1, photo * 2 - 1) + 1) / 2).clamp_(0, 1)
        return made

    def _picture(self, output: np.ndarray, *, like: Picture, encoding: Encoding | None) -> Picture:
        if self.target is not None:
            return decoded(output, self.target, like=like)
        known = self.config.preprocessing.source is not None
        if like.bands and not like.ids and encoding is not None and not known and output.shape[-1] == like.channels:
            own: Any = like.pixels.dtype.name
            return decoded(output, replace(encoding, dtype=own), like=like)  # weights that know no units: the input's
        if output.shape[-1] > 4:
            return decoded(output, Encoding(dtype="uint16" if like.bits == 16 else "uint8"), like=like)
        top = 65535 if like.bits == 16 else 255
        pixels = np.rint(output * top).astype(np.uint16 if like.bits == 16 else np.uint8)
        around = self._channels[0] not in (2, 4)  # a network that was given the alpha has used it
        if like.alpha is not None and around and pixels.shape[-1] in (1, 3):
            pixels = np.concatenate([pixels, like.alpha], axis=-1)
        result = Picture(pixels=pixels, icc_profile=like.icc_profile)
        fits = result.colour.shape == like.colour.shape  # a grey profile does not describe RGB
        return result if fits else replace(result, icc_profile=None)

    def _array(self, image: np.ndarray, **options: Any) -> np.ndarray:
        pixels = image[..., None] if image.ndim == 2 else image
        if pixels.ndim != 3 or 0 in pixels.shape:
            raise InferenceError(f"expected an array [H, W] or [H, W, C], not {list(image.shape)}")
        plain = self.source is None and pixels.shape[-1] <= 4
        if (pixels.dtype.kind in "ui" and not plain) or (pixels.dtype.kind in "uif" and self.source is not None):
            output = self.apply([Picture(pixels=pixels, bands=True)], **options)[0].pixels
        elif pixels.dtype in (np.uint8, np.uint16):
            output = self.apply([Picture(pixels=pixels)], **options)[0].pixels
        elif np.issubdtype(pixels.dtype, np.floating):
            images = torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.float32)).permute(2, 0, 1)
            output = self._tensor(images, **options).permute(1, 2, 0).numpy().astype(pixels.dtype)
        else:
            raise InferenceError(f"expected uint8, uint16 or floats in [0, 1], not {image.dtype}")
        return output[..., 0] if image.ndim == 2 and output.shape[-1] == 1 else output

    def _tensor(self, image: Tensor, **options: Any) -> Tensor:
        if image.ndim not in (3, 4) or 0 in image.shape:
            raise InferenceError(f"expected a tensor [C, H, W] or [N, C, H, W], not {list(image.shape)}")
        if image.dtype != torch.uint8 and not image.is_floating_point():
            raise InferenceError(f"expected uint8 or floats in [0, 1], not {image.dtype}")
        images = image[None] if image.ndim == 3 else image
        wanted = self._channels[0]
        if images.shape[1] != wanted:
            raise InferenceError(f"'{self.config.name}' takes {wanted} channels, and this has {images.shape[1]}")
        if image.dtype == torch.uint8:
            images = images.float() / 255
        elif not bool(((images >= 0) & (images <= 1)).all()):
            low, high = float(images.min()), float(images.max())
            raise InferenceError(f"expected floats in [0, 1], found {low:g} to {high:g}: scale the image first")
        output = self.apply_tensor(images, **options)
        output = (output * 255).round().to(torch.uint8) if image.dtype == torch.uint8 else output.to(image.dtype)
        output = output.to(image.device)
        return output[0] if image.ndim == 3 else output
