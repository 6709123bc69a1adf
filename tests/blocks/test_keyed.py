"""Numbers by key: SplitMix64's, distributed as they should be, the same however a batch is parted."""

import pytest
import torch
from scipy import stats

from translate.blocks import keyed
from translate.blocks.keyed import _mixed, keyed_normal, keyed_uniform, sample_keys

MASK = 2**64 - 1


def splitmix(x: int) -> int:
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def test_the_mixing_function_is_that_of_splitmix():
    values = [0, 1, 2, 12345678901234567, 2**63 - 1]
    found = [number & MASK for number in _mixed(torch.tensor(values)).tolist()]
    assert found == [splitmix(value) for value in values]
    assert (_mixed(torch.tensor([-1])).item() & MASK) == splitmix(MASK)


def test_a_sample_has_the_same_numbers_in_any_part():
    whole = keyed_normal(sample_keys(10, 8, seed=3), 4, 5, stream=2)
    parts = [keyed_normal(sample_keys(10 + 4 * part, 4, seed=3), 4, 5, stream=2) for part in range(2)]
    assert whole.shape == (8, 4, 5)
    assert torch.equal(whole, torch.cat(parts))


@pytest.mark.parametrize(("draw", "law"), [(keyed_uniform, "uniform"), (keyed_normal, "norm")])
def test_they_are_distributed_as_they_should_be(draw, law):
    keys = sample_keys(0, 2000, seed=0)
    values = draw(keys, 50)
    assert stats.kstest(values.flatten().numpy(), law).pvalue > 1e-3
    for other in (draw(sample_keys(0, 2000, seed=1), 50), draw(keys, 50, stream=1), draw(keys + 1, 50)):
        assert abs(torch.corrcoef(torch.stack([values.flatten(), other.flatten()]))[0, 1].item()) < 0.02
    rows = torch.corrcoef(values.t())  # neither places
    assert (rows - torch.eye(50)).abs().max() < 0.12
    neighbours = torch.corrcoef(torch.stack([values[:-1].flatten(), values[1:].flatten()]))[0, 1]  # nor samples
    assert abs(neighbours.item()) < 0.02


def test_ends_are_never_drawn(monkeypatch):
    values = keyed_normal(sample_keys(0, 1000, seed=5), 1000)
    assert values.isfinite().all()
    assert 4.2 < values.abs().max() < 6
    # The extremes themselves, of which chance finds one in millions.
    for bits in (0, 2**63 - 1, -1, -(2**63)):
        monkeypatch.setattr(keyed, "_mixed", lambda x, bits=bits: torch.full_like(x, bits))
        drawn = keyed_uniform(torch.zeros(1, dtype=torch.int64), 1)
        assert 0 < drawn.item() < 1
        assert keyed_normal(torch.zeros(1, dtype=torch.int64), 1).isfinite().all()
