"""DiffAugment: what each change may do, that it is drawn for each image, and that gradients pass."""

import pytest
import torch

from translate.data.augment import change_colour, cutout, diff_augment, translation

KINDS = ("colour", "translation", "cutout")


@pytest.fixture
def images():
    return torch.rand(8, 3, 16, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1


def test_nothing_is_changed_unless_named(images):
    assert diff_augment(images, ()) is images


@pytest.mark.parametrize("kind", KINDS)
def test_each_image_has_a_chance_of_its_own(images, kind):
    torch.manual_seed(0)
    same = images[:1].expand(8, -1, -1, -1)
    changed = diff_augment(same, (kind,))
    assert changed.shape == same.shape
    assert sum(not torch.equal(changed[0], other) for other in changed[1:]) >= 5


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_pass_twice(kind):
    def change(images):
        torch.manual_seed(1)
        return diff_augment(images, (kind,))

    images = torch.rand(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(change, images)
    assert torch.autograd.gradgradcheck(change, images)


def test_translation_moves_whole_pixels_and_fills_with_zero(images):
    torch.manual_seed(0)
    moved = translation(images)
    reach_y, reach_x = 2, 3
    for before, after in zip(images, moved, strict=True):
        found = []
        for dy in range(-reach_y, reach_y + 1):
            for dx in range(-reach_x, reach_x + 1):
                expected = torch.zeros_like(before)
                height, width = before.shape[1:]
                rows = slice(max(0, -dy), min(height, height - dy)), slice(max(0, dy), min(height, height + dy))
                columns = slice(max(0, -dx), min(width, width - dx)), slice(max(0, dx), min(width, width + dx))
                expected[:, rows[0], columns[0]] = before[:, rows[1], columns[1]]
                if torch.equal(after, expected):
                    found.append((dy, dx))
        assert len(found) == 1


def test_cutout_takes_a_rectangle(images):
    torch.manual_seed(0)
    for before, after in zip(images, cutout(images), strict=True):
        gone = (after != before).any(dim=0)
        rows, columns = gone.any(dim=1).nonzero().flatten(), gone.any(dim=0).nonzero().flatten()
        assert 1 <= len(rows) <= 8
        assert 1 <= len(columns) <= 12
        assert gone.sum() == len(rows) * len(columns)
        assert (after[:, gone] == 0).all()
        assert torch.equal(after[:, ~gone], before[:, ~gone])


def test_colour_keeps_places(images):
    torch.manual_seed(0)
    flat = torch.full((4, 3, 8, 8), 0.25)
    changed = change_colour(flat)
    assert (changed - changed[:, :, :1, :1]).abs().max() < 1e-6
    assert len({round(float(value), 6) for value in changed[:, 0, 0, 0]}) == 4
    grey = images[:, :1].expand(-1, 3, -1, -1)
    spread = change_colour(grey).std(dim=1)
    assert spread.max() < 1e-6  # saturation does nothing to grey, brightness and contrast the same to each channel
