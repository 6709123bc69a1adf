"""Images as small files: the codes of a VQ-VAE, coded by what its prior expects.

A file is a head of 16 bytes (magic, which weights, width, height, checksum of the codes) and what a range coder
(Martin, 1979) made of the codes. The prior gives the chances of each code from those before it, in squares of codes as
it was trained on; of a square that hangs over the border, what lies outside is taken as likeliest and costs nothing.

Coder and decoder must compute the same chances: both go place by place, in float64 on the CPU, with logits rounded to
1/1024. Should another machine round a logit the other way, the checksum notices. Needs the package constriction.

Shapes: B squares, s side of a square, T = s * s places, h and w the grid of codes, K codes.
"""

from __future__ import annotations

import copy
import hashlib
import io
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from translate.config.base import ConfigError
from translate.config.errors import TranslateError
from translate.data.batches import to_signed
from translate.data.images import MAX_PIXELS, Picture, composite, convert, from_pil, shown, to_pil
from translate.data.store import to_format
from translate.inference.image_model import ImageModel
from translate.networks import VQVAENetwork

SUFFIX = ".tvq"
MAGIC = b"TVQ1"
HEAD = struct.Struct(">4s4sHHI")
LARGEST_SIDE = 65535
LOGIT_STEPS = 1024


class CompressedError(TranslateError, ValueError):
    """A compressed file that cannot be opened; the message says why."""


