"""Losses of style transfer against sums by hand."""

import pytest
import torch

from translate.losses import content_distances, gram, style_distances, total_variation


def test_gram_counts_channels_that_occur_together():
    features = torch.zeros(1, 3, 2, 2)
    features[0, 0] = 2.0
    features[0, 1, 0] = 4.0
    expected = torch.tensor([[[4.0, 4.0, 0.0], [4.0, 8.0, 0.0], [0.0, 0.0, 0.0]]])
    torch.testing.assert_close(gram(features), expected)
    shuffled = features.flatten(2)[..., torch.tensor([3, 1, 0, 2])].view_as(features)
    torch.testing.assert_close(gram(shuffled), expected)
    assert gram(features.bfloat16()).dtype == torch.float32


def test_distances_are_relative_and_of_each_image():
    features = [torch.randn(2, 3, 4, 4), 100 * torch.randn(2, 5, 2, 2)]
    targets = [gram(layer) for layer in features]
    assert style_distances(features, targets).tolist() == [0, 0]
    doubled = [2**0.5 * layer for layer in features]  # whose Gram matrices are twice as large
    torch.testing.assert_close(style_distances(doubled, targets), torch.full((2,), 2.0))
    moved = [layer + torch.tensor([0.0, 1.0])[:, None, None, None] * layer for layer in features]
    torch.testing.assert_close(content_distances(moved, features), torch.tensor([0.0, 1.0]))


def test_content_teaches_what_was_made_only():
    made, photo = (torch.randn(1, 2, 3, 3, requires_grad=True) for _ in range(2))
    content_distances([made], [photo]).sum().backward()
    assert photo.grad is None
    assert made.grad is not None


def test_layers_have_to_match():
    with pytest.raises(ValueError, match="argument"):
        content_distances([torch.ones(1, 1, 2, 2)], [])


def test_total_variation():
    images = torch.zeros(2, 1, 3, 3)
    images[0, 0, :, 1:] = 1.0  # one step across in each of 3 rows, of 6 pairs
    assert total_variation(images).tolist() == [0.5, 0.0]
