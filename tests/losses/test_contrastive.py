"""PatchNCE."""

import pytest
import torch
import torch.nn.functional as F

from translate.losses import patch_nce_loss


def unit(*shape, seed=0, dtype=torch.float32):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype), dim=-1)


def test_equals_the_formula():
    queries, keys = unit(2, 5, 4), unit(2, 5, 4, seed=1)
    terms = []
    for q, k in zip(queries, keys, strict=True):
        for i in range(5):
            scores = torch.stack([(q[i] * k[j]).sum() / 0.07 for j in range(5)]).exp()
            terms.append(-(scores[i] / scores.sum()).log())
    torch.testing.assert_close(patch_nce_loss(queries, keys), torch.stack(terms).mean())


def test_equal_features_are_the_best_and_orthogonal_ones_nearly_free():
    keys = torch.eye(6)[None]
    assert patch_nce_loss(keys, keys) < 1e-5
    assert patch_nce_loss(keys.roll(1, dims=1), keys) > 14  # each is taken for its neighbour: 1 / 0.07


def test_gradients_reach_queries_alone():
    queries, keys = unit(1, 4, 3, dtype=torch.float64).requires_grad_(), unit(1, 4, 3, seed=1, dtype=torch.float64)
    keys.requires_grad_()
    patch_nce_loss(queries, keys).backward()
    assert keys.grad is None
    assert torch.autograd.gradcheck(lambda q: patch_nce_loss(q, keys), queries)


def test_is_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        loss = patch_nce_loss(unit(1, 8, 4).bfloat16(), unit(1, 8, 4).bfloat16())
    assert loss.dtype == torch.float32


@pytest.mark.parametrize(("queries", "keys"), [((2, 5, 4), (2, 4, 4)), ((5, 4), (5, 4)), ((2, 1, 4), (2, 1, 4))])
def test_shapes_that_do_not_fit_are_refused(queries, keys):
    with pytest.raises(ValueError, match=r"must both be|at least two"):
        patch_nce_loss(torch.zeros(queries), torch.zeros(keys))
