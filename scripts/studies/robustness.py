"""Open every file of a folder with the toolkit's reader and say, one line a file, what came of it.

Where the folder holds an INDEX.tsv, each file is also compared with it: a file whose `pillow_result` is "ok" has to
open upright, with the header agreeing with the pixels, and to survive a PNG round trip with equal pixels; any other
file has to be refused by one line of ImageError. Exits with 1 where something disagrees.

    python -m scripts.studies.robustness DIR [--save FOLDER]

Columns of INDEX.tsv that are used: file, size (WIDTHxHEIGHT, as stored), exif_orientation, format, pillow_result.
"""

import argparse
import csv
import dataclasses
import sys
import tempfile
from pathlib import Path

import numpy as np

from translate.data.images import ImageError, Picture, natural_key, read_header, read_image, write_image

WIDTH = 80


def check_file(path: Path, expected: dict[str, str] | None, scratch: Path) -> tuple[str, str | None, Picture | None]:
    """Read one file.

    Returns:
        What came of it, what disagrees (None if nothing does), and the picture if it opened.
    """
    try:
        picture = read_image(path)
    except ImageError as error:
        text = str(error)
        result = f"refused: {text.removeprefix(f'{path}: ')}"
        if "\n" in text or path.name not in text:
            return result, "the error is not one line that names the file", None
        if expected is not None and expected["pillow_result"] == "ok":
            return result, "it should open", None
        return result, None, None
    except Exception as error:  # the point of this script is that nothing else is raised
        return f"{type(error).__name__}: {error}", "an exception other than ImageError", None
    width, height = picture.size
    result = f"{width}x{height}, {picture.channels} x {picture.bits} bits{', ICC' if picture.icc_profile else ''}"
    problem = check_expectation(picture, expected) or check_header(path, picture) or check_round_trip(picture, scratch)
    return result, problem, picture


def check_expectation(picture: Picture, expected: dict[str, str] | None) -> str | None:
    """Compare with the row of INDEX.tsv."""
    if expected is None:
        return None
    if expected["pillow_result"] != "ok":
        return "it should be refused"
    width, height = (int(number) for number in expected["size"].split("x"))
    # Pillow reports a TIFF's size upright already.
    if expected["exif_orientation"] in ("5", "6", "7", "8") and expected["format"] != "TIFF":
        width, height = height, width
    return None if picture.size == (width, height) else f"expected {width}x{height}"


def check_header(path: Path, picture: Picture) -> str | None:
    """Compare the header, read without decoding, with the pixels."""
    header = read_header(path)
    expected = (*picture.size, picture.channels, picture.bits, picture.alpha is not None)
    found = dataclasses.astuple(header)
    return None if found == expected else f"the header says {found}, the pixels {expected}"


def check_round_trip(picture: Picture, scratch: Path) -> str | None:
    """Write as PNG, read again, compare; without the ICC profile, whose two conversions would round."""
    pixels = picture.pixels
    write_image(scratch, dataclasses.replace(picture, icc_profile=None))
    again = read_image(scratch).pixels
    return None if again.dtype == pixels.dtype and np.array_equal(again, pixels) else "the PNG round trip differs"


def main() -> int:
    parser = argparse.ArgumentParser(description="Open every file of a folder and compare with its INDEX.tsv, if any.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="the files to open")
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="write each picture here as PNG, to look at")
    args = parser.parse_args()
    if not args.folder.is_dir():
        parser.error(f"{args.folder}: no such folder")
    if args.save:
        args.save.mkdir(parents=True, exist_ok=True)

    index: dict[str, dict[str, str]] = {}
    index_path = args.folder / "INDEX.tsv"
    if index_path.is_file():
        with index_path.open(encoding="utf-8", newline="") as file:
            index = {row["file"]: row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)}
        missing = [name for name in index if not (args.folder / name).is_file()]
    else:
        missing = []
    paths = sorted((path for path in args.folder.iterdir() if path.is_file()), key=natural_key)
    paths = [path for path in paths if path.name in index] if index else paths

    opened = refused = 0
    problems = [f"{name}: in INDEX.tsv, but not in the folder" for name in missing]
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder, "again.png")
        for path in paths:
            result, problem, picture = check_file(path, index.get(path.name), scratch)
            line = f"{path.name[:40]:40} {result}"
            print(line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}...")
            opened += picture is not None
            refused += picture is None
            if problem:
                problems.append(f"{path.name}: {problem}")
            if args.save and picture is not None:
                write_image(args.save / f"{path.name}.png", dataclasses.replace(picture, icc_profile=None))
    compared = f", {len(paths)} compared with INDEX.tsv" if index else ""
    print(f"\n{len(paths)} files: {opened} opened, {refused} refused{compared}; {len(problems)} disagree")
    for line in problems:
        print(f"  {line}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
