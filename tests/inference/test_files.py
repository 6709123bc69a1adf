"""Files to files: in order, side by side, and one bad file ends nothing."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from translate.config import ResNetConfig, WeightsConfig
from translate.data import layouts_common
from translate.data.images import Picture, composite, read_image, write_image
from translate.data.inputs import Input
from translate.inference import InferenceError, Translator, files, translate_files
from translate.inference.files import names_a_file, output_paths, outputs_for
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


def named(paths: Sequence[Path | str]) -> list[Input]:
    """As from one folder that was given."""
    return [Input(path=Path(path), name=Path(path).name) for path in paths]


# Names


def names_of(inputs: Sequence[str], *, suffix: str = ".png", mark: str = "") -> list[str]:
    found = output_paths(
        [Input(path=Path("in") / name, name=name) for name in inputs], Path("out"), suffix=suffix, mark=mark
    )
    return [path.relative_to("out").as_posix() for path in found]


def test_outputs_take_the_stem():
    inputs = ["one.jpg", "two.tif", "three.tar.png", "000007"]
    assert names_of(inputs, suffix=".webp") == ["one.webp", "two.webp", "three.tar.webp", "000007.webp"]


def test_the_tree_is_mirrored():
    assert names_of(["a/0.png", "b/0.png", "0.png"]) == ["a/0.png", "b/0.png", "0.png"]
    assert names_of(["clip1/frame_001.jpg"], suffix=".tvq", mark="-3") == ["clip1/frame_001-3.tvq"]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (["a.png", "a.jpg"], ["a.png", "a-jpg.png"]),
        (["a.jpg", "a.png"], ["a-jpg.png", "a.png"]),  # the one that has the output's name keeps it
        (["a.jpg", "a.tif"], ["a-jpg.png", "a-tif.png"]),
        (["x/a.jpg", "x/a.tif", "a.jpg"], ["x/a-jpg.png", "x/a-tif.png", "a.png"]),
        (["a.png", "A.png"], ["a.png", "A-2.png"]),  # one name on the disks of Windows and macOS
        (["a.JPG", "a.jpg", "a.png"], ["a-JPG.png", "a-jpg-2.png", "a.png"]),
        (["X/a.png", "x/a.png"], ["X/a.png", "x/a-2.png"]),
        (["\u00e9.png", "e\u0301.png"], ["\u00e9.png", "e\u0301-2.png"]),  # é in both Unicode forms
        (["a.jpg", "a.jpg", "a-2.jpg", "a.jpg"], ["a.png", "a-3.png", "a-2.png", "a-4.png"]),
        (["a.jpg", "a.tif", "a-jpg.jpg"], ["a-jpg-2.png", "a-tif.png", "a-jpg.png"]),
        (["a.jpg", "a.png/b.jpg"], ["a-2.png", "a.png/b.png"]),  # a file cannot lie in a file
    ],
)
def test_names_that_collide_are_told_apart(inputs, expected):
    assert names_of(inputs) == expected


def test_many_equal_names():
    assert len(set(names_of(["a.jpg"] * 50))) == 50


def test_a_single_output(tmp_path):
    inputs = named([tmp_path / "a.jpg"])
    assert outputs_for(inputs, tmp_path / "x.tif", suffix=".png", single=(".tif",)) == [tmp_path / "x.tif"]
    assert outputs_for(inputs, tmp_path / "x", suffix=".png", single=(".tif",)) == [tmp_path / "x" / "a.png"]
    with pytest.raises(InferenceError, match=r"x\.tif is one file, and there are 2 inputs: name a folder"):
        outputs_for(inputs * 2, tmp_path / "x.tif", suffix=".png", single=(".tif",))


@pytest.mark.parametrize("name", ["out.heic", "out.SVG", "out.mp4", "out.gif", "out.zip", "out.pdf", "out.tvq"])
def test_files_that_cannot_be_written_are_no_folders(tmp_path, name):
    with pytest.raises(InferenceError, match=r"cannot be written; use one of \.png \.jpg, or name a folder"):
        names_a_file(tmp_path / name, (".png", ".jpg"))
    with pytest.raises(InferenceError, match="cannot be written; name a folder"):
        names_a_file(tmp_path / name, ())
    (tmp_path / name).mkdir()
    assert not names_a_file(tmp_path / name, (".png",))


@pytest.mark.parametrize("name", ["out", "runs/v1.2", "2021.01.31", "exp.lr0.1", "..", "photos.raw-files"])
def test_folders_may_have_dots(tmp_path, name):
    assert not names_a_file(tmp_path / name, (".png",))


def test_folders_are_made_and_what_cannot_be_made_is_said(tmp_path, translator, out):
    inputs = images(tmp_path / "in", [(4, 4)] * 2)
    (out / "taken").write_text("a file")
    outputs = [out / "taken" / "0.png", out / "deep" / "er" / "1.png"]
    summary = translate_files(translator, inputs, outputs)
    assert summary.written == [outputs[1]]
    assert "taken cannot be written" in summary.failed[inputs[0]]


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
        output_paths(named([source]), folder)
    with pytest.raises(InferenceError, match=r"000\.png is an input and would be overwritten: choose another"):
        translate_files(translator, [source], [folder / "000.png"])
    assert source.read_bytes() == before


def test_a_file_that_is_no_input_is_overwritten(tmp_path, translator, out):
    inputs = images(tmp_path / "in", [(4, 4)])
    (out / "000.png").write_bytes(b"old")
    translate_files(translator, inputs, output_paths(named(inputs), out))
    with Image.open(out / "000.png") as image:
        assert image.size == (4, 4)


# Translating


def test_every_file_is_translated_in_order(tmp_path, translator, out):
    sizes = [(9, 5), (9, 5), (4, 4), (1, 1), (9, 5), (30, 2)] * 4
    inputs = images(tmp_path / "in", sizes)
    outputs = output_paths(named(inputs), out)
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
    translate_files(translator, inputs, output_paths(named(inputs), out), batch_size=3)
    assert translator.network.batches == [(3, 3, 8, 8), (2, 3, 8, 8), (2, 3, 4, 8), (1, 3, 8, 8)]


def test_large_images_go_alone(tmp_path, translator, out):
    translator.batch_pixels = 150
    inputs = images(tmp_path / "in", [(8, 8)] * 4 + [(20, 20)] * 2)
    translate_files(translator, inputs, output_paths(named(inputs), out))
    assert [batch[0] for batch in translator.network.batches] == [2, 2, 1, 1]


class Meeting(Negative):
    """Goes on when so many threads are in it at once."""

    def __init__(self, threads: int) -> None:
        super().__init__()
        self.barrier = threading.Barrier(threads, timeout=30)
        self.seen: set[tuple[int, int]] = set()

    def forward(self, images: Tensor) -> Tensor:
        self.seen.add((threading.get_ident(), torch.get_num_threads()))
        self.barrier.wait()
        return super().forward(images)


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def opened(network: Generator, **changes: Any) -> Translator:
    config = WeightsConfig(kind="translator", name="n", network=ResNetConfig(width=1, num_blocks=0), **changes)
    return Translator(network.eval(), config, device="cpu", precision="fp32")


def test_many_small_images_are_translated_side_by_side(tmp_path, out, three_threads):
    translator = opened(Meeting(3))
    translator.batch_pixels = 64
    inputs = images(tmp_path / "in", [(8, 8)] * 6)
    done: list[Path] = []
    summary = translate_files(
        translator, inputs, output_paths(named(inputs), out), on_done=lambda path, _: done.append(path)
    )
    assert (summary.written, done) == (output_paths(named(inputs), out), inputs)
    for number, path in enumerate(summary.written):
        assert Image.open(path).getpixel((0, 0)) == (255 - number, 155, 55)
    threads, counts = zip(*translator.network.seen, strict=True)
    assert (len(set(threads)), set(counts)) == (3, {1})
    assert threading.get_ident() not in threads
    found: list[int] = []
    later = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert (torch.get_num_threads(), found) == (3, [3])  # as before


@pytest.mark.parametrize(
    ("sizes", "noise", "training"),
    [
        ([(8, 8)] * 5, "never", False),
        ([(800, 800)] * 6, "never", False),
        ([(8, 8)] * 6, "always", False),
        ([(8, 8)] * 6, "never", True),
    ],
    ids=["few", "large", "noise", "training mode"],
)
def test_others_are_translated_one_after_the_other(tmp_path, out, three_threads, sizes, noise, training):
    translator = opened(Meeting(1), noise=noise)
    translator.network.train(training)
    inputs = images(tmp_path / "in", sizes)
    summary = translate_files(translator, inputs, output_paths(named(inputs), out), tile="off")
    assert summary.written == output_paths(named(inputs), out)
    assert translator.network.seen == {(threading.get_ident(), 3)}


def test_the_pixels_at_work_are_bounded(tmp_path, out, three_threads, monkeypatch):
    monkeypatch.setattr(files, "MAX_PIXELS_IN_WORK", 2 * 64 + 1)
    translator = opened(Meeting(2))
    translator.batch_pixels = 64
    inputs = images(tmp_path / "in", [(8, 8)] * 6)
    assert (
        len(translate_files(translator, inputs, output_paths(named(inputs), out)).written) == 6
    )  # two meet, not three


def test_threads_are_those_of_the_moment(three_threads):
    translator = opened(Negative())
    assert translator.threads == 3
    torch.set_num_threads(2)
    assert translator.threads == 2


def test_one_bad_image_beside_others_fails_alone(tmp_path, out, three_threads):
    translator = opened(Negative())
    inputs = images(tmp_path / "in", [(8, 8)] * 8)
    bands = np.zeros((8, 8, 5), np.uint8)
    np.save(tmp_path / "in" / "003.npy", bands)
    inputs[3] = tmp_path / "in" / "003.npy"
    summary = translate_files(translator, inputs, output_paths(named(inputs), out))
    assert list(summary.failed) == [inputs[3]]
    assert len(summary.written) == 7


@pytest.mark.parametrize("threads", [1, 3])
def test_what_was_written_before_an_interruption_is_noted(tmp_path, out, threads):
    class Interrupted(Negative):
        def forward(self, images: Tensor) -> Tensor:
            if len(self.batches) == 5:
                raise KeyboardInterrupt
            return super().forward(images)

    class Notes:
        def __init__(self) -> None:
            self.targets: list[Path] = []

        def add(self, source: object, target: Path) -> None:
            self.targets.append(target)

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        translator, notes = opened(Interrupted()), Notes()
        translator.batch_pixels = 64
        inputs = images(tmp_path / "in", [(8, 8)] * 12)
        with pytest.raises(KeyboardInterrupt):
            translate_files(translator, inputs, output_paths(named(inputs), out), record=notes)
    finally:
        torch.set_num_threads(before)
    assert sorted(notes.targets) == sorted(out.iterdir())
    assert notes.targets


def test_a_fault_of_the_network_ends_the_run(tmp_path, out, three_threads):
    class Broken(Negative):
        def forward(self, images: Tensor) -> Tensor:
            raise ZeroDivisionError

    inputs = images(tmp_path / "in", [(8, 8)] * 8)
    with pytest.raises(ZeroDivisionError):
        translate_files(opened(Broken()), inputs, output_paths(named(inputs), out))
    assert torch.get_num_threads() == 3
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_formats(tmp_path, translator, out, suffix):
    inputs = images(tmp_path / "in", [(16, 16)])
    (output,) = output_paths(named(inputs), out, suffix=suffix)
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
    outputs = output_paths(named(inputs), out, suffix=suffix)
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
    outputs = output_paths(named(inputs), out)
    summary = translate_files(translator, inputs, outputs, on_done=done.__setitem__)
    assert summary.written == [outputs[number] for number in (0, 2, 3, 5)]
    assert set(summary.failed) == {inputs[1], inputs[4], inputs[6]}
    for path, reason in summary.failed.items():
        assert reason.startswith(f"{path}: ")
        assert "\n" not in reason
    assert done == dict.fromkeys(inputs) | summary.failed
    assert sorted(out.iterdir()) == summary.written


@pytest.mark.parametrize("fault", ["file for a folder", "unknown suffix"])
def test_an_output_that_cannot_be_written_is_named(tmp_path, translator, out, fault):
    inputs = images(tmp_path / "in", [(8, 8)] * 3)
    outputs = output_paths(named(inputs), out)
    (tmp_path / "file").write_text("in the way")
    outputs[1] = {
        "file for a folder": tmp_path / "file" / "x.png",
        "unknown suffix": out / "x.xyz",
    }[fault]
    summary = translate_files(translator, inputs, outputs)
    assert summary.written == [outputs[0], outputs[2]]
    assert list(summary.failed) == [inputs[1]]
    assert str(outputs[1]) in summary.failed[inputs[1]]


def test_an_image_too_large_for_memory_fails_alone(tmp_path, translator, out, monkeypatch):
    inputs = images(tmp_path / "in", [(8, 8), (40, 40), (8, 8)])
    pictures = Translator.apply

    def limited(self: Translator, given: Sequence[Picture], **options: object) -> list[Picture]:
        if given[0].size[0] > 20:
            raise InferenceError("40x40 is too large for the memory of cpu: make it smaller")
        return pictures(self, given, **options)

    monkeypatch.setattr(Translator, "apply", limited)
    summary = translate_files(translator, inputs, output_paths(named(inputs), out))
    assert len(summary.written) == 2
    assert summary.failed == {inputs[1]: f"{inputs[1]}: 40x40 is too large for the memory of cpu: make it smaller"}


def test_reading_ahead_is_bounded(tmp_path, translator, out, monkeypatch):
    inputs = images(tmp_path / "in", [(4, 4)] * 60)
    lock, read, written, most = threading.Lock(), [0], [0], [0]
    real_read, real_write = layouts_common.read_image, files.write_image

    def counted_read(path: Path, *, page: int = 0) -> Picture:
        with lock:
            read[0] += 1
            most[0] = max(most[0], read[0] - written[0])
        return real_read(path, page=page)

    def counted_write(path: Path, picture: Picture, **options: Any) -> None:
        real_write(path, picture, **options)
        with lock:
            written[0] += 1

    monkeypatch.setattr(layouts_common, "read_image", counted_read)
    monkeypatch.setattr(files, "write_image", counted_write)
    monkeypatch.setattr(files.os, "cpu_count", lambda: 2)
    summary = translate_files(translator, inputs, output_paths(named(inputs), out), batch_size=4)
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
        translate_files(translator, inputs, output_paths(named(inputs), folder), batch_size=batch_size, seed=3)
        results.append([np.asarray(Image.open(path)) for path in sorted(folder.iterdir())])
    assert all(np.array_equal(one, three) for one, three in zip(*results, strict=True))
