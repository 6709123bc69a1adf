#!/usr/bin/env bash
# Pillow lists the header of big-endian BigTIFF among those that it takes, and opens no such file: it looks for the 43
# in the third byte, where only the little-endian header has it. Fails once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==12.3.0 tifffile==2026.3.3 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import io

import numpy as np
import PIL
import tifffile
from PIL import Image, TiffImagePlugin

pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
seen = {}
for name, order in (("little-endian", "<"), ("big-endian", ">")):
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, bigtiff=True, byteorder=order, metadata=None)
    assert file.getvalue()[:4] in TiffImagePlugin.PREFIXES
    file.seek(0)
    np.testing.assert_array_equal(tifffile.imread(file), pixels)
    try:
        with Image.open(file) as image:
            seen[name] = bool((np.asarray(image) == pixels).all())
    except PIL.UnidentifiedImageError:
        seen[name] = "cannot identify image file"
print("Pillow", PIL.__version__)
print("expected: {'little-endian': True, 'big-endian': True}")
print("seen:    ", seen)
assert seen == {"little-endian": True, "big-endian": "cannot identify image file"}, "the behaviour has changed"
PYTHON
