"""Inputs computed from what shall be made, alone and as the pairs of a run."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image

from translate.blocks.keyed import sample_keys
from translate.config import ConfigError, DataConfig, Pix2PixConfig, RunConfig
from translate.config.training import Derivation
from translate.data.batches import Wanted
from translate.data.derive import FACTORS, TRACKING, derive, derived_channels
from translate.data.derived import NAMES, DerivedPairs
from translate.data.images import convert

KINDS = get_args(Derivation)


def pictures(count: int = 3, channels: int = 3, *, height: int = 40, width: int = 48) -> torch.Tensor:
    """Soft blobs in [-1, 1], each image another."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    rows = [
        torch.stack(
            [torch.sin(3 * x * (number + 1) + channel) * torch.cos(4 * y + number) for channel in range(channels)]
        )
        for number in range(count)
    ]
    return torch.stack(rows)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_and_ranges(kind, channels):
    images = pictures(channels=channels)
    before = images.clone()
    found = derive(images, kind, keys=sample_keys(0, 3, seed=1))
    assert found.shape == (3, derived_channels(kind, channels), 40, 48)
    assert found.dtype == torch.float32
    assert found.min() >= -1
    assert found.max() <= 1
    assert torch.equal(images, before)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_depends_on_its_key_alone(kind):
    images, keys = pictures(8), sample_keys(5, 8, seed=2)
    together = derive(images, kind, keys=keys)
    alone = torch.cat([derive(images[[row]], kind, keys=keys[[row]]) for row in range(8)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    if kind != "gray":
        assert not torch.equal(together, derive(images, kind, keys=sample_keys(90, 8, seed=2)))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "mask"])
@pytest.mark.parametrize("size", [(8, 8), (1, 1), (1, 9), (200, 3)])
def test_any_size_will_do(kind, size):
    images = torch.linspace(-1, 1, size[0] * size[1]).reshape(1, 1, *size)
    assert derive(images, kind).shape == (1, 1, *size)


def test_a_line_is_drawn_where_a_step_is():
    images = torch.full((1, 3, 64, 64), -0.5)
    images[..., 32:] = 0.7
    lines = derive(images, "edges")[0, 0] < 0
    assert lines[4:-4, 30:34].any(dim=1).all()  # along the whole step
    assert not lines[:, :28].any()
    assert not lines[:, 36:].any()


def test_a_flat_image_has_no_lines():
    assert torch.equal(derive(torch.zeros(1, 3, 32, 32), "edges"), torch.ones(1, 1, 32, 32))


def test_weak_edges_go_on_behind_strong_ones():
    """A step that fades out: hysteresis follows it further than the strong threshold alone would."""
    x = torch.linspace(0, 1, 64).view(1, 1, 64, 1).expand(1, 1, 64, 64)
    images = torch.where(torch.arange(64) < 32, -x, x) * 0.9
    rows = (derive(images, "edges")[0, 0] < 0)[:, 28:36].any(dim=1)
    assert 1 < TRACKING < 64
    assert rows[40:].all()
    assert not rows[:2].any()


def test_lines_have_three_widths_and_are_bent_and_broken():
    images = torch.full((64, 1, 64, 64), -0.5)
    images[..., 32:] = 0.7
    found = derive(images, "edges", keys=sample_keys(0, 64, seed=0))
    ink = (1 - found).sum(dim=(1, 2, 3)) / 2 / 64  # pixels a row
    assert ink.min() < 1.2
    assert ink.max() > 2.5
    places = torch.tensor([torch.nonzero(row[0] < 0)[:, 1].float().std() for row in found if (row < 0).sum() > 30])
    assert places.max() > 0.6  # bent beyond its own width


def test_grey_is_the_luma_of_files():
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
    grey = (derive(images, "gray")[0, 0] + 1) * 127.5
    assert (grey - torch.from_numpy(convert(pixels, channels=1, bits=8)[..., 0]).float()).abs().max() <= 0.51


@pytest.mark.parametrize("kind", ["blur", "low-res"])
def test_fine_detail_goes_and_the_mean_stays(kind):
    images = ((torch.arange(64)[:, None] + torch.arange(64)) % 2 * 1.6 - 0.8).expand(2, 3, 64, 64)
    found = derive(images, kind, keys=sample_keys(0, 2, seed=0))
    assert found[..., 8:-8, 8:-8].abs().mean() < 0.3
    assert found.mean().abs() < 0.02
    smooth = pictures(1, height=64, width=64)
    assert (derive(smooth, kind) - smooth).abs().mean() < 0.06


