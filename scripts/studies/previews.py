"""Make the small pictures on the cards of the weights that ship: inputs above outputs, or what is made of nothing.

Inputs are drawn by code or made by the other weights; photos are scikit-learn's china.jpg (`translate.demos.examples`).

    python -m scripts.studies.previews [NAME ...] [--styles FOLDER]
"""

import argparse
from pathlib import Path

import torch
from PIL import Image

from translate.applications.anomaly import planted
from translate.checkpoint.files import read_config
from translate.config.networks import PatchAnomalyConfig
from translate.config.training import Derivation
from translate.config.weights import WeightsConfig
from translate.data.images import from_pil, list_images, to_pil
from translate.demos.cards import HEIGHT, PREVIEW, WIDTH
from translate.demos.catalogue import FLAT, SKETCHES
from translate.demos.examples import FIRST, example, metal, photo
from translate.demos.icon_drawings import ICONS, icon
from translate.inference import StyleModel
from translate.inference.deriver import Deriver
from translate.inference.finding import shipped_weights
from translate.inference.grid import heat_overlay, to_images
from translate.inference.image_model import Framing, makes_images
from translate.inference.library import load_detector, load_image_model, load_sampler, load_translator

GAP = 4
FACES, DIGITS = "gan-faces", "gan-mnist"
KINDS: dict[str, Derivation] = {**dict.fromkeys(SKETCHES, "edges"), "grey": "gray"}
"""What is derived for weights of a source."""
TILE = (WIDTH - 3 * GAP) // 4


def framed(images: list[Image.Image]) -> Image.Image:
    """Two rows of four."""
    canvas = Image.new("RGB", (WIDTH, HEIGHT), "white")
    for number, image in enumerate(images):
        row, column = divmod(number, 4)
        how = Image.Resampling.LANCZOS if image.width > TILE else Image.Resampling.BICUBIC
        tile = image.convert("RGB").resize((TILE, TILE), how)
        canvas.paste(tile, (column * (TILE + GAP), row * (TILE + GAP)))
    return canvas


def inputs(config: WeightsConfig) -> list[Image.Image]:
    """Four images such as the weights take."""
    source, size = config.domains.source, config.preprocessing.size
    if config.network.in_channels == 1 and config.kind != "translator":
        return load_sampler(DIGITS).sample(4, seed=1)
    if config.kind != "translator" or config.domains.target == "faces":
        faces = load_sampler(FACES).sample(4, seed=1)
        drawn = [pictured(face.resize((size, size), Image.Resampling.BICUBIC), source) for face in faces]
        return drawn if config.kind == "translator" else faces
    if source == "labels":
        return [example(number) for number in range(4)]
    if source in FLAT:
        return [icon(name, size) for name in list(ICONS)[:4]]
    whole = photo()
    if whole is None:
        raise SystemExit("scikit-learn is not here, and its photo is needed: pip install 'image-translate[demo]'")
    side = whole.height * 2 // 3
    places = [(round(share * (whole.width - side)), (whole.height - side) // 2) for share in (0, 0.33, 0.67, 1)]
    parts = [whole.crop((x, y, x + side, y + side)).resize((size, size)) for x, y in places]
    return [pictured(part, source) for part in parts]


def pictured(image: Image.Image, source: str) -> Image.Image:
    """What is derived from an image for weights that take such; else the image."""
    kind = KINDS.get(source)
    return image if kind is None else to_pil(Deriver(kind).apply([from_pil(image)])[0])


def preview(name: str, styles: Path | None) -> Image.Image:
    path = shipped_weights()[name]
    config = read_config(path)
    if config.kind == "translator":
        given, model = inputs(config), load_translator(path, device="cpu")
        if model.styles:
            shown = model.styles[:: len(model.styles) // 7][:7]
            return framed([given[1], *(model(given[1], style=name) for name in shown)])
        if model.any_style:
            if styles is None:
                raise SystemExit(f"{name} paints like images that it is shown: --styles FOLDER")
            files = list_images(styles)
            shown = files[:: max(1, len(files) // 4)][:4]
            examples = [Image.open(file).convert("RGB") for file in shown]
            return framed([*examples, *(model(given[1], style=example) for example in examples)])
        return framed([*given, *(model(image) for image in given)])
    if config.kind == "anomaly":
        detector, _ = load_detector(path, device="cpu")
        if isinstance(config.network, PatchAnomalyConfig):
            pieces = [metal(seed, fault=seed > 1) for seed in range(4)]
            given = Framing(config).prepared([from_pil(piece) for piece in pieces])
            with torch.inference_mode():
                return framed([*pieces, *heat_overlay(given, detector.heat(given), scale=detector.heat_scale)])
        digits = Framing(config).prepared([from_pil(image) for image in load_sampler(DIGITS).sample(4, seed=1)])
        digits[2:] = planted(digits[2:])
        with torch.inference_mode():
            return framed([*to_images(digits), *heat_overlay(digits, detector.heat(digits))])
    if makes_images(config) and config.network.type != "vqvae":
        sampler = load_sampler(path, device="cpu")
        return framed(
            (sampler.styled(truncation=0.8) if isinstance(sampler, StyleModel) else sampler).sample(8, seed=1)
        )
    given = inputs(config)
    return framed([*given, *load_image_model(path, device="cpu").reconstruct(given)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="of weights that ship; all unless given")
    parser.add_argument("--styles", type=Path, help="paintings, of which four are shown to weights of any style")
    given = parser.parse_args()
    for name in given.names or shipped_weights():
        target = shipped_weights()[name] / PREVIEW
        preview(name, given.styles).save(target, "WEBP", quality=88, method=6)
        if name == "facades":
            output = load_translator(shipped_weights()[name], device="cpu", precision="fp32")(example(0))
            output.save(FIRST, "WEBP", quality=92, method=6)
        print(f"{target.stat().st_size / 1e3:5.1f} kB  {target}")


if __name__ == "__main__":
    main()
