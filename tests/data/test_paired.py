"""A paired folder as a run sees it: size, roles, announcements, batches."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from translate.config import ConfigError, DataConfig
from translate.data.batches import Wanted
from translate.data.folder_images import NUM_SAMPLES
from translate.data.layouts import LayoutError
from translate.data.paired import PairedImages
from translate.data.sizes import default_size

CPU = torch.device("cpu")
STREAM = {"batch_size": 2, "start": 0, "seed": 0, "rank": 0, "world_size": 1, "device": CPU, "report": print}


def ab_folders(root: Path, *, count: int = 4, side: int = 16, mode_a: str = "RGB", mode_b: str = "RGB") -> Path:
    """`train/A train/B`: A is black, B is white, unless of two colours (label maps)."""
    for name, mode, value in (("A", mode_a, 0), ("B", mode_b, 255)):
        folder = root / "train" / name
        folder.mkdir(parents=True)
        for number in range(count):
            image = Image.new("RGBA", (side, side), (value, value, value, 255)).convert(mode)
            image.save(folder / f"{number}.png")
    return root


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        *[((256, 256), 256), ((512, 300), 256), ((200, 900), 192), ((100, 100), 96), ((32, 40), 32)],
        *[((31, 31), 16), ((28, 28), 16), ((16, 64), 16), ((15, 15), 8), ((8, 8), 8), ((1, 3), 8)],
    ],
)
def test_default_size(size, expected):
    assert default_size(*size) == expected


@pytest.mark.parametrize("side", [9, 16, 28, 40, 100, 256])
def test_the_default_size_suits_a_unet(side):
    from translate.config import unet_depth

    assert unet_depth(default_size(side, side)) >= 2


@pytest.mark.parametrize("direction", ["a2b", "b2a"])
def test_direction_decides_the_roles(tmp_path, direction):
    root = ab_folders(tmp_path, mode_a="L", mode_b="RGB")
    images = PairedImages(DataConfig(root=root, direction=direction, names=("drawings", "photos")))
    batches = images.batches(Wanted(**STREAM))
    batch = next(batches)
    batches.close()
    forward = direction == "a2b"
    drawing, photo = ("source", "target") if forward else ("target", "source")
    assert batch.keys() == {"source", "target"}
    assert batch[drawing].shape == (2, 1, 16, 16)
    assert batch[photo].shape == (2, 3, 16, 16)
    assert batch[drawing].eq(-1).all()
    assert batch[photo].eq(1).all()
    assert (images.source_format.channels, images.target_format.channels) == ((1, 3) if forward else (3, 1))
    assert (images.source_name, images.target_name) == (("drawings", "photos") if forward else ("photos", "drawings"))
    said = images.announcement
    assert "4 training pairs" in said[0]
    assert ("translating A (" in said[1]) == forward
    assert said[1].endswith(f"--direction {'b2a' if forward else 'a2b'} is the reverse")


@pytest.mark.parametrize("direction", ["a2b", "b2a"])
def test_jitter_belongs_to_the_source(make_pairs, direction):
    root = make_pairs(4)
    batches = {}
    for strength in (0.0, 0.5):
        images = PairedImages(
            DataConfig(root=root, layout="side-by-side", direction=direction, colour_jitter=strength, size=32)
        )
        stream = images.batches(Wanted(**STREAM))
        batches[strength] = next(stream)
        stream.close()
    assert torch.equal(batches[0.0]["target"], batches[0.5]["target"])
    assert not torch.equal(batches[0.0]["source"], batches[0.5]["source"])


def test_size_and_enlargement(make_pairs):
    root = make_pairs(3, width=48, height=48)
    for size, expected in ((None, 32), (16, 16), (64, 64)):
        images = PairedImages(DataConfig(root=root, layout="side-by-side", size=size))
        assert images.size == expected
        batches = images.batches(Wanted(**STREAM))
        assert next(batches)["source"].shape == (2, 3, expected, expected)
        batches.close()
        assert any("enlarged to --size 64" in line for line in images.announcement) == (size == 64)


@pytest.mark.parametrize("fit", ["cover", "stretch"])
def test_fit(make_pairs, fit):
    images = PairedImages(
        DataConfig(root=make_pairs(3, width=64, height=32), layout="side-by-side", fit=fit, size=32, enlarge=1.0)
    )
    assert images.store("train", side=32).read(0)[0].shape == ((32, 64, 3) if fit == "cover" else (32, 32, 3))


def test_nearest_targets_keep_the_colours_of_label_maps(make_pairs):
    root = make_pairs(3, width=40, height=40)
    config = DataConfig(root=root, layout="side-by-side", direction="b2a", size=32)
    labels, photo = PairedImages(config, nearest_target=True).store("train", side=37).read(0)
    assert len(np.unique(labels.reshape(-1, 3), axis=0)) == 2  # A, the target, has two colours
    assert len(np.unique(photo.reshape(-1, 3), axis=0)) > 100
    blended, _ = PairedImages(config).store("train", side=37).read(0)
    assert len(np.unique(blended.reshape(-1, 3), axis=0)) > 2


@pytest.mark.parametrize(("alpha", "channels"), [("composite", 3), ("keep", 4)])
def test_alpha_of_the_source(tmp_path, alpha, channels):
    images = PairedImages(DataConfig(root=ab_folders(tmp_path, mode_a="RGBA"), alpha=alpha))
    assert images.source_format.channels == channels
    batches = images.batches(Wanted(**STREAM))
    assert next(batches)["source"].shape[1] == channels
    batches.close()


@pytest.mark.parametrize(
    ("size", "stride", "minimum", "message"),
    [
        (40, 32, 32, "--size 40 is not a multiple of the network's stride 32: choose 32 or 64"),
        (24, 32, 32, "--size 24 is not a multiple of the network's stride 32: choose 32"),
        (40, 16, 48, "--size 40 is not a multiple of the network's stride 16: choose 48"),
        (20, 16, 48, "--size 20 is not a multiple of the network's stride 16: choose 48"),
        (32, 16, 48, "--size 32 is smaller than the 48 px that these networks need: choose a larger size, or fewer"),
    ],
)
def test_sizes_that_networks_cannot_take(tmp_path, size, stride, minimum, message):
    images = PairedImages(DataConfig(root=ab_folders(tmp_path), size=size))
    with pytest.raises(ConfigError) as caught:
        images.check_size(stride=stride, minimum=minimum)
    assert str(caught.value).startswith(message)


def test_sizes_that_fit_pass(tmp_path):
    PairedImages(DataConfig(root=ab_folders(tmp_path), size=64)).check_size(stride=32, minimum=64)


def test_a_data_set_without_training_pairs_is_refused(tmp_path):
    ab_folders(tmp_path)
    (tmp_path / "train").rename(tmp_path / "test")
    with pytest.raises(ConfigError, match=r"has no training pairs: 4 test pairs"):
        PairedImages(DataConfig(root=tmp_path))


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(LayoutError):
        PairedImages(DataConfig(root=tmp_path))


@pytest.mark.parametrize("splits", [("train",), ("train", "test"), ("train", "test", "val")])
def test_samples_are_those_of_the_best_split(tmp_path, splits):
    ab_folders(tmp_path, count=8)
    for value, name in ((100, "test"), (200, "val")):
        if name in splits:
            for side in "AB":
                folder = tmp_path / name / side
                folder.mkdir(parents=True)
                for number in range(3):
                    Image.new("RGB", (16, 16), (value,) * 3).save(folder / f"{number}.png")
    samples = PairedImages(DataConfig(root=tmp_path)).samples(CPU)
    expected = {"train": -1.0, "test": 100 / 127.5 - 1, "val": 200 / 127.5 - 1}[splits[-1]]
    torch.testing.assert_close(
        samples["source"], torch.full((3 if len(splits) > 1 else NUM_SAMPLES, 3, 16, 16), expected)
    )


def test_the_cache_is_one_a_stream_and_is_removed(make_pairs, tmp_path):
    cache = tmp_path / "run" / "cache"
    images = PairedImages(DataConfig(root=make_pairs(4), layout="side-by-side", size=16), cache=cache)
    first = images.batches(Wanted(**STREAM))
    expected = next(first)["source"].clone()
    # Opened anew, as for another size: it must not write into the files of the first.
    second = images.batches(Wanted(**STREAM))
    assert torch.equal(next(second)["source"], expected)
    for _ in range(6):
        next(first)
        next(second)
    assert len(list(cache.iterdir())) == 2
    first.close()
    second.close()
    images.close()
    assert not cache.exists()


def test_no_cache_when_it_is_off(make_pairs, tmp_path):
    cache = tmp_path / "cache"
    images = PairedImages(DataConfig(root=make_pairs(3), layout="side-by-side", size=16, cache_gb=0), cache=cache)
    batches = images.batches(Wanted(**STREAM))
    next(batches)
    batches.close()
    assert not cache.exists()
    images.close()


def test_what_is_recorded(make_pairs):
    images = PairedImages(DataConfig(root=make_pairs(3), layout="side-by-side"))
    assert images.num_images == 3
    assert images.description.startswith("pairs: 3 training pairs; side by side, A = left half")
    assert len(images.split("train")) == 3
    assert images.split("val") == ()
