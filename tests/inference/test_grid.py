"""Images of images."""

import numpy as np
import pytest
from PIL import Image

from translate.inference.grid import contact_sheet, on_screen


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.fromarray(np.full((4, 4), 30_000, np.uint16)), (117, 117, 117)),  # Pillow alone makes this white
        (Image.new("L", (4, 4), 117), (117, 117, 117)),
        (Image.new("RGB", (4, 4), (1, 2, 3)), (1, 2, 3)),
        (Image.new("RGBA", (4, 4), (1, 2, 3, 0)), (1, 2, 3)),
    ],
)
def test_images_of_any_depth_are_shown_alike(image, expected):
    assert on_screen(image).mode == "RGB"
    assert on_screen(image).getpixel((1, 1)) == expected
    assert contact_sheet([image, image]).getpixel((1, 1)) == expected
