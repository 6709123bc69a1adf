"""Schedules end where they should."""

import pytest

from translate.recipes.schedule import learning_rate_factor

FRACTIONS = [n / 1000 for n in range(1001)]


@pytest.mark.parametrize("kind", ["linear", "cosine"])
@pytest.mark.parametrize("decay_from", [0.0, 0.5, 0.9])
def test_falls_to_zero_at_the_end_and_not_before(kind, decay_from):
    factors = [learning_rate_factor(kind, fraction, decay_from=decay_from) for fraction in FRACTIONS]
    assert all(factor == 1.0 for fraction, factor in zip(FRACTIONS, factors, strict=True) if fraction <= decay_from)
    falling = [factor for fraction, factor in zip(FRACTIONS, factors, strict=True) if fraction > decay_from]
    assert all(later < earlier for earlier, later in zip([1.0, *falling], falling, strict=False))
    assert falling[-1] == pytest.approx(0.0, abs=1e-15)
    assert falling[-2] > 0
    # A run whose last batch passes its end: no second rise.
    assert learning_rate_factor(kind, 1.3, decay_from=decay_from) == falling[-1]


def test_values():
    assert learning_rate_factor("linear", 0.75) == 0.5
    assert learning_rate_factor("cosine", 0.75) == pytest.approx(0.5)
    assert learning_rate_factor("linear", 0.625) == 0.75
    assert learning_rate_factor("cosine", 0.625) == pytest.approx((1 + 2**-0.5) / 2)
    assert {learning_rate_factor("constant", fraction) for fraction in (0.0, 0.7, 1.0)} == {1.0}


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="choose linear, cosine or constant"):
        learning_rate_factor("exponential", 0.1)
