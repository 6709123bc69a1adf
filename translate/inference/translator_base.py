"""Everything around a network that translates: the numbers it takes of an image, and the image of those it makes.

Without PyTorch, so that a network in ONNX is used without it.

Shapes: H height, W width, C channels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from translate.config.base import ConfigError
from translate.config.encoding import Encoding
from translate.config.networks import ConditionalResNetConfig, ResNetConfig, UNetConfig
from translate.config.style_transfer import LEAST_STYLE
from translate.config.training import Precision
from translate.config.weights import WeightsConfig
from translate.data.images import ImageError, Picture, shown
from translate.data.ranges import find_range
from translate.data.store import Format, crop, fitted_size, resize, to_format
from translate.data.values import count_of, decoded, encoded, sampled
from translate.inference.errors import InferenceError, a_kind

_OTHER_KINDS = {
    "discriminator": ", which scores images and generates none",
    "segmenter": ", which names the class of each pixel",
    "classifier": ", which names the class of an image",
    "anomaly": ", which scores images (translate anomaly score)",
    "generator": ", which generates images from latents (translate sample)",
    "autoencoder": ", which reconstructs images (translate reconstruct)",
}

TILES_FROM = 2**20
"""Pixels of an image: larger ones are made in tiles, which overlap but save memory."""
Tile = Literal["auto", "off"] | int
"""Whether large images are made in parts, or the side of a tile or the rows of a strip in pixels."""
UNCHANGED = 2**-22
"""Of a range of 1: what float32 leaves of a value that goes to a network's range and back."""


def quantised(values: np.ndarray, *, bits: int) -> np.ndarray:
    """Values in [0, 1] as integers of 8 or 16 bits."""
    return np.rint(values * (65535 if bits == 16 else 255)).astype(np.uint16 if bits == 16 else np.uint8)


# What PyTorch says when memory is short: CUDA and MPS, Linux and macOS, Windows; and what onnxruntime says.
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "failed to allocate memory", "bad_alloc")


