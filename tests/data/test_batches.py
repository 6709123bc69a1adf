"""A stream of samples that is a function of the seed and the sample's number, and of nothing else."""

import multiprocessing
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from translate.data import batches as batches_module
from translate.data.batches import (
    DataError,
    PairBatches,
    Wanted,
    draw,
    fixed_batch,
    jitter_colour,
    permutation,
    to_signed,
)
from translate.data.images import ImageError, Picture, write_image
from translate.data.layouts import ImageSource, Pair, find_pairs
from translate.data.store import Format, PairStore, crop

RGB = Format(channels=3)
SIDE, SIZE = 24, 16


def numbered_store(folder: Path, count: int = 7, *, width: int = SIDE) -> PairStore:
    """A = B = position in red and green, the pair's number in blue, so that a sample tells where it was taken."""
    folder.mkdir(exist_ok=True)
    y, x = np.mgrid[:SIDE, :width]
    for number in range(max(2, count)):
        half = np.stack([x, y, np.full_like(x, number)], axis=-1).astype(np.uint8)
        Image.fromarray(np.concatenate([half, half], axis=1)).save(folder / f"{number:03d}.png")
    pairs = find_pairs(folder, layout="side-by-side").splits["train"][:count]
    return PairStore(pairs, a=RGB, b=RGB, side=SIDE)


def open_batches(store: PairStore, **options) -> PairBatches:
    """A stream; what it is of and how it is drawn in one."""
    asked = {field.name for field in fields(Wanted)} - {"size"}
    wanted = Wanted(**{name: value for name, value in options.items() if name in asked})
    return PairBatches(store, wanted, **{name: value for name, value in options.items() if name not in asked})


@pytest.fixture
def store(tmp_path: Path) -> PairStore:
    return numbered_store(tmp_path / "numbered")


