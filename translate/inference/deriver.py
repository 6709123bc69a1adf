"""Pictures in, what is derived from them out: the inputs of networks that were trained with ``--derive``."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from translate.blocks.keyed import sample_keys
from translate.config.training import Derivation
from translate.data.derive import derive
from translate.data.images import Picture, composite, shown
from translate.inference.errors import InferenceError
from translate.inference.translator_base import Tile


class Deriver:
    """Computes sketches, grey, blurred or coarse pictures, or such with holes; in place of a `Translator` for files.

    Args:
        kind: As `translate.data.derive.derive`.
    """

    def __init__(self, kind: Derivation) -> None:
        self.kind = kind

    def apply(
        self,
        pictures: Sequence[Picture],
        *,
        seed: int = 0,
        code: Tensor | None = None,
        keep_colours: bool = False,
        tile: Tile = "auto",
    ) -> list[Picture]:
        """One of each, of its size and depth; transparency is laid over white first.

        Args:
            pictures: What a network shall make.
            seed: Of holes, which are other ones in each picture; without effect on all else.
            code: Nothing is done with it.
            keep_colours: Likewise.
            tile: Likewise.
        """
        if wrong := next((one for one in pictures if one.bands and one.channels not in (1, 3)), None):
            raise InferenceError(f"the image has {wrong.channels} channels, and --derive needs grey or RGB")
        return [self._derived(composite(shown(picture)), seed) for picture in pictures]

    def _derived(self, picture: Picture, seed: int) -> Picture:
        top = np.iinfo(picture.pixels.dtype).max
        images = torch.from_numpy(picture.pixels.astype(np.float32) * (2 / top) - 1).permute(2, 0, 1)[None]
        keys = sample_keys(zlib.crc32(picture.pixels.tobytes()), 1, seed=seed) if self.kind == "mask" else None
        unit = derive(images, self.kind, keys=keys)[0].permute(1, 2, 0) / 2 + 0.5
        pixels = np.rint(unit.clamp(0, 1).numpy() * top).astype(picture.pixels.dtype)
        kept = picture.icc_profile if pixels.shape[-1] in (picture.channels, picture.channels + 1) else None
        return Picture(pixels=pixels, icc_profile=kept)
