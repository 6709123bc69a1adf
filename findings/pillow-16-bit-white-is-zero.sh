#!/usr/bin/env bash
# Pillow turns TIFF's WhiteIsZero round at 8 bits and not at 16: the same picture is read as its own negative, without
# a word. Fails once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==12.3.0 tifffile==2026.3.3 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys

import numpy as np
import PIL
import tifffile
from PIL import Image

stored = np.array([[0, 51, 255]], np.uint8)  # white, light grey, black, where 0 is white
seen = {}
for name, values in (("8 bits", stored), ("16 bits", stored.astype(np.uint16) * 257)):
    path = f"{sys.argv[1]}/{name}.tif"
    tifffile.imwrite(path, values, photometric="miniswhite", byteorder="<", metadata=None)
    with Image.open(path) as image:
        seen[name] = (np.asarray(image) // (257 if values.dtype == np.uint16 else 1)).tolist()
print("Pillow", PIL.__version__)
print("expected: [[255, 204, 0]] at both depths (TIFF 6.0, PhotometricInterpretation 0, WhiteIsZero)")
print("seen:    ", seen)
assert seen == {"8 bits": [[255, 204, 0]], "16 bits": [[0, 51, 255]]}, "the behaviour has changed"
PYTHON