def test_low_resolution_comes_in_all_factors():
    images = pictures(1).expand(60, -1, -1, -1)
    found = derive(images, "low-res", keys=sample_keys(0, 60, seed=0))
    assert len(found.flatten(1).unique(dim=0)) == len(FACTORS)


def test_holes_are_of_all_sizes_and_leave_the_rest():
    images = pictures(200, height=64, width=64)
    found = derive(images, "mask", keys=sample_keys(0, 200, seed=0))
    colour, share = found[:, :-1], (found[:, -1:] + 1) / 2
    assert set(share.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(colour, images * share)
    missing = 1 - share.mean(dim=(1, 2, 3))
    assert missing.min() > 0
    assert missing.max() < 0.6
    assert 0.05 < missing.mean() < 0.25


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    pixels = ((pictures(10) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / "photos" / f"{number}.png")
    return tmp_path / "photos"


def opened(folder: Path, kind: Derivation = "edges", **given) -> DerivedPairs:
    return DerivedPairs(DataConfig(root=folder, size=32, workers=1, **given), kind)


def taken(data: DerivedPairs, count: int, **wanted) -> list[dict[str, torch.Tensor]]:
    stream = data.batches(Wanted(**{"batch_size": 4, "seed": 3} | wanted))
    found = [next(stream) for _ in range(count)]
    stream.close()
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_of_a_run(folder, kind):
    data = opened(folder, kind, hold_out=0.2)
    assert (data.source_name, data.target_name) == NAMES[kind]
    (batch,) = taken(data, 1)
    assert batch["source"].shape == (4, data.source_format.channels, 32, 32)
    assert batch["target"].shape == (4, 3, 32, 32)
    assert data.num_images == 8
    validation = data.validation(torch.device("cpu"))
    again = data.validation(torch.device("cpu"))
    assert len(validation["target"]) == 2
    assert torch.equal(validation["source"], again["source"])  # scores of two moments are of the same inputs
    assert len(data.samples(torch.device("cpu"))["source"]) == 2
    data.close()


def test_the_stream_goes_on_where_it_stopped_and_can_be_shared(folder):
    data = opened(folder)
    first, second, third = taken(data, 3)
    (later,) = taken(data, 1, start=8)
    assert torch.equal(later["source"], third["source"])
    halves = [taken(data, 1, rank=rank, world_size=2)[0]["source"] for rank in (0, 1)]
    torch.testing.assert_close(torch.cat(halves), first["source"], atol=1e-5, rtol=0)
    assert not torch.equal(first["source"], second["source"])
    data.close()


def test_words_of_the_domains_can_be_given(folder):
    data = opened(folder, names=("line", "leaf"))
    assert (data.source_name, data.target_name) == ("line", "leaf")
    assert "line to leaf" in data.announcement[-1]


def test_nothing_is_derived_from_what_does_not_suit(folder, tmp_path):
    grey = tmp_path / "grey"
    grey.mkdir()
    for number in range(3):
        Image.new("L", (32, 32), 40 * number).save(grey / f"{number}.png")
    with pytest.raises(ConfigError, match="has grey images"):
        opened(grey, "gray")
    clear = tmp_path / "clear"
    clear.mkdir()
    for number in range(3):
        Image.new("RGBA", (32, 32), (0, 0, 0, 40 * number)).save(clear / f"{number}.png")
    with pytest.raises(ConfigError, match="omit --alpha keep"):
        opened(clear, "edges", alpha="keep")


@pytest.mark.parametrize(
    ("given", "flag"),
    [
        ({"root_b": Path("b")}, "--root-b"),
        ({"direction": "b2a"}, "--direction"),
        ({"layout": "side-by-side"}, "--layout"),
        ({"allow_unmatched": True}, "--allow-unmatched"),
        ({"colour_jitter": 0.1}, "--colour-jitter"),
    ],
)
def test_flags_of_pairs_are_refused(folder, tmp_path, given, flag):
    with pytest.raises(ConfigError, match=f"{flag} cannot be used with --derive edges"):
        Pix2PixConfig(data=DataConfig(root=folder, **given), run=RunConfig(out=tmp_path), derive="edges")
