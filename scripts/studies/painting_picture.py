"""The README's picture of named styles: a photograph, and what some weights make of it in each of their styles.

The photograph is scikit-learn's china.jpg (danielbuechele, CC BY 2.0), which none of the weights that ship was trained
on.

    python -m scripts.studies.painting_picture [WEIGHTS] -o demos/assets/paintings.jpg
"""

import argparse
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

import translate
from translate.demos.examples import photo

TILE, GAP, LINE = (280, 187), 8, 22
COLUMNS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="?", default="paintings")
    parser.add_argument("-o", "--out", type=Path, required=True)
    given = parser.parse_args()
    whole, model = photo(), translate.load(given.weights)
    if whole is None:
        raise SystemExit("scikit-learn is not here, and its photo is needed: pip install 'image-translate[demo]'")
    rows = -(-len(model.styles) // COLUMNS)
    high = rows * (TILE[1] + LINE + GAP) - GAP
    side = Image.new("RGB", (high, high - LINE), "white")
    middle = (whole.width - whole.height) // 2
    side.paste(whole.crop((middle, 0, middle + whole.height, whole.height)).resize((high, high - LINE), 1))
    canvas = Image.new("RGB", (high + GAP + COLUMNS * (TILE[0] + GAP) - GAP, high), "white")
    canvas.paste(side)
    draw = ImageDraw.Draw(canvas)
    draw.text((4, high - LINE + 4), "the photograph", fill="black", font=ImageFont.load_default(size=15))
    for number, name in enumerate(model.styles):
        row, column = divmod(number, COLUMNS)
        x, y = high + GAP + column * (TILE[0] + GAP), row * (TILE[1] + LINE + GAP)
        canvas.paste(model(whole, style=name).resize(TILE, Image.Resampling.LANCZOS), (x, y))
        draw.text((x + 2, y + TILE[1] + 4), name, fill="black", font=ImageFont.load_default(size=15))
    canvas.save(given.out, quality=90, subsampling=0)
    print(f"{given.out}: {canvas.width}x{canvas.height}, {given.out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