def take(store: PairStore, count: int, **options) -> dict[str, Tensor]:
    """The first `count` samples of a stream, whatever its batch size."""
    batches = open_batches(store, **{"size": SIZE, "batch_size": 2, "seed": 3, "workers": 2} | options)
    try:
        taken = [next(batches) for _ in range(-(-count // (batches.batch_size)))]
    finally:
        batches.close()
    return {name: torch.cat([batch[name] for batch in taken])[:count] for name in ("a", "b")}


def levels(images: Tensor) -> Tensor:
    """[N, C, H, W] in [-1, 1] as 8-bit integers."""
    return ((images + 1) * 127.5).round().long()


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in ("a", "b"))


# Pixels to values


@pytest.mark.parametrize("bits", [8, 16])
def test_to_unit_is_exact(bits):
    top = 2**bits - 1
    values = np.arange(2**bits).astype(np.uint16 if bits == 16 else np.uint8).reshape(1, 16, -1, 1)
    images = to_signed(torch.from_numpy(values))
    assert images.dtype == torch.float32
    assert images.shape == (1, 1, 16, values.shape[2])
    assert images.min() == -1
    assert images.max() == 1
    assert torch.equal(((images.double() + 1) * top / 2).round().long().flatten(), torch.arange(2**bits))
    # the same rounding as the translator's, so that previews equal what the weights make later
    assert torch.equal(images.flatten(), torch.from_numpy(values.astype(np.float32) / top).flatten() * 2 - 1)


def test_to_unit_puts_channels_first():
    pixels = torch.arange(2 * 2 * 3 * 3, dtype=torch.uint8).view(2, 2, 3, 3)
    images = to_signed(pixels)
    assert images.is_contiguous()
    assert torch.equal(levels(images), pixels.permute(0, 3, 1, 2).long())


# Draws


def test_draws_are_a_function_of_seed_and_position():
    assert draw(5, seed=1) == draw(5, seed=1)
    draws = {draw(position, seed=seed) for position in range(50) for seed in (0, 1, 2**63 - 1)}
    assert len(draws) == 150


def test_draws_are_uniform():
    draws = [draw(position, seed=0) for position in range(4000)]
    for name in ("left", "top"):
        values = np.array([getattr(chosen, name) for chosen in draws])
        assert np.abs(np.quantile(values, [0.25, 0.5, 0.75]) - [0.25, 0.5, 0.75]).max() < 0.03
        assert values.min() >= 0
        assert values.max() < 1
    assert np.mean([chosen.mirror for chosen in draws]) == pytest.approx(0.5, abs=0.03)
    colours = np.array([chosen.colour for chosen in draws])
    assert np.abs(np.corrcoef(colours.T) - np.eye(3)).max() < 0.06
    assert np.abs(colours).max() <= 1


@pytest.mark.parametrize("length", [1, 2, 7, 100])
def test_permutations(length):
    orders = [permutation(length, epoch=epoch, seed=4) for epoch in range(3)]
    assert all(sorted(order) == list(range(length)) for order in orders)
    if length == 100:
        assert not np.array_equal(orders[0], orders[1])
        assert not np.array_equal(orders[0], permutation(length, epoch=0, seed=5))
    assert np.array_equal(orders[2], permutation(length, epoch=2, seed=4))


def test_crops_reach_every_place_equally():
    pixels = np.arange(12)[None, :, None].repeat(8, axis=0)
    lefts = Counter(int(crop(pixels, size=8, left=left, top=0.0)[0, 0, 0]) for left in np.linspace(0, 1, 5000, False))
    assert lefts == dict.fromkeys(range(5), 1000)


@pytest.mark.parametrize("shape", [(8, 8), (8, 20), (9, 8), (30, 31)])
def test_crops_are_inside(shape):
    pixels = np.zeros((*shape, 3))
    for left, top in [(0.0, 0.0), (0.999999999, 0.999999999), (0.5, 0.2)]:
        assert crop(pixels, size=8, left=left, top=top).shape == (8, 8, 3)


# The stream


@pytest.mark.parametrize("options", [{"workers": 1}, {"workers": 5}, {"batch_size": 1}, {"batch_size": 8}, {}], ids=str)
def test_samples_depend_on_seed_and_number_alone(store, options):
    assert equal(take(store, 24, workers=3, batch_size=4), take(store, 24, **options))


def test_another_seed_gives_other_samples(store):
    assert not equal(take(store, 8), take(store, 8, seed=4))


@pytest.mark.parametrize("start", [2, 8, 14])
def test_a_stream_goes_on_where_it_is_started(store, start):
    whole, rest = take(store, 24), take(store, 24 - start, start=start)
    assert all(torch.equal(whole[name][start:], rest[name]) for name in ("a", "b"))


@pytest.mark.parametrize("fmt", [RGB, Format(channels=1, bits=16), Format(channels=4)], ids=str)
@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("batch_size", [1, 6])
def test_samples_are_the_crops_and_mirrors_that_were_drawn(tmp_path, fmt, cached, batch_size):
    rng = np.random.default_rng(0)
    pixels = [
        [rng.integers(0, 2**fmt.bits, (SIDE, 30, fmt.channels)).astype(fmt.dtype) for _ in "ab"] for _ in range(3)
    ]
    pairs = []
    for number, halves in enumerate(pixels):
        sources = [ImageSource(path=tmp_path / f"{number}{half}.png") for half in "ab"]
        for source, half in zip(sources, halves, strict=True):
            write_image(source.path, Picture(pixels=half))
        pairs.append(Pair(name=f"{number}", a=sources[0], b=sources[1]))
    cache = tmp_path / "cache" if cached else None
    store = PairStore(pairs, a=fmt, b=fmt, side=SIDE, cache=cache)
    taken = take(store, 12, batch_size=batch_size)
    for position in range(12):
        chosen = draw(position, seed=3)
        index = permutation(3, epoch=position // 3, seed=3)[position % 3]
        for name, half in zip("ab", pixels[index], strict=True):
            square = crop(half, size=SIZE, left=chosen.left, top=chosen.top)
            square = square[:, ::-1] if chosen.mirror else square
            values = torch.from_numpy(square.astype(np.float32) / np.iinfo(fmt.dtype).max).permute(2, 0, 1) * 2 - 1
            assert torch.equal(taken[name][position], values)
    store.close()


@pytest.mark.parametrize("most", [1, 3, 8])
@pytest.mark.parametrize("bytes_at_once", [1, 4000, 2**22])
def test_how_many_batches_are_handed_over_at_once_does_not_matter(store, monkeypatch, most, bytes_at_once):
    expected = take(store, 20, batch_size=1)
    monkeypatch.setattr(batches_module, "MOST_AT_ONCE", most)
    monkeypatch.setattr(batches_module, "BYTES_AT_ONCE", bytes_at_once)
    assert equal(take(store, 20, batch_size=1), expected)
    assert equal(take(store, 10, batch_size=1, start=10), {name: half[10:] for name, half in expected.items()})


def test_a_batch_that_is_kept_does_not_change(store):
    batches = open_batches(store, size=SIZE, batch_size=2, seed=3)
    kept = [next(batches) for _ in range(30)]
    batches.close()
    assert equal({name: torch.cat([batch[name] for batch in kept]) for name in ("a", "b")}, take(store, 60))


def test_closing_does_not_wait_for_what_is_prepared_together(store, monkeypatch):
    reads: list[int] = []
    slow = threading.Event()
    read = PairStore.read

    def counted(self: PairStore, index: int) -> list[np.ndarray]:
        reads.append(index)
        if len(reads) == 3:
            slow.wait(20)
        return read(self, index)

    monkeypatch.setattr(PairStore, "read", counted)
    batches = open_batches(store, size=SIZE, batch_size=1, workers=1)
    closing = threading.Thread(target=batches.close)
    closing.start()
    while not batches._closed:
        pass
    slow.set()
    closing.join()
    assert len(reads) <= 4  # of the eight batches of one sample that are prepared together


@pytest.mark.parametrize("world_size", [2, 4])
def test_processes_together_read_what_one_reads(store, world_size):
    options = {"batch_size": 4, "size": SIZE, "seed": 3, "workers": 2}
    alone = open_batches(store, **options)
    ranks = [open_batches(store, rank=rank, world_size=world_size, **options) for rank in range(world_size)]
    for _ in range(5):
        shares = [next(rank) for rank in ranks]
        assert equal(next(alone), {name: torch.cat([share[name] for share in shares]) for name in ("a", "b")})
    for stream in (alone, *ranks):
        stream.close()


@pytest.mark.parametrize("count", [1, 2, 7])
def test_every_pair_comes_once_an_epoch(tmp_path, count):
    numbers = levels(take(numbered_store(tmp_path / "few", count), 3 * count, batch_size=1)["a"])[:, 2, 0, 0].tolist()
    for epoch in range(3):
        assert sorted(numbers[epoch * count : (epoch + 1) * count]) == list(range(count))


def test_one_pair_in_large_batches_of_many_epochs(tmp_path):
    store = numbered_store(tmp_path / "one", 1)
    assert take(store, 256, batch_size=64, workers=8)["a"].shape == (256, 3, SIZE, SIZE)


def test_both_halves_have_one_crop_and_one_mirror(tmp_path):
    taken = take(numbered_store(tmp_path / "wide", width=40), 40)
    assert torch.equal(taken["a"], taken["b"])
    pixels = levels(taken["a"])
    x, y = pixels[:, 0], pixels[:, 1]
    steps = x[:, :, 1:] - x[:, :, :-1]
    assert set(steps.flatten().tolist()) == {1, -1}  # unresized, some mirrored
    assert (steps == steps[:, :1, :1]).all()
    assert (y[:, 1:] - y[:, :-1] == 1).all()  # never upside down
    assert x.max() < 40
    assert y.max() < SIDE
    assert len(set(x[:, 0, 0].tolist())) > 8  # crops differ


def test_no_mirror_when_it_is_off(store):
    x = levels(take(store, 20, mirror=False)["a"])[:, 0]
    assert (x[:, :, 1:] - x[:, :, :-1] == 1).all()


@pytest.mark.parametrize("domain", ["a", "b"])
def test_jitter_changes_the_input_alone(store, domain):
    other = "b" if domain == "a" else "a"
    plain, jittered = take(store, 8), take(store, 8, colour_jitter=0.5, jitter_domain=domain)
    assert torch.equal(plain[other], jittered[other])
    assert not torch.isclose(plain[domain], jittered[domain]).flatten(1).all(dim=1).any()
    assert jittered[domain].abs().max() <= 1


def test_jitter_of_nothing_changes_nothing_and_alpha_is_left_alone():
    images = torch.rand(3, 4, 5, 5, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.testing.assert_close(jitter_colour(images, torch.zeros(3, 3)), images, atol=1e-6, rtol=0)
    strong = jitter_colour(images, torch.full((3, 3), 0.9))
    assert torch.equal(strong[:, 3], images[:, 3])


@pytest.mark.parametrize(
    ("factors", "expected"),
    [
        ((-1.0, 0.0, 0.0), lambda x: torch.zeros_like(x)),
        ((-0.5, 0.0, 0.0), lambda x: x / 2),
        ((0.0, -1.0, 0.0), lambda x: x.mean(dim=(1, 2, 3), keepdim=True).expand_as(x)),
        ((0.0, 0.0, -1.0), lambda x: x.mean(dim=1, keepdim=True).expand_as(x)),
        ((1.0, 0.0, 0.0), lambda x: (2 * x).clamp(max=1)),
    ],
    ids=["black", "half", "flat", "grey", "bright"],
)
def test_jitter_means_brightness_contrast_saturation(factors, expected):
    x = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    output = jitter_colour(x * 2 - 1, torch.tensor([factors] * 2))
    torch.testing.assert_close((output + 1) / 2, expected(x), atol=1e-6, rtol=0)


def test_jitter_of_grey_images():
    grey = torch.rand(2, 1, 4, 4) * 2 - 1
    assert jitter_colour(grey, torch.full((2, 3), 0.3)).shape == grey.shape


# Bad files


class Broken(PairStore):
    """A store some of whose pairs cannot be read."""

    broken: frozenset[int] = frozenset()

    def read(self, index: int) -> list[np.ndarray]:
        if index in self.broken:
            raise ImageError(f"{self.pairs[index].a.path}: is not an image that can be read")
        return super().read(index)


@pytest.fixture
def broken(store: PairStore) -> Broken:
    return Broken(store.pairs, a=RGB, b=RGB, side=SIDE)


@pytest.mark.parametrize("workers", [1, 6])
def test_a_bad_file_is_named_once_skipped_and_counted(broken, workers):
    broken.broken = frozenset({2})
    lines: list[str] = []
    batches = open_batches(broken, size=SIZE, batch_size=7, seed=3, workers=workers, max_bad=0.2, report=lines.append)
    for _ in range(6):
        numbers = levels(next(batches)["a"])[:, 2, 0, 0].tolist()
        assert set(numbers) == {0, 1, 3, 4, 5, 6}
    batches.close()
    assert len(lines) == 1
    assert lines[0].startswith("skipped: ")
    assert "002.png" in lines[0]
    assert list(batches.bad) == [2]


def test_which_pair_takes_the_place_of_a_bad_one_does_not_depend_on_threads(broken):
    broken.broken = frozenset({1, 4})
    options = {"max_bad": 0.5, "report": lambda line: None}
    assert equal(take(broken, 28, workers=1, **options), take(broken, 28, workers=6, **options))
    rest = take(broken, 14, start=14, **options)
    assert torch.equal(take(broken, 28, **options)["a"][14:], rest["a"])


@pytest.mark.parametrize("workers", [1, 6])
def test_too_many_bad_files_stop_the_stream_and_are_named(broken, workers):
    broken.broken = frozenset({0, 2, 5})
    batches = open_batches(broken, size=SIZE, batch_size=1, workers=workers, max_bad=0.3, report=lambda line: None)
    with pytest.raises(DataError, match=r"3 of 7 pairs cannot be read, more than the 30% that --max-bad allows: .*png"):
        next(islice(batches, 30, None))
    batches.close()


def test_nothing_readable_is_said(broken):
    broken.broken = frozenset(range(7))
    batches = open_batches(broken, size=SIZE, batch_size=1, max_bad=1.0, report=lambda line: None)
    with pytest.raises(DataError, match=r"none of the 7 pairs can be read: .*\.png"):
        next(batches)
    batches.close()


def test_a_bad_file_met_by_many_threads_at_once_is_named_once(store):
    lines: list[str] = []
    batches = open_batches(store, size=SIZE, batch_size=1, max_bad=1.0, report=lines.append)
    start = threading.Barrier(16)

    def count(_: int) -> None:
        start.wait()
        batches._count_bad(0, "x.png: torn")

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(count, range(16)))
    batches.close()
    assert lines == ["skipped: x.png: torn"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": SIDE + 1}, "a crop of 25 px does not fit in images of 24 px"),
        ({"batch_size": 3, "world_size": 2}, "a batch of 3 images cannot be split evenly across 2 processes"),
    ],
)
def test_impossible_streams_are_refused(store, options, message):
    with pytest.raises(DataError, match=message):
        open_batches(store, **{"size": SIZE, "batch_size": 2} | options)


def test_no_pairs_are_refused():
    with pytest.raises(DataError, match="no pairs"):
        open_batches(PairStore([], a=RGB, b=RGB, side=SIDE), size=SIZE, batch_size=1)


def test_closing_stops_the_threads(store):
    def running() -> int:
        return sum(thread.name.startswith("decode") for thread in threading.enumerate())

    before = running()
    batches = open_batches(store, size=SIZE, batch_size=2, workers=3)
    next(batches)
    assert running() > before
    batches.close()
    assert running() == before


# Fixed batches


def test_fixed_batches_are_the_middle_squares_undisturbed(tmp_path):
    store = numbered_store(tmp_path / "wide", width=40)
    batch = fixed_batch(store, indices=[3, 1])
    pixels = levels(batch["a"])
    assert pixels.shape == (2, 3, SIDE, SIDE)
    assert pixels[:, 2, 0, 0].tolist() == [3, 1]
    assert pixels[0, 0, 0].tolist() == list(range(8, 32))
    assert torch.equal(batch["a"], batch["b"])


def test_fixed_batches_leave_out_what_cannot_be_read(broken):
    broken.broken = frozenset({0})
    assert len(fixed_batch(broken, indices=range(3))["a"]) == 2
    with pytest.raises(DataError, match="none of the 1 pairs"):
        fixed_batch(broken, indices=[0])


# Elsewhere


def read_in_a_child(folder: str, queue: "multiprocessing.Queue[list[float]]") -> None:
    store = PairStore(find_pairs(folder, layout="side-by-side").splits["train"], a=RGB, b=RGB, side=SIDE)
    batches = open_batches(store, size=SIZE, batch_size=2, seed=3)
    network = torch.nn.Conv2d(3, 3, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    batch = next(batches)
    optimizer.zero_grad()
    (network(batch["a"]) - batch["b"]).abs().mean().backward()
    optimizer.step()
    queue.put(batch["a"].sum(dim=(1, 2, 3)).tolist())
    batches.close()


def test_a_spawned_process_reads_and_trains(store: PairStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parent), *sys.path])
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    child = context.Process(target=read_in_a_child, args=(str(store.pairs[0].a.path.parent), queue))
    child.start()
    sums = queue.get(timeout=120)
    child.join(60)
    assert child.exitcode == 0
    assert sums == pytest.approx(take(store, 2)["a"].sum(dim=(1, 2, 3)).tolist())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_to_unit_on_the_device_equals_the_host(dtype):
    pixels = torch.from_numpy(np.arange(np.iinfo(dtype).max + 1).astype(dtype).reshape(1, 16, -1, 1))
    assert torch.equal(to_signed(pixels.cuda()).cpu(), to_signed(pixels))


@pytest.mark.parametrize("enlarge", [1.0, 1.5])
def test_enlarged_pairs_stay_aligned(make_pairs: Callable[..., Path], enlarge: float):
    pairs = find_pairs(make_pairs(4), layout="side-by-side").splits["train"]
    store = PairStore(pairs, a=RGB, b=RGB, side=round(32 * enlarge))
    taken = take(store, 8, size=32)
    inside_a = taken["a"][:, 0] > 0  # the red rectangle of the label map ...
    inside_b = taken["b"][:, 2] > 0  # ... is the bright one of the photo
    assert (inside_a == inside_b).float().mean() > 0.93
