"""Files to files: in order, side by side, and one bad file ends nothing."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from translate.config import ResNetConfig, WeightsConfig
from translate.data.images import Picture, composite, read_image, write_image
from translate.inference import InferenceError, Translator, files, translate_files
from translate.inference.files import output_paths
from translate.networks import Generator


class Negative(Generator):
    """Black becomes white; keeps the shapes of its batches."""

    stride, minimum_size = 4, 4

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[tuple[int, ...]] = []

    def forward(self, images: Tensor) -> Tensor:
        self.batches.append(tuple(images.shape))
        return -images


@pytest.fixture
def translator() -> Translator:
    config = WeightsConfig(kind="translator", name="negative", network=ResNetConfig(width=1, num_blocks=0))
    return Translator(Negative(), config, device="cpu", precision="fp32")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def images(folder: Path, sizes: Sequence[tuple[int, int]], *, suffix: str = ".png") -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number:03d}{suffix}" for number in range(len(sizes))]
    for number, (path, (width, height)) in enumerate(zip(paths, sizes, strict=True)):
        Image.new("RGB", (width, height), (number, 100, 200)).save(path)
    return paths


# Names


def test_outputs_take_the_stem(tmp_path):
    inputs = [Path("a/one.jpg"), Path("a/two.tif"), Path("b/three.tar.png")]
    names = [path.name for path in output_paths(inputs, tmp_path, suffix=".webp")]
    assert names == ["one.webp", "two.webp", "three.tar.webp"]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (["a.png", "a.jpg"], ["a.png", "a.jpg.png"]),
        (["x/a.png", "y/a.png", "z/a.png"], ["a.png", "a.png.png", "a-2.png"]),
        (["x/a.png", "y/A.PNG"], ["a.png", "A.PNG.png"]),
        (["x/a.png", "y/a.png", "z/a.png", "w/a.png"], ["a.png", "a.png.png", "a-2.png", "a-3.png"]),
        (["x/a-2.png", "x/a.png", "y/a.png", "z/a.png"], ["a-2.png", "a.png", "a.png.png", "a-3.png"]),
    ],
)
def test_names_that_collide_are_told_apart(tmp_path, inputs, expected):
    outputs = output_paths([Path("in") / name for name in inputs], tmp_path)
    assert [path.name for path in outputs] == expected
    assert len({path.name.casefold() for path in outputs}) == len(outputs)


def test_many_equal_names(tmp_path):
    outputs = output_paths([Path(f"{n}/a.png") for n in range(50)], tmp_path)
    assert len(set(outputs)) == 50


@pytest.mark.parametrize("link", ["same", "symlink", "hard link"])
def test_an_output_never_overwrites_an_input(tmp_path, translator, out, link):
    (source,) = images(tmp_path / "in", [(4, 4)])
    before = source.read_bytes()
    folder = source.parent
    if link != "same":
        folder = out
        try:
            (os.symlink if link == "symlink" else os.link)(source, out / "000.png")
        except OSError:
            pytest.skip("links are not allowed here")
    with pytest.raises(InferenceError, match=r"000\.png is an input and would be overwritten: choose another"):
        output_paths([source], folder)
    with pytest.raises(InferenceError, match=r"000\.png is an input and would be overwritten: choose another"):
        translate_files(translator, [source], [folder / "000.png"])
    assert source.read_bytes() == before


def test_a_file_that_is_no_input_is_overwritten(tmp_path, translator, out):
    inputs = images(tmp_path / "in", [(4, 4)])
    (out / "000.png").write_bytes(b"old")
    translate_files(translator, inputs, output_paths(inputs, out))
    with Image.open(out / "000.png") as image:
        assert image.size == (4, 4)


# Translating


def test_every_file_is_translated_in_order(tmp_path, translator, out):
    sizes = [(9, 5), (9, 5), (4, 4), (1, 1), (9, 5), (30, 2)] * 4
    inputs = images(tmp_path / "in", sizes)
    outputs = output_paths(inputs, out)
    done: list[tuple[Path, str | None]] = []
    summary = translate_files(translator, inputs, outputs, on_done=lambda path, reason: done.append((path, reason)))
    assert summary.written == outputs
    assert not summary.failed
    assert done == [(path, None) for path in inputs]
    for number, (path, size) in enumerate(zip(outputs, sizes, strict=True)):
        image = Image.open(path)
        assert image.size == size
        assert image.getpixel((0, 0)) == (255 - number, 155, 55)


def test_nothing_to_do(translator):
    summary = translate_files(translator, [], [])
    assert (summary.written, summary.failed) == ([], {})


def test_neighbours_of_equal_size_are_one_batch(tmp_path, translator, out):
    inputs = images(tmp_path / "in", [(8, 8)] * 5 + [(8, 4)] * 2 + [(8, 8)])
    translate_files(translator, inputs, output_paths(inputs, out), batch_size=3)
    assert translator.network.batches == [(3, 3, 8, 8), (2, 3, 8, 8), (2, 3, 4, 8), (1, 3, 8, 8)]


def test_large_images_go_alone(tmp_path, translator, out, monkeypatch):
    monkeypatch.setattr(files, "MAX_BATCH_PIXELS", 150)
    inputs = images(tmp_path / "in", [(8, 8)] * 4 + [(20, 20)] * 2)
    translate_files(translator, inputs, output_paths(inputs, out))
    assert [batch[0] for batch in translator.network.batches] == [2, 2, 1, 1]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_formats(tmp_path, translator, out, suffix):
    inputs = images(tmp_path / "in", [(16, 16)])
    (output,) = output_paths(inputs, out, suffix=suffix)
    translate_files(translator, inputs, [output], quality=90 if suffix != ".png" else None)
    pixel = Image.open(output).convert("RGB").getpixel((3, 3))
    assert np.abs(np.subtract(pixel, (255, 155, 55))).max() < 8


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bits_go_from_file_to_file(tmp_path, translator, out, suffix, channels):
    # The weights are of 8 bits: what they are given is not, and a network computes in floats.
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    inputs, pixels = [], []
    for number in range(3):  # one batch, an 8-bit neighbour in it
        bits = 8 if number == 1 else 16
        values = rng.integers(0, 2**bits, (8, 12, channels)).astype(np.uint8 if bits == 8 else np.uint16)
        inputs.append(tmp_path / "in" / f"{number}{suffix}")
        pixels.append(values)
        write_image(inputs[-1], Picture(pixels=values))
    outputs = output_paths(inputs, out, suffix=suffix)
    translate_files(translator, inputs, outputs)
    for values, path in zip(pixels, outputs, strict=True):
        result = read_image(path)
        alpha = channels in (2, 4)
        assert result.pixels.dtype == values.dtype
        expected = np.iinfo(values.dtype).max - composite(Picture(pixels=values)).pixels
        assert np.array_equal(result.colour, expected.repeat(3 if channels < 3 else 1, axis=2))
        if alpha:
            assert np.array_equal(result.alpha, values[..., -1:])
        assert result.bits == 8 or (result.pixels % 257 != 0).any()


def test_bad_files_are_named_and_the_rest_is_done(tmp_path, translator, out):
    inputs = images(tmp_path / "in", [(8, 8)] * 6)
    inputs[1].write_bytes(b"not an image")
    inputs[4].write_bytes(inputs[4].read_bytes()[:45])
    inputs.append(tmp_path / "in" / "missing.png")
    done: dict[Path, str | None] = {}
    outputs = output_paths(inputs, out)
    summary = translate_files(translator, inputs, outputs, on_done=done.__setitem__)
    assert summary.written == [outputs[number] for number in (0, 2, 3, 5)]
    assert set(summary.failed) == {inputs[1], inputs[4], inputs[6]}
    for path, reason in summary.failed.items():
        assert reason.startswith(f"{path}: ")
        assert "\n" not in reason
    assert done == dict.fromkeys(inputs) | summary.failed
    assert sorted(out.iterdir()) == summary.written


@pytest.mark.parametrize("fault", ["folder missing", "file for a folder", "unknown suffix"])
def test_an_output_that_cannot_be_written_is_named(tmp_path, translator, out, fault):
    inputs = images(tmp_path / "in", [(8, 8)] * 3)
    outputs = output_paths(inputs, out)
    (tmp_path / "file").write_text("in the way")
    outputs[1] = {
        "folder missing": tmp_path / "nowhere" / "x.png",
        "file for a folder": tmp_path / "file" / "x.png",
        "unknown suffix": out / "x.xyz",
    }[fault]
    summary = translate_files(translator, inputs, outputs)
    assert summary.written == [outputs[0], outputs[2]]
    assert list(summary.failed) == [inputs[1]]
    assert str(outputs[1]) in summary.failed[inputs[1]]


def test_an_image_too_large_for_memory_fails_alone(tmp_path, translator, out, monkeypatch):
    inputs = images(tmp_path / "in", [(8, 8), (40, 40), (8, 8)])
    pictures = Translator.pictures

    def limited(self: Translator, given: Sequence[Picture], **options: object) -> list[Picture]:
        if given[0].size[0] > 20:
            raise InferenceError("40x40 is too large for the memory of cpu: make it smaller")
        return pictures(self, given, **options)

    monkeypatch.setattr(Translator, "pictures", limited)
    summary = translate_files(translator, inputs, output_paths(inputs, out))
    assert len(summary.written) == 2
    assert summary.failed == {inputs[1]: f"{inputs[1]}: 40x40 is too large for the memory of cpu: make it smaller"}


def test_reading_ahead_is_bounded(tmp_path, translator, out, monkeypatch):
    inputs = images(tmp_path / "in", [(4, 4)] * 60)
    lock, read, written, most = threading.Lock(), [0], [0], [0]
    real_read, real_write = files.read_image, files.write_image

    def counted_read(path: Path) -> Picture:
        with lock:
            read[0] += 1
            most[0] = max(most[0], read[0] - written[0])
        return real_read(path)

    def counted_write(path: Path, picture: Picture, *, quality: int | None = None) -> None:
        real_write(path, picture, quality=quality)
        with lock:
            written[0] += 1

    monkeypatch.setattr(files, "read_image", counted_read)
    monkeypatch.setattr(files, "write_image", counted_write)
    monkeypatch.setattr(files.os, "cpu_count", lambda: 2)
    summary = translate_files(translator, inputs, output_paths(inputs, out), batch_size=4)
    assert len(summary.written) == 60
    # waiting to be translated: 2 + 4 and a group of 4; waiting to be written: 2 and a group of 4
    assert 4 <= most[0] <= 18


def test_the_same_seed_whatever_the_batches(tmp_path, out):
    from translate.config import UNetConfig
    from translate.networks import build_network

    network = UNetConfig(width=2, depth=4)
    config = WeightsConfig(kind="translator", name="noisy", network=network, noise="always")
    torch.manual_seed(0)
    translator = Translator(build_network(network), config, device="cpu", precision="fp32")
    inputs = images(tmp_path / "in", [(16, 16)] * 3)
    results = []
    for batch_size in (1, 3):
        folder = out / str(batch_size)
        folder.mkdir()
        translate_files(translator, inputs, output_paths(inputs, folder), batch_size=batch_size, seed=3)
        results.append([np.asarray(Image.open(path)) for path in sorted(folder.iterdir())])
    assert all(np.array_equal(one, three) for one, three in zip(*results, strict=True))
