"""Where styles lie: one image, a folder of them, a folder for each."""

import numpy as np
import pytest
from PIL import Image

from translate.data.layouts import LayoutError
from translate.data.style_images import Style, StyleImages, find_styles, read_style


def painting(path, size=(80, 100), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


def test_one_image_is_a_style(tmp_path):
    file = painting(tmp_path / "The Great Wave (1831).png")
    (style,) = find_styles(file)
    assert (style.name, style.files) == ("the-great-wave-1831", (file,))


def test_images_and_folders_are_styles(tmp_path):
    for name in ("red fuji.jpg", "2.png", "10.png", "vangogh/a.png", "vangogh/train/b.png", "empty/x.txt"):
        if name.endswith("txt"):
            (tmp_path / "empty").mkdir()
        else:
            painting(tmp_path / name)
    found = {style.name: len(style.files) for style in find_styles(tmp_path)}
    assert list(found.items()) == [("2", 1), ("10", 1), ("red-fuji", 1), ("vangogh", 2)]


def test_what_is_no_style(tmp_path):
    with pytest.raises(LayoutError, match="no such folder"):
        find_styles(tmp_path / "nowhere")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(LayoutError, match="no style images in it"):
        find_styles(tmp_path / "nothing")
    for name in ("same/A b.png", "same/a-b.jpg"):
        painting(tmp_path / name)
    with pytest.raises(LayoutError, match="two styles are called 'a-b'"):
        find_styles(tmp_path / "same")
    with pytest.raises(LayoutError, match="is 20x90, too small to show a style"):
        read_style(painting(tmp_path / "small.png", size=(90, 20)), size=64)
    (tmp_path / "torn.png").write_bytes(b"no image")
    with pytest.raises(LayoutError, match=r"torn\.png"):
        read_style(tmp_path / "torn.png", size=64)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_any_kind_of_image_is_read_as_rgb(tmp_path, mode):
    pixels = read_style(painting(tmp_path / "a.png", mode=mode), size=96)
    assert (pixels.shape, pixels.dtype) == ((96, 120, 3), np.uint8)


def test_few_images_of_a_style_may_be_broken(tmp_path):
    files = tuple(painting(tmp_path / f"{name}.png") for name in "abcd")
    files[1].write_bytes(b"no image")
    styles = (Style(name="many", files=files),)
    images = StyleImages(styles, size=64, max_bad=0.25)
    assert [style.files for style in images.styles] == [(files[0], *files[2:])]
    assert len(images.left_out) == 1
    assert "b.png" in images.left_out[0]
    images.split()
    assert [style.name for style in images.styles] == ["a", "c", "d"]
    with pytest.raises(LayoutError, match=r"1 of 4 images of the style 'many' cannot be used, such as: .*b\.png"):
        StyleImages(styles, size=64, max_bad=0.2)
    for file in files:
        file.write_bytes(b"no image")
    with pytest.raises(LayoutError, match="4 of 4 images"):
        StyleImages(styles, size=64, max_bad=1.0)