@contextmanager
def enough_memory(width: int, height: int, device: object) -> Iterator[None]:
    """Say in our words that memory ran out, as an InferenceError."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError among them
        if isinstance(error, MemoryError) or any(words in str(error).lower() for words in _NO_MEMORY):
            raise InferenceError(f"{width}x{height} is too large for the memory of {device}: make it smaller") from None
        raise


class TranslatorBase(ABC):
    """A network that translates, as its weights describe it.

    Args:
        config: What the weights say.

    Attributes:
        config: The `WeightsConfig`.
        source: How the numbers of its inputs are read; None for plain grey or RGB.
        target: How the numbers of what it makes are written; None for plain grey or RGB.
        device: A `torch.device`, or "cpu".
        precision: fp32, bf16 or fp16.

    Raises:
        InferenceError: the weights are not a translator's.
    """

    device: Any
    precision: Precision

    def __init__(self, config: WeightsConfig) -> None:
        if config.kind != "translator" or not isinstance(
            config.network, ResNetConfig | UNetConfig | ConditionalResNetConfig
        ):
            raise InferenceError(
                f"'{config.name}' holds {a_kind(config.kind)}{_OTHER_KINDS.get(config.kind, '')}: "
                "translating needs the weights of a translator"
            )
        self.config = config
        low, high = config.preprocessing.value_range
        self._low, self._span = low, high - low
        self._channels = config.network.in_channels, config.network.out_channels
        self.source = config.preprocessing.source
        self.target = config.preprocessing.target
        self._check_source()

    @property
    def setting(self) -> str:
        """What it computes in and on, such as "bf16 on the CPU"."""
        device = str(self.device)
        return f"{self.precision} on {'the CPU' if device == 'cpu' else device}"

    @abstractmethod
    def apply(
        self,
        pictures: Sequence[Picture],
        *,
        seed: int = 0,
        code: Any = None,
        keep_colours: bool = False,
        tile: Tile = "auto",
    ) -> list[Picture]:
        """Translate pictures of equal size in one batch, keeping each one's alpha, depth, units and colour profile.

        Args:
            pictures: Of one size.
            seed: Of the dropout, for weights whose noise is ``always``; of the style code, for weights that take one.
            code: A style code [1, D] in place of a drawn one, as `style_code` returns it.
            keep_colours: Take the colours of each picture, and only the luma of what is made.
            tile: Whether large images are made in parts.

        Raises:
            InferenceError: a picture has other channels than the network takes, a tile that is too small, or memory
                runs out.
        """

    @abstractmethod
    def apply_in_rows(
        self,
        read: Callable[[int, int], Picture],
        *,
        width: int,
        height: int,
        bits: int,
        seed: int = 0,
        code: Any = None,
        keep_colours: bool = False,
        tile: Tile = "auto",
    ) -> Iterator[Picture]:
        """Translate one grey or colour image in parts without ever holding it or what is made of it.

        Args:
            read: Its rows from one to before another, some of them several times.
            width: In pixels.
            height: Likewise.
            bits: Of each channel, 8 or 16.
            seed: As of `apply`, and so the rest.

        Yields:
            The rows of what is made, from top to bottom.

        Raises:
            InferenceError: as `apply`.
        """

    @abstractmethod
    def in_parts(self, width: int, height: int, *, tile: Tile = "auto") -> bool:
        """Whether an image of this size, in pixels, is made in parts.

        Raises:
            InferenceError: the tile is too small, or the network, one of ONNX, only takes whole images.
        """

    batch_pixels = 2**20
    """Of all images in one pass; larger images go alone."""

    @property
    def threads(self) -> int:
        """Of the computation: as many copies of this translator may be used side by side, each on one of them."""
        return 1

    def use_threads(self, count: int) -> None:
        """From now on compute on so many threads in the calling thread, and in threads that start later."""
        assert count == self.threads == 1, "this translator has one thread"

    @property
    @abstractmethod
    def style(self) -> int:
        """Length of a style code; 0 where the weights take none."""

    @property
    def styles(self) -> tuple[str, ...]:
        """Names of the styles that the weights have codes of."""
        network = self.config.network
        return self.config.styles if isinstance(network, ConditionalResNetConfig) and network.num_styles else ()

    @property
    def any_style(self) -> bool:
        """Whether the weights paint in the style of any image."""
        return isinstance(self.config.network, ConditionalResNetConfig) and self.config.network.style_size > 0

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

    def _check_code(self, code: Any) -> None:
        """Refuse a style code, an array or tensor, of another shape than [1, D], or for weights that take none."""
        if code is not None and not self.style:
            raise InferenceError(f"'{self.config.name}' takes no style code")
        if code is not None and tuple(code.shape) != (1, self.style):
            raise InferenceError(f"'{self.config.name}' takes a code [1, {self.style}], not {list(code.shape)}")

    def _check_named(self) -> None:
        """Refuse weights without named styles."""
        if not self.styles and self.any_style:
            raise ConfigError(f"'{self.config.name}' has no named styles: give an image of one (--style-image FILE)")
        if not self.styles:
            raise ConfigError(f"'{self.config.name}' has no styles: leave the style and its strength out")

    def _example(self, picture: Picture) -> np.ndarray:
        """What an encoder of styles sees of an example, float32 [H, W, C] in [0, 1].

        Raises:
            InferenceError: the weights take no examples, or this is too small to show a style.
        """
        if self.styles:
            raise InferenceError(f"'{self.config.name}' has named styles and no style encoder: give --style")
        network = self.config.network
        if not self.style and isinstance(network, ResNetConfig) and network.style:
            raise InferenceError(f"'{self.config.name}' is ONNX without the style encoder: use the .safetensors file")
        if not self.style:
            raise InferenceError(f"'{self.config.name}' takes no style code: it was trained without --style-dim")
        whole = isinstance(network, ConditionalResNetConfig)
        if whole and min(picture.size) < LEAST_STYLE:
            width, height = picture.size
            raise InferenceError(
                f"{width}x{height} is too small to show a style: give an image of at least {LEAST_STYLE} px per side"
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
        return pixels.astype(np.float32) / np.iinfo(pixels.dtype).max

    def _picture(self, output: np.ndarray, *, like: Picture, encoding: Encoding | None, seen: np.ndarray) -> Picture:
        if self.target is not None:
            return decoded(output, self.target, like=like)
        known = self.config.preprocessing.source is not None
        if like.bands and not like.ids and encoding is not None and not known and output.shape[-1] == like.channels:
            own: Any = like.pixels.dtype.name
            made = decoded(output, replace(encoding, dtype=own), like=like)  # weights that know no units: the input's
            if seen.shape != output.shape:
                return made
            # A float that went to [0, 1] and back has lost digits; where the network changed nothing, it is the same.
            unchanged = np.abs(output - seen) <= UNCHANGED
            return replace(made, pixels=np.where(unchanged, like.pixels, made.pixels))
        if output.shape[-1] > 4:
            return decoded(output, Encoding(dtype="uint16" if like.bits == 16 else "uint8"), like=like)
        return self._finished(quantised(output, bits=like.bits), like=like)

    def _finished(self, pixels: np.ndarray, *, like: Picture) -> Picture:
        """Plain pixels with the alpha and the colour profile of the input."""
        around = self._channels[0] not in (2, 4)  # a network that was given the alpha has used it
        if like.alpha is not None and around and pixels.shape[-1] in (1, 3):
            pixels = np.concatenate([pixels, like.alpha], axis=-1)
        result = Picture(pixels=pixels, icc_profile=like.icc_profile)
        fits = result.colour.shape == like.colour.shape  # a grey profile does not describe RGB
        return result if fits else replace(result, icc_profile=None)
