"""Pictures through a network in ONNX without PyTorch, whose import takes longer than most pictures do.

Shapes: N batch, C channels, H height, W width, K styles, D code.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from translate.config.encoding import Encoding
from translate.config.networks import ConditionalResNetConfig
from translate.config.training import Precision
from translate.data.images import ImageError, Picture
from translate.inference.errors import InferenceError
from translate.inference.onnx_file import OnnxFile, cpu_and_fp32
from translate.inference.styles import check_strength, shares_of
from translate.inference.translator_base import TILES_FROM, Tile, TranslatorBase, enough_memory

if TYPE_CHECKING:
    from translate.inference.translator import Translator


class OnnxTranslator(TranslatorBase):
    """What a `Translator` of a file of ONNX makes of pictures, to the same values.

    What it does not do itself, it leaves to that translator, and PyTorch is imported for it: dropout that stays on,
    large images in tiles, kept colours, and files whose graph takes few sizes. Resizing imports it, too: images that
    are enlarged first, and examples of a style.

    Args:
        path: The file.
        device: auto or cpu.
        precision: auto or fp32.
        threads: Of onnxruntime; as of an `OnnxFile` unless given.

    Attributes:
        device: cpu.
        precision: fp32.

    Raises:
        WeightsError: as `OnnxFile`.
        InferenceError: the weights are not a translator's.
        DeviceError: another device or precision was asked for.
    """

    def __init__(
        self, path: Path, *, device: str = "auto", precision: Precision = "auto", threads: int | None = None
    ) -> None:
        self.device, self.precision = cpu_and_fp32(device, precision)
        self.file = OnnxFile(path, threads=threads)
        self._turn, self._given_threads = threading.Lock(), threads
        self._whole: Translator | None = None
        network = self.file.config.network
        # A network that takes statistics of the image, or noise, takes the whole image.
        self._tiles = not self.file.noise and getattr(network, "norm", "instance") in ("batch", "none")
        super().__init__(self.file.config)

    def __repr__(self) -> str:
        domains = self.config.domains
        return f"OnnxTranslator('{self.config.name}', {domains.source} -> {domains.target})"

    @property
    def whole(self) -> Translator:
        """The translator of the same opened file that can do everything."""
        with self._turn:
            if self._whole is None:
                import torch

                from translate.inference.onnx import OnnxNetwork
                from translate.inference.translator import Translator

                if self._given_threads is not None:
                    torch.set_num_threads(self._given_threads)
                self._whole = Translator(OnnxNetwork(self.file), self.config)
                if self.source is not None:
                    self._whole.read_as(self.source)
            return self._whole

    def read_as(self, source: Encoding) -> None:
        """As of a `Translator`."""
        super().read_as(source)
        with self._turn:
            self._whole = None

    @property
    def style(self) -> int:
        """As of a `Translator`."""
        network = self.config.network
        return (network.num_styles or network.code) if isinstance(network, ConditionalResNetConfig) else 0

    def style_code(
        self, style: str | Mapping[str, float] | Picture | None = None, *, strength: float = 1.0
    ) -> np.ndarray:
        """As of a `Translator`: float32 [1, K] of named styles, [1, D] of an image's."""
        if isinstance(style, Picture):
            check_strength(strength)
            return np.float32(strength) * self.reference_code(style)
        self._check_named()
        shares = shares_of(self.styles, style or self.styles[0])
        check_strength(strength)
        return np.float32(strength) * np.array([shares], np.float32)

    def reference_code(self, example: Picture) -> np.ndarray:
        """As of a `Translator`: float32 [1, D]."""
        pixels = self._example(example).transpose(2, 0, 1)[None]
        return self.file.encode_style(np.ascontiguousarray(pixels) * self._span + self._low)

    def in_parts(self, width: int, height: int, *, tile: Tile = "auto") -> bool:
        """As of a `Translator`."""
        if tile == "off" or (tile == "auto" and not (self._tiles and width * height > TILES_FROM)):
            return False
        return self.whole.in_parts(width, height, tile=tile)

    def apply(
        self,
        pictures: Sequence[Picture],
        *,
        seed: int = 0,
        code: Any = None,
        keep_colours: bool = False,
        tile: Tile = "auto",
    ) -> list[Picture]:
        """As of a `Translator`."""
        width, height = pictures[0].size
        able = self.file.any_sides and not self.file.noise and not keep_colours
        if not able or self.in_parts(width, height, tile=tile):
            return self.whole.apply(pictures, seed=seed, code=_tensor(code), keep_colours=keep_colours, tile=tile)
        if code is None and (self.styles or self.any_style):
            code = self.style_code()
        self._check_code(code)
        encodings = [self._encoding(picture) for picture in pictures]
        with enough_memory(width, height, self.device):
            try:
                scaled = np.stack([self._scaled(*both) for both in zip(pictures, encodings, strict=True)])
            except ImageError as error:
                raise InferenceError(f"the image {error}") from None
            images = np.ascontiguousarray(scaled.transpose(0, 3, 1, 2)) * self._span + self._low
            codes = None if code is None else np.broadcast_to(code, (len(images), code.shape[1]))
            made = self.file.run(images, code=codes)
            outputs = np.clip((made - self._low) / self._span, 0, 1).transpose(0, 2, 3, 1)
        return [
            self._picture(output, like=picture, encoding=encoding, seen=seen)
            for output, picture, encoding, seen in zip(outputs, pictures, encodings, scaled, strict=True)
        ]

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
        """As of a `Translator`."""
        return self.whole.apply_in_rows(
            read,
            width=width,
            height=height,
            bits=bits,
            seed=seed,
            code=_tensor(code),
            keep_colours=keep_colours,
            tile=tile,
        )


def _tensor(code: np.ndarray | None) -> Any:
    """A code as PyTorch's translator takes it."""
    import torch

    return None if code is None else torch.from_numpy(code)
