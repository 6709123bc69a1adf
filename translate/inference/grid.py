"""Pictures of pictures: columns with a heading, one row an example."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from translate.data.images import Picture, convert, from_pil, to_pil
from translate.data.values import class_colours

GAP, HEADING, PAPER, INK = 4, 22, (255, 255, 255), (40, 40, 40)
OUTLINE = (0, 255, 255)  # no heat has this colour


def to_images(images: Tensor) -> list[Image.Image]:
    """[N, C, H, W] in [-1, 1] to RGB images; grey is repeated, alpha is dropped."""
    pixels = ((images.detach().float().cpu().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    colour = pixels[..., :3] if pixels.shape[-1] >= 3 else np.repeat(pixels[..., :1], 3, axis=-1)
    return [Image.fromarray(np.ascontiguousarray(row)) for row in colour]


def on_screen(image: Image.Image) -> Image.Image:
    """RGB of 8 bits; Pillow's own conversion clips 16-bit grey to white."""
    return to_pil(Picture(pixels=convert(from_pil(image).colour, channels=3, bits=8)))


def class_palette(count: int) -> Tensor:
    """A colour for each class, [count, 3] in [-1, 1]."""
    return torch.from_numpy(class_colours(count)).float() / 127.5 - 1


def in_class_colours(one_hot: Tensor) -> Tensor:
    """Classes [N, K, H, W], 1 and -1, as colours [N, 3, H, W] in [-1, 1]; white where there is none."""
    highest, classes = one_hot.max(dim=1, keepdim=True)
    colours = class_palette(one_hot.shape[1]).to(one_hot.device)[classes[:, 0]].permute(0, 3, 1, 2)
    return torch.where(highest > 0, colours, torch.ones_like(colours))


def image_grid(columns: dict[str, list[Image.Image]]) -> Image.Image:
    """Columns of equally many images side by side, each under its heading and as wide as the widest needs.

    Args:
        columns: Heading to images; at least one, all of one size.

    Returns:
        An RGB image.
    """
    width, height = next(iter(columns.values()))[0].size
    num_rows = len(next(iter(columns.values())))
    font = ImageFont.load_default(size=max(9, min(14, width // 8)))
    column = max(width, *(math.ceil(font.getlength(heading)) for heading in columns))  # headings of small images
    canvas = Image.new(
        "RGB",
        (len(columns) * (column + GAP) - GAP, HEADING + num_rows * (height + GAP) - GAP),
        PAPER,
    )
    pen = ImageDraw.Draw(canvas)
    for number, (heading, images) in enumerate(columns.items()):
        left = number * (column + GAP)
        pen.text((left + column / 2, HEADING / 2), heading, fill=INK, font=font, anchor="mm")
        for row, image in enumerate(images):
            canvas.paste(image, (left + (column - width) // 2, HEADING + row * (height + GAP)))
    return canvas


def enlarged(images: list[Image.Image], *, least: int = 64) -> list[Image.Image]:
    """Small images with their pixels repeated until they are `least` wide or nearly so; others as they are."""
    factor = max(1, round(least / images[0].width)) if images else 1
    return [image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST) for image in images]


def contact_sheet(images: list[Image.Image], *, columns: int | None = None, gap: int = 2) -> Image.Image:
    """Images of one size in rows, as near to a square as can be unless the columns are given.

    Args:
        images: At least one.
        columns: In a row.
        gap: Between them, in pixels.

    Returns:
        An RGB image.
    """
    shown = enlarged([on_screen(image) for image in images], least=56)
    columns = columns or max(1, round(len(shown) ** 0.5))
    rows = -(-len(shown) // columns)
    width, height = shown[0].size
    canvas = Image.new("RGB", (columns * (width + gap) - gap, rows * (height + gap) - gap), PAPER)
    for number, image in enumerate(shown):
        row, column = divmod(number, columns)
        canvas.paste(image, (column * (width + gap), row * (height + gap)))
    return canvas


def heat_overlay(images: Tensor, heat: Tensor, *, scale: tuple[float, float] | None = None) -> list[Image.Image]:
    """Grey images with heat over them, from none through red to yellow.

    Args:
        images: [N, C, H, W] in [-1, 1].
        heat: [N, 1, H, W], not negative; the hottest place of each image is yellow.
        scale: Heat that is shown as none, and heat below which no place is yellow; unless given, none and nothing.
    """
    cold, hot = (0.0, 0.0) if scale is None else scale
    top = heat.amax(dim=(1, 2, 3), keepdim=True).clamp_min(hot)
    share = ((heat - cold) / (top - cold).clamp_min(1e-12)).clamp_min(0)
    grey = images.float().cpu().mean(dim=1, keepdim=True) * 0.6  # [N, 1, H, W]
    colour = torch.cat([share * 4 - 1, share * 4 - 3, torch.full_like(share, -1.0)], dim=1).clamp(-1, 1)
    return to_images(grey + (colour - grey) * (share * 2).clamp(0, 1))


def heat_on(
    image: Tensor, heat: Tensor, *, scale: tuple[float, float] | None = None, mask: Tensor | None = None
) -> Image.Image:
    """Heat over one image of another size, and the outline of a mask.

    Args:
        image: [1, C, H, W] in [-1, 1].
        heat: [1, 1, h, w], as for `heat_overlay`.
        scale: As for `heat_overlay`.
        mask: bool [h, w].
    """
    size = image.shape[-2:]
    shown = heat_overlay(image, F.interpolate(heat, size, mode="bilinear", align_corners=False), scale=scale)
    if mask is not None:
        shown = outlined(shown, F.interpolate(mask[None, None].float(), size, mode="nearest")[0] > 0.5)
    return shown[0]


def outlined(images: list[Image.Image], masks: Tensor) -> list[Image.Image]:
    """RGB images with the borders of masks on them, inside the masks and one pixel wide.

    Args:
        images: Of size (W, H) each.
        masks: bool [N, H, W].
    """
    outside = F.pad((~masks).float()[:, None], (1, 1, 1, 1), value=1.0)  # the border of an image is one of its mask
    borders = (masks & (F.max_pool2d(outside, 3, stride=1)[:, 0] > 0)).cpu().numpy()
    found = []
    for image, border in zip(images, borders, strict=True):
        pixels = np.array(image.convert("RGB"))
        pixels[border] = OUTLINE
        found.append(Image.fromarray(pixels))
    return found
