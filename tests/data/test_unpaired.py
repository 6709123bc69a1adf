"""Two domains as a run sees them: size, names, announcements, and a stream that is a function of seed and position."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from translate.config import ConfigError, UnpairedDataConfig
from translate.data.batches import DataError, Wanted, draw, permutation
from translate.data.folder_images import NUM_SAMPLES
from translate.data.layouts import LayoutError
from translate.data.unpaired import UnpairedImages, domain_seed

CPU = torch.device("cpu")
STREAM = {"batch_size": 2, "start": 0, "seed": 3, "rank": 0, "world_size": 1, "device": CPU, "report": print}
SIDE = 24


def numbered(folder: Path, count: int, *, side: int = SIDE, mode: str = "RGB") -> Path:
    """Images that say where a sample was taken: position in red and green, the file's number in blue."""
    folder.mkdir(parents=True)
    y, x = np.mgrid[:side, :side]
    for number in range(count):
        pixels = np.stack([x, y, np.full_like(x, number)], axis=-1).astype(np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / f"{number:03d}.png")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """7 images of A, 4 of B."""
    numbered(tmp_path / "set" / "trainA", 7)
    numbered(tmp_path / "set" / "trainB", 4)
    return tmp_path / "set"


def open_images(root: Path, **options) -> UnpairedImages:
    return UnpairedImages(UnpairedDataConfig(**{"root": root, "size": 16, "enlarge": 1.5} | options))


