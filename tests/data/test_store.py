"""Pairs decoded once and kept exactly."""

import errno
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from translate.data import store as store_module
from translate.data.images import ImageError, Picture, write_image
from translate.data.layouts import ImageSource, LayoutError, Pair, find_pairs
from translate.data.store import Format, PairStore, _Segments, fitted_size, resize, to_format

RGB = Format(channels=3)


def save(path: Path, pixels: np.ndarray) -> ImageSource:
    path.parent.mkdir(exist_ok=True)
    write_image(path, Picture(pixels=pixels))
    return ImageSource(path=path)


def noise(height: int, width: int, channels: int = 3, *, bits: int = 8, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).integers(0, 2**bits, (height, width, channels))
    return values.astype(np.uint16 if bits == 16 else np.uint8)


def pair_of(folder: Path, a: np.ndarray, b: np.ndarray, *, name: str = "x") -> Pair:
    return Pair(name=name, a=save(folder / f"{name}a.png", a), b=save(folder / f"{name}b.png", b))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the pairs that were decoded."""
    names: list[str] = []
    read = Pair.read

    def counted(pair: Pair) -> tuple[Picture, Picture]:
        names.append(pair.name)
        return read(pair)

    monkeypatch.setattr(Pair, "read", counted)
    return names


# Formats


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("given", [1, 2, 3, 4])
@pytest.mark.parametrize("given_bits", [8, 16])
def test_every_picture_becomes_every_format(channels, bits, given, given_bits):
    fmt = Format(channels=channels, bits=bits)
    pixels = to_format(Picture(pixels=noise(3, 5, given, bits=given_bits)), fmt)
    assert pixels.shape == (3, 5, channels)
    assert pixels.dtype == fmt.dtype
    if channels in (2, 4) and given in (1, 3):
        assert (pixels[..., -1] == np.iinfo(fmt.dtype).max).all()  # opaque


def test_a_picture_in_its_own_format_is_unchanged():
    for channels in (1, 2, 3, 4):
        for bits in (8, 16):
            pixels = noise(4, 4, channels, bits=bits)
            assert np.array_equal(to_format(Picture(pixels=pixels), Format(channels=channels, bits=bits)), pixels)


def test_alpha_is_composited_over_white_or_kept():
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[0, :, 3] = (0, 255, 51)
    assert to_format(Picture(pixels=pixels), RGB)[0, :, 0].tolist() == [255, 0, 204]
    assert np.array_equal(to_format(Picture(pixels=pixels), Format(channels=4)), pixels)


# Sizes


@pytest.mark.parametrize(
    ("size", "side", "fit", "expected"),
    [
        ((256, 256), 286, "cover", (286, 286)),
        ((512, 256), 286, "cover", (572, 286)),
        ((300, 400), 150, "cover", (150, 200)),
        ((1, 1000), 8, "cover", (8, 8000)),
        ((1000, 999), 64, "cover", (64, 64)),
        ((512, 256), 286, "stretch", (286, 286)),
        ((7, 9), 8, "stretch", (8, 8)),
    ],
)
def test_fitted_size(size, side, fit, expected):
    assert fitted_size(*size, side=side, fit=fit) == expected


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("nearest", [False, True])
def test_resize_keeps_kind_and_constant_values(bits, channels, nearest):
    pixels = np.full((7, 5, channels), 2**bits - 56, np.uint16 if bits == 16 else np.uint8)
    output = resize(pixels, width=9, height=4, nearest=nearest)
    assert output.shape == (4, 9, channels)
    assert output.dtype == pixels.dtype
    assert (np.abs(output.astype(int) - pixels[0, 0, 0]) <= (1 if channels in (2, 4) else 0)).all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("size", "target"),
    [((64, 64), (72, 72)), ((256, 200), (97, 76)), ((37, 41), (70, 90)), ((3, 5), (8, 13)), ((40, 9), (11, 30))],
)
def test_resize_is_pillows_filter(size, target, channels):
    (width, height), (wide, high) = size, target
    pixels = noise(height, width, channels)
    flat = pixels[..., 0] if channels == 1 else pixels
    expected = np.asarray(Image.fromarray(flat).resize(target, Image.Resampling.BICUBIC)).reshape(high, wide, channels)
    difference = np.abs(resize(pixels, width=wide, height=high).astype(int) - expected)
    assert difference.max() <= 2  # both round between the two directions
    assert (difference > 0).mean() < 0.03


def test_resize_of_what_cannot_be_written_to(recwarn):
    pixels = noise(9, 12)
    expected = resize(pixels, width=20, height=15)
    pixels.flags.writeable = False
    assert np.array_equal(resize(pixels, width=20, height=15), expected)
    half = noise(9, 24)[:, 12:]  # a view of a wider image
    assert np.array_equal(resize(half, width=20, height=15), resize(half.copy(), width=20, height=15))
    assert not recwarn.list


def test_resize_to_the_same_size_copies_nothing():
    pixels = noise(4, 6)
    assert resize(pixels, width=6, height=4) is pixels


def test_resize_of_16_bits_is_finer_than_of_8():
    ramp = np.linspace(0, 65535, 64).astype(np.uint16)[None, :, None].repeat(4, axis=0)
    fine = resize(ramp, width=37, height=4)[0, :, 0].astype(int)
    assert (np.diff(fine) > 0).all()
    assert (fine % 257 != 0).any()
    coarse = resize((ramp // 257).astype(np.uint8), width=37, height=4)[0, :, 0].astype(int)
    assert np.abs(fine / 257 - coarse).max() < 1.5


def test_resize_clips_the_overshoot_of_16_bits():
    edge = np.repeat(np.array([0, 65535], np.uint16), 8)[None, :, None].repeat(16, axis=0)
    output = resize(edge, width=40, height=40)
    assert output.min() == 0
    assert output.max() == 65535


@pytest.mark.parametrize("bits", [8, 16])
def test_label_maps_keep_their_exact_colours(tmp_path, bits):
    palette = noise(5, 1, bits=bits)[:, 0]
    labels = palette[np.random.default_rng(1).integers(0, 5, (23, 31))]
    photo = noise(23, 31)
    fmt = Format(channels=labels.shape[-1], bits=bits, nearest=True)
    store = PairStore([pair_of(tmp_path, labels, photo)], a=fmt, b=RGB, side=17)
    a, b = store.read(0)
    assert {tuple(colour) for colour in a.reshape(-1, a.shape[-1])} <= {tuple(colour) for colour in palette}
    assert a.shape[:2] == b.shape[:2] == (17, 23)


# The cache


@pytest.mark.parametrize("bits", [8, 16])
def test_the_second_read_does_not_decode_and_is_equal(tmp_path, decoded, bits):
    pairs = [
        pair_of(tmp_path, noise(9, 11, bits=bits, seed=n), noise(9, 11, seed=9 + n), name=f"{n}") for n in range(5)
    ]
    store = PairStore(pairs, a=Format(channels=3, bits=bits), b=RGB, side=9, cache=tmp_path / "cache")
    first = [[half.copy() for half in store.read(index)] for index in range(5)]
    second = [store.read(index) for index in range(5)]
    assert len(decoded) == 5
    assert np.array_equal(first[3][0], noise(9, 11, bits=bits, seed=3))  # kept exactly
    for halves, again in zip(first, second, strict=True):
        assert all(np.array_equal(*half) for half in zip(halves, again, strict=True))
        assert [half.dtype for half in halves] == [half.dtype for half in again]
    store.close()


def test_the_cache_holds_channels_one_after_the_other(tmp_path):
    pair = pair_of(tmp_path, noise(9, 11), noise(9, 11, bits=16))
    store = PairStore([pair], a=RGB, b=Format(channels=3, bits=16), side=9, cache=tmp_path / "cache")
    first, again = store.read(0), store.read(0)
    for decoded, kept in zip(first, again, strict=True):
        assert kept.transpose(2, 0, 1).flags.c_contiguous
        assert np.array_equal(decoded, kept)
    store.close()


def test_the_cache_cannot_be_changed_by_a_reader(tmp_path):
    store = PairStore([pair_of(tmp_path, noise(8, 8), noise(8, 8))], a=RGB, b=RGB, side=8, cache=tmp_path / "cache")
    store.read(0)
    with pytest.raises(ValueError, match="read-only"):
        store.read(0)[0][:] = 0
    store.close()


@pytest.mark.parametrize("cache_bytes", [0, 1000, 3 * 2 * 8 * 8 * 3])
def test_the_cache_is_bounded(tmp_path, decoded, cache_bytes):
    pairs = [pair_of(tmp_path, noise(8, 8), noise(8, 8), name=f"{n}") for n in range(5)]
    cache = tmp_path / "cache"
    store = PairStore(pairs, a=RGB, b=RGB, side=8, cache=cache, cache_bytes=cache_bytes)
    for _ in range(2):
        for index in range(5):
            store.read(index)
    fit = cache_bytes // (2 * 8 * 8 * 3)
    assert len(decoded) == 10 - fit
    assert sum(file.stat().st_size for file in cache.glob("*")) <= cache_bytes
    store.close()
    assert not cache.exists()


def test_no_cache_without_a_folder(tmp_path, decoded):
    store = PairStore([pair_of(tmp_path, noise(8, 8), noise(8, 8))], a=RGB, b=RGB, side=8)
    store.read(0)
    store.read(0)
    assert len(decoded) == 2


def test_segments_grow_and_keep_odd_sizes_aligned(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "FIRST_SEGMENT_BYTES", 64)
    segments = _Segments(tmp_path / "cache", limit=10_000)
    given, kept = [], []
    for number in range(30):
        arrays = [noise(1, 5 + number, 1, seed=number), noise(3, 3, 1, bits=16, seed=number)]
        copies = segments.append(arrays)
        assert copies is not None
        given += arrays
        kept += copies
    assert len(segments.maps) > 3
    assert all(np.array_equal(array, copy) for array, copy in zip(given, kept, strict=True))
    assert all(copy.flags.aligned for copy in kept)


def test_arrays_larger_than_a_segment_fit_with_odd_sizes(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "FIRST_SEGMENT_BYTES", 2)
    monkeypatch.setattr(store_module, "SEGMENT_BYTES", 2)
    arrays = [noise(1, 5, 1), noise(1, 5, 1, bits=16)]
    copies = _Segments(tmp_path / "cache", limit=100).append(arrays)
    assert copies is not None
    assert all(np.array_equal(array, copy) for array, copy in zip(arrays, copies, strict=True))


def test_closing_removes_the_cache_and_reading_goes_on_without(tmp_path, decoded):
    cache = tmp_path / "run" / "cache"
    store = PairStore([pair_of(tmp_path, noise(8, 8), noise(8, 8))], a=RGB, b=RGB, side=8, cache=cache)
    store.read(0)
    held = store.read(0) if sys.platform != "win32" else None  # Windows removes no file that is still mapped
    assert cache.exists()
    store.close()
    store.close()
    assert not cache.exists()
    if held is not None:
        assert np.array_equal(held[0], noise(8, 8))  # a view that someone still holds stays readable
    store.read(0)
    assert len(decoded) == 2
    assert not cache.exists()


@pytest.mark.parametrize("fault", ["full", "no room", "file in the way"])
def test_a_cache_that_cannot_be_written_costs_only_speed(tmp_path, monkeypatch, decoded, fault):
    cache = tmp_path / "cache"
    if fault == "full":

        def fail(segments: _Segments, size: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(_Segments, "_new_segment", fail)
    elif fault == "no room":
        usage = store_module.shutil.disk_usage(tmp_path)._replace(free=1000)
        monkeypatch.setattr(store_module.shutil, "disk_usage", lambda path: usage)
    else:
        cache.write_text("not a folder")
    store = PairStore([pair_of(tmp_path, noise(8, 8), noise(8, 8))], a=RGB, b=RGB, side=8, cache=cache)
    assert np.array_equal(store.read(0)[0], store.read(0)[0])
    assert len(decoded) == 2
    store.close()
    assert cache.is_file() == (fault == "file in the way")


def test_many_threads_read_what_one_reads(tmp_path):
    pairs = [pair_of(tmp_path, noise(8, 8, seed=n), noise(8, 8, seed=50 + n), name=f"{n}") for n in range(12)]
    store = PairStore(pairs, a=RGB, b=RGB, side=8, cache=tmp_path / "cache")
    start = threading.Barrier(8)

    def read_all(worker: int) -> bool:
        start.wait()
        order = np.random.default_rng(worker).permutation(np.repeat(np.arange(12), 5))
        return all(
            np.array_equal(half, noise(8, 8, seed=seed))
            for index in order
            for half, seed in zip(store.read(int(index)), (index, 50 + index), strict=True)
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read_all, range(8)))
    used = sum(file.stat().st_size for file in (tmp_path / "cache").iterdir())
    assert store._segments is not None
    assert store._segments.used == 12 * 2 * 8 * 8 * 3 <= used  # each pair is kept once
    store.close()


# Refusals


def test_halves_of_different_size_are_named(tmp_path):
    store = PairStore([pair_of(tmp_path, noise(8, 9), noise(8, 8))], a=RGB, b=RGB, side=8)
    with pytest.raises(ImageError, match=r"xa\.png is 9x8 and .*xb\.png is 8x8: the halves of a pair must have one"):
        store.read(0)


def test_halves_too_narrow_to_enlarge_are_named(tmp_path):
    pair = pair_of(tmp_path, noise(1, 900), noise(1, 900))
    with pytest.raises(ImageError, match=r"xa\.png is 900x1: too narrow to be cropped at 512 px"):
        PairStore([pair], a=RGB, b=RGB, side=512).read(0)
    assert PairStore([pair], a=RGB, b=RGB, side=16, fit="stretch").read(0)[0].shape == (16, 16, 3)


def test_unreadable_files_are_named(tmp_path):
    path = tmp_path / "torn.png"
    path.write_bytes(b"\x89PNG\r\n")
    halves = [ImageSource(path=path, half=half) for half in ("left", "right")]
    store = PairStore([Pair(name="torn", a=halves[0], b=halves[1])], a=RGB, b=RGB, side=8)
    with pytest.raises(ImageError, match=r"torn\.png"):
        store.read(0)
    save(path, noise(8, 9))
    with pytest.raises(LayoutError, match="9x8"):
        store.read(0)


def test_one_file_of_two_halves(tmp_path, make_pairs, decoded):
    folder = make_pairs(3, width=32, height=24)
    pairs = find_pairs(folder, layout="side-by-side").splits["train"]
    store = PairStore(pairs, a=RGB, b=RGB, side=24)
    a, b = store.read(1)
    whole = np.asarray(Image.open(pairs[1].a.path))
    assert np.array_equal(np.concatenate([a, b], axis=1), whole)
    assert len(store) == 3
