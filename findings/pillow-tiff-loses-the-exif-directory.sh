#!/usr/bin/env bash
# Pillow saves the same Exif object whole into JPEG, PNG and WebP, and into TIFF without its Exif directory (exposure,
# lens, date taken) and without a word; put there by hand, it is written to an uncompressed TIFF, and raises in a
# compressed one. Fails once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==12.3.0
"$folder/venv/bin/python" -W ignore - 2>"$folder/libtiff" <<'PYTHON'
import io

import PIL
from PIL import ExifTags, Image

MAKER, TAKEN, DIRECTORY = ExifTags.Base.Make, ExifTags.Base.DateTimeOriginal, ExifTags.IFD.Exif


def kept(form, by_hand=False, **options):
    """What is read again of a maker in the first directory and a date in that of Exif."""
    exif = Image.Exif()
    exif[MAKER] = "Maker"
    exif.get_ifd(DIRECTORY)[TAKEN] = "2026:01:02 03:04:05"
    if by_hand:
        exif[DIRECTORY] = exif.get_ifd(DIRECTORY)
    file = io.BytesIO()
    try:
        Image.new("RGB", (8, 8)).save(file, form, exif=exif, **options)
    except RuntimeError as error:
        return str(error)
    with Image.open(file) as image:
        found = image.getexif()
        return [found.get(MAKER), found.get_ifd(DIRECTORY).get(TAKEN)]


whole = ["Maker", "2026:01:02 03:04:05"]
seen = {form: kept(form) for form in ("JPEG", "PNG", "WEBP", "TIFF")}
seen |= {"TIFF by hand": kept("TIFF", True), "TIFF by hand, LZW": kept("TIFF", True, compression="tiff_lzw")}
print("Pillow", PIL.__version__)
for name, found in seen.items():
    print(f"{name:18} expected {whole}, seen {found}")
changed = {"TIFF": ["Maker", None], "TIFF by hand, LZW": "Error setting from dictionary"}
assert seen == dict.fromkeys(seen, whole) | changed, "the behaviour has changed"
PYTHON