def take(images: UnpairedImages, count: int, **options) -> dict[str, torch.Tensor]:
    """The first `count` samples of a stream as 8-bit integers, whatever its batch size."""
    stream = images.batches(Wanted(**STREAM | options))
    try:
        taken = [next(stream) for _ in range(-(-count // (STREAM | options)["batch_size"]))]
    finally:
        stream.close()
    joined = {name: torch.cat([batch[name] for batch in taken])[:count] for name in "ab"}
    return {name: ((values + 1) * 127.5).round().long() for name, values in joined.items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in "ab")


@pytest.mark.parametrize(
    ("mode_a", "mode_b", "alpha", "channels", "said"),
    [
        ("L", "RGB", "composite", 3, "A is grey, and read as RGB"),
        ("RGB", "L", "composite", 3, "B is grey, and read as RGB"),
        ("RGB", "RGBA", "keep", 4, "A is RGB, and read as RGBA"),
        ("L", "RGBA", "keep", 4, "A is grey, and read as RGBA"),
        ("LA", "RGB", "keep", 4, "B is RGB, and read as RGBA"),
    ],
)
def test_domains_that_must_be_alike(tmp_path, mode_a, mode_b, alpha, channels, said):
    numbered(tmp_path / "A", 2, mode=mode_a)
    numbered(tmp_path / "B", 2, mode=mode_b)
    config = UnpairedDataConfig(root=tmp_path, size=16, enlarge=1.5, alpha=alpha, flip=False)
    images = UnpairedImages(config, alike=True)
    assert (images.format_a.channels, images.format_b.channels) == (channels, channels)
    assert any(said in line for line in images.announcement)
    stream = images.batches(Wanted(**STREAM))
    batch = next(stream)
    stream.close()
    images.close()
    assert batch["a"].shape[1] == batch["b"].shape[1] == channels
    grey = [batch[name][:, :3] for name, mode in (("a", mode_a), ("b", mode_b)) if mode in ("L", "LA")]
    assert all((values == values[:, :1]).all() for values in grey)
    own = UnpairedImages(config)
    assert own.format_a.channels != own.format_b.channels
    assert not any("read as" in line for line in own.announcement)


def test_what_a_run_asks(root):
    images = open_images(root)
    assert (images.name_a, images.name_b, images.size, images.num_images) == ("A", "B", 16, 7)
    assert (images.format_a.channels, images.format_a.bits, images.format_b.channels) == (3, 8, 3)
    assert images.description.startswith("set: 7 training images of A and 4 of B; trainA/ and trainB/; 24x24, RGB")
    assert images.announcement[0] == images.domains.describe()
    assert [len(sources) for sources in images.split("train")] == [7, 4]
    assert images.split("val") == ((), ())


def test_batches_are_of_both_domains_in_their_own_channels(tmp_path):
    numbered(tmp_path / "sketches", 3, mode="L")
    numbered(tmp_path / "photos", 5)
    images = open_images(tmp_path, names=("photo", "sketch"))
    stream = images.batches(Wanted(**STREAM))
    batch = next(stream)
    stream.close()
    assert (images.name_a, images.name_b) == ("photo", "sketch")
    assert batch.keys() == {"a", "b"}
    assert batch["a"].shape == (2, 3, 16, 16)
    assert batch["b"].shape == (2, 1, 16, 16)
    assert all(values.dtype == torch.float32 and values.abs().max() <= 1 for values in batch.values())


def test_samples_are_what_seed_and_position_say(root):
    """A sample's file, crop and mirror can be told beforehand, for each domain from its own seed."""
    taken = take(open_images(root), 20)
    for domain, count in (("a", 7), ("b", 4)):
        seed = domain_seed(3, domain)
        for position, image in enumerate(taken[domain]):
            epoch, place = divmod(position, count)
            assert int(image[2, 0, 0]) == permutation(count, epoch=epoch, seed=seed)[place]
            chosen = draw(position, seed=seed)
            red = image[0, 0].flip(0) if chosen.mirror else image[0, 0]
            assert int(red[0]) == int(chosen.left * (SIDE - 16 + 1))
            assert int(image[1, 0, 0]) == int(chosen.top * (SIDE - 16 + 1))
            assert torch.equal(red, torch.arange(16) + red[0])


def test_an_epoch_of_either_domain_shows_each_image_once(root):
    taken = take(open_images(root), 14)
    for start in (0, 7):
        assert sorted(taken["a"][start : start + 7, 2, 0, 0].tolist()) == list(range(7))
    for start in (0, 4, 8):
        assert sorted(taken["b"][start : start + 4, 2, 0, 0].tolist()) == list(range(4))


def test_the_domains_have_nothing_to_do_with_each_other(tmp_path):
    """Equal counts, yet other orders, crops and mirrors: pairs of numbers do not repeat from epoch to epoch."""
    for name in "AB":
        numbered(tmp_path / name, 8)
    taken = take(open_images(tmp_path), 160)
    a, b = (taken[name][:, 2, 0, 0] for name in "ab")
    assert len(set(zip(a.tolist(), b.tolist(), strict=True))) > 40  # 8 if they went together
    mirrored = [taken[name][:, 0, 0, 0] > taken[name][:, 0, 0, 1] for name in "ab"]
    assert 0.3 < (mirrored[0] == mirrored[1]).float().mean() < 0.7
    tops = torch.stack([taken[name][:, 1, 0, 0] for name in "ab"]).double()
    assert abs(float(torch.corrcoef(tops)[0, 1])) < 0.25


@pytest.mark.parametrize("options", [{"batch_size": 1}, {"batch_size": 4}, {"workers": 1}, {"workers": 5}])
def test_neither_batch_size_nor_threads_matter(root, options):
    expected = take(open_images(root), 12)
    workers = options.pop("workers", None)
    assert equal(take(open_images(root, workers=workers), 12, **options), expected)


def test_a_resumed_stream_goes_on(root):
    expected = take(open_images(root), 16)
    resumed = take(open_images(root), 6, start=10)
    assert equal(resumed, {name: values[10:] for name, values in expected.items()})


def test_two_processes_share_a_batch(root):
    expected = take(open_images(root), 8, batch_size=4)
    parts = [take(open_images(root), 8, batch_size=4, rank=rank, world_size=2) for rank in range(2)]
    for name in "ab":
        first, second = (part[name].view(2, 2, *part[name].shape[1:]) for part in parts)
        assert torch.equal(torch.cat([first, second], dim=1).flatten(0, 1), expected[name])


def test_seeds_differ(root):
    assert not equal(take(open_images(root), 6, seed=0), take(open_images(root), 6, seed=1))
    seeds = {domain_seed(seed, domain) for seed in (0, 1, 2**63 - 1) for domain in "ab"}
    assert len(seeds) == 6
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_mirroring_can_be_switched_off(root):
    taken = take(open_images(root, flip=False), 12)
    assert all((taken[name][:, 0, 0, 1] > taken[name][:, 0, 0, 0]).all() for name in "ab")


def test_the_cache_holds_both_domains_and_is_removed(root, tmp_path):
    cache = tmp_path / "run" / "cache"
    expected = take(open_images(root, cache_gb=0), 20)
    images = UnpairedImages(UnpairedDataConfig(root=root, size=16, enlarge=1.5), cache=cache)
    assert equal(take(images, 20), expected)
    assert len(list(cache.iterdir())) == 2
    for file in root.rglob("*.png"):
        file.unlink()
    stream = images.batches(Wanted(**STREAM))
    with pytest.raises(DataError):
        next(stream)  # a new stream has a cache of its own
    stream.close()
    images.close()
    assert not cache.exists()


def test_unreadable_files_are_named_once_and_skipped(root):
    reported: list[str] = []
    images = open_images(root, max_bad=0.3)
    (root / "trainB" / "002.png").write_bytes(b"junk")  # after the folder was looked at
    taken = take(images, 24, report=reported.append)
    assert len(reported) == 1
    assert "002.png" in reported[0]
    assert set(taken["b"][:, 2, 0, 0].tolist()) == {0, 1, 3}
    assert torch.equal(taken["a"], take(images, 24)["a"])


def test_too_many_unreadable_files_of_one_domain_stop_a_run(root):
    images = open_images(root, max_bad=0.3)
    for number in (0, 1):
        (root / "trainB" / f"{number:03d}.png").write_bytes(b"junk")  # 2 of 4, though 2 of 11 in all
    with pytest.raises(DataError, match=r"2 of 4 .*--max-bad"):
        take(images, 24)


def test_size_is_that_of_the_smaller_domain(tmp_path):
    numbered(tmp_path / "A", 2, side=100)
    numbered(tmp_path / "B", 2, side=40)
    images = open_images(tmp_path, size=None)
    assert images.size == 32
    assert not any("enlarged" in line for line in images.announcement)
    assert any("(40x40) are enlarged to --size 64" in line for line in open_images(tmp_path, size=64).announcement)
    with pytest.raises(ConfigError, match="--size 40 is not a multiple of the network's stride 16"):
        open_images(tmp_path, size=40).check_size(stride=16, minimum=16)


@pytest.mark.parametrize("splits", [("train",), ("train", "test"), ("train", "test", "val")])
def test_samples_are_the_first_of_the_best_split(tmp_path, splits):
    counts = {"train": (9, 8), "test": (3, 5), "val": (7, 2)}
    for split in splits:
        for name, count in zip("AB", counts[split], strict=True):
            numbered(tmp_path / f"{split}{name}", count, side=16)
    samples = open_images(tmp_path).samples(CPU)
    expected = {"train": NUM_SAMPLES, "test": 3, "val": 2}[splits[-1]]
    for values in samples.values():
        numbers = ((values[:, 2, 0, 0] + 1) * 127.5).round().long()
        assert numbers.tolist() == list(range(expected))


@pytest.mark.parametrize(("alpha", "channels"), [("composite", 3), ("keep", 4)])
def test_alpha(tmp_path, alpha, channels):
    numbered(tmp_path / "A", 2, mode="RGBA")
    numbered(tmp_path / "B", 2)
    images = open_images(tmp_path, alpha=alpha)
    assert (images.format_a.channels, images.format_b.channels) == (channels, 3)


def test_what_is_refused(tmp_path):
    with pytest.raises(LayoutError, match="no two domains found"):
        open_images(tmp_path)
    for name in "AB":
        numbered(tmp_path / f"test{name}", 2)
    with pytest.raises(ConfigError, match="has no training images: 2 test images of A and 2 of B"):
        open_images(tmp_path)
    for name in "AB":
        (tmp_path / f"test{name}").rename(tmp_path / f"train{name}")
    with pytest.raises(ConfigError, match="both domains are called 'x': give --names two different ones"):
        open_images(tmp_path, names=("x", "x"))