class Compressor:
    """Compresses with the weights of a VQ-VAE.

    Args:
        model: Its weights.

    Raises:
        ConfigError: the weights have no codebook, or constriction is not installed.
    """

    def __init__(self, model: ImageModel) -> None:
        if not isinstance(model.network, VQVAENetwork):
            raise ConfigError(f"'{model.config.name}' has no codebook: compressing needs a vqvae")
        self._coder = _constriction()
        self.model, self.network = model, model.network
        self.factor = 2**self.network.config.codec.num_downsamplings
        self.side = self.network.config.codec.side
        self.num_codes = self.network.config.quantizer.num_codes
        self.prior = copy.deepcopy(self.network.prior).double().cpu().eval() if self.network.prior else None
        digest = hashlib.sha256()
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(name.encode() + tensor.detach().float().cpu().numpy().tobytes())
        self.weights_id = digest.digest()[:4]

    def compress(self, image: Image.Image | Picture, *, on_place: Callable[[int, int], None] | None = None) -> bytes:
        """An image of any size as the bytes of a file; transparency is composited over white.

        Args:
            image: The image.
            on_place: Called with the number of places that are coded, and with that of all, after each.

        Raises:
            ConfigError: a side has more than 65,535 pixels.
        """
        picture = image if isinstance(image, Picture) else from_pil(image)
        width, height = picture.size
        if max(width, height) > LARGEST_SIDE:
            raise ConfigError(f"{width}x{height} is too large for this format: at most {LARGEST_SIDE} pixels per side")
        codes = self._codes(picture)
        coder = self._coder.stream.queue.RangeEncoder()

        def encode(symbols: Tensor, chances: np.ndarray) -> Tensor:
            coder.encode(symbols.numpy().astype(np.int32), self._family, chances)
            return symbols

        self._walk(_squares(codes, self.side), _inside(codes.shape, self.side), encode, on_place)
        head = HEAD.pack(MAGIC, self.weights_id, width, height, _checksum(codes))
        return head + coder.get_compressed().astype("<u4").tobytes()

    def decompress(self, data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
        """The image of a file; measured values are black to white.

        Args:
            data: The file's bytes.
            max_pixels: A file that says it holds more is refused before room is made for them.

        Raises:
            CompressedError: no such file, cut short, too large, or made with other weights.
        """
        return self.model.to_images(self._decompressed(data, max_pixels))[0]

    def restored(self, data: bytes, *, max_pixels: int = MAX_PIXELS) -> Picture:
        """The image of a file with all its channels, 16-bit colour, or values in their units; as `decompress`.

        Raises:
            CompressedError: as `decompress`.
        """
        return self.model.files(self._decompressed(data, max_pixels))[0]

    def _decompressed(self, data: bytes, max_pixels: int) -> Tensor:
        """[1, C, H, W] in [-1, 1]."""
        if len(data) < HEAD.size or data[:4] != MAGIC:
            raise CompressedError("was not written by translate compress")
        _, weights_id, width, height, checksum = HEAD.unpack_from(data)
        if weights_id != self.weights_id:
            raise CompressedError(
                f"was compressed with other weights than '{self.model.config.name}' ({weights_id.hex()}, and these are "
                f"{self.weights_id.hex()})"
            )
        if width * height > max_pixels:
            raise CompressedError(f"claims to hold {width}x{height} pixels, and the limit is {max_pixels:,}")
        body = data[HEAD.size :]
        if len(body) % 4 or not width or not height:
            raise CompressedError("is truncated or damaged: copy it again")
        grid = self._grid(width, height)
        decoder = self._coder.stream.queue.RangeDecoder(np.frombuffer(body, "<u4").astype(np.uint32))

        def decode(symbols: Tensor, chances: np.ndarray) -> Tensor:
            return torch.from_numpy(decoder.decode(self._family, chances).astype(np.int64))

        inside = _inside(grid, self.side)
        try:
            squares = self._walk(torch.zeros(inside.shape, dtype=torch.int64), inside, decode)
        except (
            ValueError,
            AssertionError,
            RuntimeError,
        ) as error:  # what constriction raises of bytes that fit nothing
            raise CompressedError(f"is truncated or damaged ({error}): copy it again") from None
        codes = _joined(squares, grid, self.side)
        if _checksum(codes) != checksum:
            raise CompressedError("is truncated or damaged, or was written on a machine that rounds differently")
        return self._made(codes, width, height)

    def reconstruct(self, image: Image.Image | Picture) -> Image.Image:
        """What `decompress` makes of the file that `compress` makes of an image, without the way through the file."""
        picture = image if isinstance(image, Picture) else from_pil(image)
        return self.model.to_images(self._made(self._codes(picture), *picture.size))[0]

    def plain(self, image: Image.Image | Picture) -> Image.Image:
        """An image as other formats hold it: 8 bits, over white, of the network's channels."""
        encoding = self.model.format.encoding
        values = None if encoding is None else encoding.values
        picture = composite(shown(image if isinstance(image, Picture) else from_pil(image), values))
        return to_pil(Picture(pixels=convert(picture.colour, channels=self.model.format.channels, bits=8)))

    @torch.inference_mode()
    def _made(self, codes: Tensor, width: int, height: int) -> Tensor:
        return self.network.images(codes[None].to(self.model.device))[..., :height, :width]

    @property
    def _family(self) -> Any:
        return self._coder.stream.model.Categorical(perfect=False)

    def _grid(self, width: int, height: int) -> torch.Size:
        """Codes of an image, [h, w]: two a side at least, since one value cannot be normalised."""
        return torch.Size([max(2, -(-side // self.factor)) for side in (height, width)])

    def _codes(self, picture: Picture) -> Tensor:
        """int64 [h, w] of a picture, padded at the bottom and right to whole codes."""
        images = to_signed(torch.from_numpy(to_format(picture, self.model.format)[None].copy()))
        height, width = images.shape[-2:]
        rows, columns = self._grid(width, height)
        images = F.pad(images, (0, columns * self.factor - width, 0, rows * self.factor - height), mode="replicate")
        with torch.inference_mode():
            return self.network.codes(images.to(self.model.device))[0].cpu()

    @torch.inference_mode()
    def _walk(
        self,
        squares: Tensor,
        inside: Tensor,
        code: Callable[[Tensor, np.ndarray], Tensor],
        on_place: Callable[[int, int], None] | None = None,
    ) -> Tensor:
        """Go through the places of all squares at once, and code those that are inside.

        Args:
            squares: int64 [B, T]; what is to be coded, or anything.
            inside: bool [B, T].
            code: Takes symbols and their chances [n, K], and gives the symbols.
            on_place: As of `compress`.

        Returns:
            int64 [B, T], the symbols inside and the likeliest ones outside.
        """
        found = squares.clone()
        token, memory = torch.full((len(squares),), self.num_codes), None
        even = np.full((len(squares), self.num_codes), 1 / self.num_codes)
        # Behind the last place that is inside nothing is coded: a small image need not go through a whole square.
        places = int(inside.any(dim=0).nonzero().max()) + 1
        for place in range(places):
            if self.prior is None:
                chances, likeliest = even, torch.zeros(len(squares), dtype=torch.int64)
            else:
                logits, memory = self.prior.next(token, place, memory)
                logits = (logits * LOGIT_STEPS).round() / LOGIT_STEPS
                likeliest = logits.argmax(dim=-1)
                chances = logits.softmax(dim=-1).numpy()
            here = inside[:, place]
            found[~here, place] = likeliest[~here]
            if bool(here.any()):
                found[here, place] = code(found[here, place], np.ascontiguousarray(chances[here.numpy()]))
            token = found[:, place]
            if on_place is not None:
                on_place(place + 1, places)
        return found


def _constriction() -> Any:
    try:
        import constriction
    except ModuleNotFoundError:
        raise ConfigError(
            'compressing needs an entropy coder: pip install "image-translate[compress]", or pip install constriction'
        ) from None
    return constriction


def _checksum(codes: Tensor) -> int:
    return zlib.crc32(codes.numpy().astype("<u2").tobytes())


def _blocks(grid: torch.Size, side: int) -> tuple[int, int]:
    return -(-grid[0] // side), -(-grid[1] // side)


def _squares(codes: Tensor, side: int) -> Tensor:
    """[h, w] -> [B, T], row by row; what hangs over is 0."""
    rows, columns = _blocks(codes.shape, side)
    whole = F.pad(codes, (0, columns * side - codes.shape[1], 0, rows * side - codes.shape[0]))
    return whole.view(rows, side, columns, side).permute(0, 2, 1, 3).reshape(rows * columns, side * side)


def _joined(squares: Tensor, grid: torch.Size, side: int) -> Tensor:
    """The inverse of `_squares`."""
    rows, columns = _blocks(grid, side)
    whole = squares.view(rows, columns, side, side).permute(0, 2, 1, 3).reshape(rows * side, columns * side)
    return whole[: grid[0], : grid[1]].contiguous()


def _inside(grid: torch.Size, side: int) -> Tensor:
    """bool [B, T]: whether a place lies within the grid."""
    return _squares(torch.ones(grid, dtype=torch.int64), side).bool()


# Beside other formats


@dataclass(frozen=True, kw_only=True)
class Rival:
    """An image in a well-known format, at about a given size."""

    size: int
    """In bytes, of the file."""
    head: int
    """Of these, what does not describe pixels: markers, tables, names."""
    image: Image.Image


Format = Literal["JPEG", "WEBP"]


def at_equal_rate(image: Image.Image, form: Format, *, body: int) -> Rival:
    """The best quality whose file, its head not counted, has at most `body` bytes; the least where none has.

    Args:
        image: Grey or RGB.
        form: JPEG or lossy WebP.
        body: Bytes.
    """
    found = _rival(image, form, quality=0 if form == "WEBP" else 1)
    low, high = 1, 95
    while low <= high:
        middle = (low + high) // 2
        rival = _rival(image, form, quality=middle)
        if rival.size - rival.head <= body:
            found, low = rival, middle + 1
        else:
            high = middle - 1
    return found


def _rival(image: Image.Image, form: str, *, quality: int) -> Rival:
    buffer = io.BytesIO()
    options = {"optimize": True} if form == "JPEG" else {"method": 6}
    image.save(buffer, format=form, quality=quality, **options)
    data = buffer.getvalue()
    if form == "JPEG":
        scan = data.index(b"\xff\xda")  # start of scan: all before it, and its own head, are tables and markers
        head = scan + 2 + int.from_bytes(data[scan + 2 : scan + 4], "big") + 2
    else:
        head = 12 + 8 + 10  # RIFF, the chunk's name and length, the frame's tag and size
    return Rival(size=len(data), head=head, image=Image.open(io.BytesIO(data)).convert(image.mode))


@dataclass(frozen=True, kw_only=True)
class Rate:
    """What one way of compressing needs for a set of images, and what it leaves of them."""

    name: str
    bits: float
    """A pixel, by the whole files."""
    bits_without_heads: float
    psnr: float
    """dB, the mean over images."""


class Comparison:
    """Compressed images, one after the other, and beside each the other formats at an equal rate.

    Args:
        compressor: What compressed them.
        rivals: The other formats; each gets as many bytes as the codes take, excluding headers.
    """

    def __init__(self, compressor: Compressor, *, rivals: Sequence[Format] = ()) -> None:
        self.compressor, self.rivals = compressor, rivals
        self.pixels = 0
        self._found: dict[str, list[tuple[int, int, float]]] = {}  # bytes, of them the head, dB

    def add(self, image: Image.Image | Picture, data: bytes) -> None:
        """An image, and what `Compressor.compress` made of it."""
        original = self.compressor.plain(image)
        self.pixels += original.width * original.height
        self._note("translate", original, len(data), HEAD.size, self.compressor.decompress(data))
        for form in self.rivals:
            rival = at_equal_rate(original, form, body=len(data) - HEAD.size)
            self._note(form, original, rival.size, rival.head, rival.image)

    def _note(self, name: str, original: Image.Image, size: int, head: int, made: Image.Image) -> None:
        difference = np.asarray(self.compressor.plain(made), np.float64) - np.asarray(original, np.float64)
        decibels = 10 * np.log10(255**2 / max(np.square(difference).mean(), 1e-6))
        self._found.setdefault(name, []).append((size, head, float(decibels)))

    def rates(self) -> list[Rate]:
        """One of each way, this toolkit's first."""
        return [
            Rate(
                name=name,
                bits=8 * sum(size for size, _, _ in found) / self.pixels,
                bits_without_heads=8 * sum(size - head for size, head, _ in found) / self.pixels,
                psnr=sum(decibels for _, _, decibels in found) / len(found),
            )
            for name, found in self._found.items()
        ]
