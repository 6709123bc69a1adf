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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TypedDict, Unpack, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from translate.blocks.colour import coloured, luma
from translate.blocks.maps import MapError
from translate.config.networks import ConditionalResNetConfig
from translate.config.training import Precision
from translate.config.weights import WeightsConfig
from translate.data.images import ImageError, Picture, from_pil, to_pil
from translate.inference.device import DTYPES, choose_device, choose_precision
from translate.inference.errors import InferenceError
from translate.inference.onnx import OnnxNetwork
from translate.inference.onnx_file import cpu_and_fp32
from translate.inference.running import example_code, random_code, run_in_parts, run_network
from translate.inference.styles import check_strength, mixed_code
from translate.inference.translator_base import TILES_FROM, Tile, TranslatorBase, enough_memory, quantised
from translate.networks import Generator


@contextmanager
def _enough_memory(width: int, height: int, device: torch.device) -> Iterator[None]:
    """As `enough_memory`; also of the disk that maps lie on where memory is short."""
    with enough_memory(width, height, device):
        try:
            yield
        except MapError as error:
            raise InferenceError(f"{width}x{height} {error}") from None


def _rows_of(images: Tensor, low: int, high: int) -> Tensor:
    return images[:, :, low:high]


def _rows_of_picture(picture: Picture, low: int, high: int) -> Picture:
    return replace(picture, pixels=picture.pixels[low:high])


class Options(TypedDict, total=False):
    """How an image is translated, as `Translator.__call__` explains."""

    seed: int
    code: Tensor | None
    style: str | Mapping[str, float] | Image.Image | None
    strength: float
    keep_colours: bool
    tile: Tile


STRIPS_FROM, ELSEWHERE_FROM = 2**18, 2**23
"""Larger images are made in parts: on a CPU strips are faster; elsewhere they save memory."""


class Translator(TranslatorBase):
    """A generator and what its weights say of it; may be called from several threads, which take turns.

    Args:
        network: Built from ``config.network``.
        config: What the weights say.
        device: cuda, mps, cpu or auto; a network from ONNX is on the CPU.
        precision: auto takes bf16 where the device is fast at it and the weights do not ask for fp32; a network from
            ONNX computes in fp32.

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
        super().__init__(config)
        if isinstance(network, OnnxNetwork):
            device, precision = cpu_and_fp32(device, precision)
        self.device = choose_device(device)
        self.precision = choose_precision(config.precision if precision == "auto" else precision, self.device)
        # As in training, so that a preview and its weights are the same arithmetic.
        layout = torch.channels_last if self.device.type == "cuda" else torch.contiguous_format
        self.network = network.to(self.device).to(memory_format=layout)
        if self.device.type == "cpu" and not isinstance(network, OnnxNetwork):
            # Larger tensors are mapped anew at each layer, which takes longer than a batch saves; in bf16 they are half
            # as large.
            self.batch_pixels = 2**16 if self.precision == "fp32" else 2**17
        self._turn = threading.Lock()  # dropout and its generator belong to one call at a time

    @property
    def threads(self) -> int:
        """Of the computation on a CPU: as many copies of this may be used side by side, each on one of them; 1 where
        they would hinder one another, by a common source of noise or a network in training mode.
        """
        common = self.config.noise == "always" or self.network.training or isinstance(self.network, OnnxNetwork)
        return 1 if self.device.type != "cpu" or common else torch.get_num_threads()

    def cast_weights(self) -> None:
        """Keep the weights in the precision that autocast would cast them to at each pass: the outputs are the same.

        The network is changed, and is for use in this precision from now on.
        """
        if self.precision in DTYPES:
            for module in self.network.modules():
                if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                    module.to(DTYPES[self.precision])

    def use_threads(self, count: int) -> None:
        """From now on compute on so many threads in the calling thread, and in threads that start later."""
        torch.set_num_threads(count)
        torch.get_num_threads()  # until it asks, a thread takes what any other sets after it

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
        tile: Tile = "auto",
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
            tile: The side of a tile, or the rows of a strip, in pixels, for an image in parts; ``auto`` takes parts of
                large images, where that is faster or saves much memory, ``off`` none. The result is the same.

        Raises:
            InferenceError: another kind, shape or range, an image too large for memory, or a code that does not fit.
            ConfigError: a style or strength that there is not.
        """
        if style is not None or strength != 1.0:
            code = self.style_code(style, strength=strength)
        if isinstance(image, Image.Image):
            if 0 in image.size:
                raise InferenceError(f"expected an image with pixels, not one of {image.width}x{image.height}")
            return to_pil(self.apply([from_pil(image)], seed=seed, code=code, keep_colours=keep_colours, tile=tile)[0])
        if isinstance(image, np.ndarray):
            return self._array(image, seed=seed, code=code, keep_colours=keep_colours, tile=tile)
        if isinstance(image, Tensor):
            return self._tensor(image, seed=seed, code=code, keep_colours=keep_colours, tile=tile)
        raise InferenceError(f"expected a PIL image, a NumPy array or a tensor, not {type(image).__name__}")

    @property
    def style(self) -> int:
        """Length of a style code; 0 where the weights take none."""
        if (codes := self._network.named_codes) is not None:
            return codes.shape[1]
        if isinstance(self.config.network, ConditionalResNetConfig):
            return self.config.network.code
        return 0 if isinstance(self.network, OnnxNetwork) else getattr(self.config.network, "style", 0)

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
        if style is not None and not isinstance(style, str | Mapping):
            raise InferenceError(f"a style is a name, shares of names, or a PIL image, not {type(style).__name__}")
        self._check_named()
        codes = self._network.named_codes
        assert codes is not None
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
        pixels = self._example(from_pil(example) if isinstance(example, Image.Image) else example)
        unit = torch.from_numpy(pixels).permute(2, 0, 1)[None]
        with self._turn:
            images = unit.to(self.device) * self._span + self._low
            return example_code(self.network, images, precision=self.precision).cpu()

    def _code(self, code: Tensor | None, *, seed: int) -> Tensor | None:
        """The code given, or the one of a seed; None where there is none to give."""
        if code is None and (self.styles or self.any_style):
            return self.style_code()
        if code is None:
            return random_code(self.style, seed=seed) if self.style else None
        self._check_code(code)
        return code

    def apply(
        self,
        pictures: Sequence[Picture],
        *,
        seed: int = 0,
        code: Tensor | None = None,
        keep_colours: bool = False,
        tile: Tile = "auto",
    ) -> list[Picture]:
        """Translate pictures of equal size in one batch, keeping each one's alpha, depth, units and colour profile.

        Raises:
            InferenceError: a picture has other channels than the network takes, a tile that is too small, or memory
                runs out.
        """
        encodings = [self._encoding(picture) for picture in pictures]
        width, height = pictures[0].size
        if self.target is None and encodings == [None] and self.in_parts(width, height, tile=tile):
            return [self._large(pictures[0], seed=seed, code=code, keep_colours=keep_colours, tile=tile)]
        try:
            scaled = np.stack([self._scaled(*both) for both in zip(pictures, encodings, strict=True)])
        except ImageError as error:
            raise InferenceError(f"the image {error}") from None
        images = torch.from_numpy(scaled).permute(0, 3, 1, 2)
        made = self.apply_tensor(images, seed=seed, code=code, keep_colours=keep_colours, tile=tile)
        outputs = made.permute(0, 2, 3, 1).numpy()
        return [
            self._picture(output, like=picture, encoding=encoding, seen=seen)
            for output, picture, encoding, seen in zip(outputs, pictures, encodings, scaled, strict=True)
        ]

    def apply_tensor(
        self,
        images: Tensor,
        *,
        seed: int = 0,
        code: Tensor | None = None,
        keep_colours: bool = False,
        tile: Tile = "auto",
    ) -> Tensor:
        """Translate float32 [N, C_in, H, W] in [0, 1] to float32 [N, C_out, H, W] in [0, 1] on the CPU.

        Raises:
            InferenceError: memory runs out, the code does not fit, a tile is too small, or no colours can be kept.
        """
        height, width = images.shape[2:]
        if self.in_parts(width, height, tile=tile):
            output = torch.empty(len(images), self._channels[1], height, width)
            for image, made in zip(images.split(1), output, strict=True):
                parts = self._parts(
                    partial(_rows_of, image),
                    size=(height, width), seed=seed, code=code, keep_colours=keep_colours, tile=tile,
                )  # fmt: skip
                for low, part in parts:
                    made[:, low : low + part.shape[2]] = part[0]
            return output
        code = self._checked_code(code, seed=seed, keep_colours=keep_colours)
        with self._turn, _enough_memory(width, height, self.device):
            # In one layout, since dropout draws in the order in which values lie in memory.
            scaled = images.to(self.device, torch.float32).contiguous() * self._span + self._low
            if self.config.noise == "always":  # noise is drawn for each image alone, whatever its batch
                rows = [
                    run_network(self.network, row, noise="always", seed=seed, precision=self.precision)
                    for row in scaled.split(1)
                ]
                output = torch.cat(rows)
            else:
                output = run_network(self.network, scaled, code=code, precision=self.precision)
        return self._in_unit(output, images if keep_colours else None)

    def in_parts(self, width: int, height: int, *, tile: Tile = "auto") -> bool:
        """Whether an image of this size, in pixels, is made in parts.

        Raises:
            InferenceError: the tile is too small, or the network, one of ONNX, only takes whole images.
        """
        whole_only = isinstance(self.network, OnnxNetwork) and self.network.reach is None
        if isinstance(tile, str):
            if tile not in ("auto", "off"):
                raise InferenceError(f"tile {tile!r} is unknown: give auto, off, or a number of pixels")
            least = STRIPS_FROM if self._network.reach is None else TILES_FROM
            limit = least if self.device.type == "cpu" else ELSEWHERE_FROM
            return tile == "auto" and width * height > limit and not whole_only
        if whole_only:
            raise InferenceError(
                f"'{self.config.name}' takes statistics of the whole image, which its ONNX graph cannot take in parts: "
                "omit the tile, or use the .safetensors file"
            )
        least = max(4, self._network.step)
        if tile < least:
            raise InferenceError(f"a tile of {tile} px is too small for '{self.config.name}': give {least} or more")
        return True

    def _parts(
        self,
        read: Callable[[int, int], Tensor],
        *,
        size: tuple[int, int],
        seed: int,
        code: Tensor | None,
        keep_colours: bool,
        tile: Tile,
    ) -> Iterator[tuple[int, Tensor]]:
        """First row and values, float32 [1, C_out, h, W] in [0, 1] on the CPU, of each part of one image.

        Args:
            read: Rows of the image, from one to before another, float32 [1, C_in, h, W] in [0, 1].
            size: Height and width.
            seed: As of `apply`, and so the rest.
        """
        code = self._checked_code(code, seed=seed, keep_colours=keep_colours)
        low = 0
        with self._turn, _enough_memory(size[1], size[0], self.device):
            for part in run_in_parts(
                self._network,
                lambda low, high: read(low, high).to(self.device, torch.float32).contiguous() * self._span + self._low,
                size=size,
                device=self.device,
                tile=None if isinstance(tile, str) else tile,
                noise=self.config.noise,
                seed=seed,
                code=code,
                precision=self.precision,
            ):
                high = low + part.shape[2]
                yield low, self._in_unit(part, read(low, high) if keep_colours else None)
                low = high

    def _large(self, picture: Picture, **options: Any) -> Picture:
        """A plain picture in parts: as floats it would be four times as large."""
        width, height = picture.size
        pixels, icc, low = np.empty((0, 0, 0)), None, 0
        read = partial(_rows_of_picture, picture)
        for part in self.apply_in_rows(read, width=width, height=height, bits=picture.bits, **options):
            if not low:
                pixels, icc = np.empty((height, width, part.channels), part.pixels.dtype), part.icc_profile
            high = low + part.size[1]
            pixels[low:high] = part.pixels
            low = high
        return Picture(pixels=pixels, icc_profile=icc)

    def apply_in_rows(
        self,
        read: Callable[[int, int], Picture],
        *,
        width: int,
        height: int,
        bits: int,
        seed: int = 0,
        code: Tensor | None = None,
        keep_colours: bool = False,
        tile: Tile = "auto",
    ) -> Iterator[Picture]:
        """See `TranslatorBase.apply_in_rows`."""

        def scaled(low: int, high: int) -> Tensor:
            rows = read(low, high)
            try:
                found = self._scaled(rows, None)
            except ImageError as error:
                raise InferenceError(f"the image {error}") from None
            return torch.from_numpy(found).permute(2, 0, 1)[None]

        size = height, width
        for low, part in self._parts(scaled, size=size, seed=seed, code=code, keep_colours=keep_colours, tile=tile):
            pixels = quantised(part[0].permute(1, 2, 0).numpy(), bits=bits)
            yield self._finished(pixels, like=read(low, low + part.shape[2]))

    def _checked_code(self, code: Tensor | None, *, seed: int, keep_colours: bool) -> Tensor | None:
        """The style code to use, on the network's device."""
        if keep_colours and self._channels != (3, 3):
            raise InferenceError(f"'{self.config.name}' does not translate RGB to RGB: there are no colours to keep")
        code = self._code(code, seed=seed)
        return None if code is None else code.to(self.device, torch.float32)

    def _in_unit(self, output: Tensor, colours: Tensor | None) -> Tensor:
        """Outputs of the network in [0, 1] on the CPU, with the colours of images in [0, 1] where these are given."""
        made = ((output - self._low) / self._span).clamp_(0, 1).cpu()
        if colours is None:
            return made
        photo = colours.to(made.device, torch.float32)
        return ((coloured(luma(made) * 2 - 1, photo * 2 - 1) + 1) / 2).clamp_(0, 1)

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
