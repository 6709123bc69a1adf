"""Names, mixtures and strengths of styles."""

import pytest
import torch

from translate.config import ConfigError
from translate.inference.styles import mixed_code, parse_mixture

NAMES = ("starry-night", "red-fuji", "low-tide")
CODES = torch.tensor([[1.0, 0.0], [0.0, 2.0], [4.0, 4.0]])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("red-fuji", {"red-fuji": 1}),
        ("red-fuji:0.6,low-tide:0.4", {"red-fuji": 0.6, "low-tide": 0.4}),
        (" red-fuji , low-tide:2 ", {"red-fuji": 1, "low-tide": 2}),
        ("red-fuji:0", {"red-fuji": 0}),
    ],
)
def test_mixtures_are_read(text, expected):
    assert parse_mixture(text) == expected


@pytest.mark.parametrize("text", ["", ":1", "red-fuji:", "red-fuji:x", "red-fuji:-1", "red-fuji:nan", "a:inf", "a,,b"])
def test_what_is_no_mixture_is_refused(text):
    with pytest.raises(ConfigError, match="is not a style and weight: write NAME"):
        parse_mixture(text)


def test_a_style_that_is_named_twice_is_refused():
    with pytest.raises(ConfigError, match="red-fuji is given twice"):
        parse_mixture("red-fuji:0.2,red-fuji:0.8")


def test_codes():
    torch.testing.assert_close(mixed_code(CODES, NAMES, "red-fuji"), CODES[1:2])
    torch.testing.assert_close(mixed_code(CODES, NAMES, {"red-fuji": 3}, strength=0.5), CODES[1:2] / 2)
    mixed = mixed_code(CODES, NAMES, {"starry-night": 1, "low-tide": 3})
    torch.testing.assert_close(mixed, torch.tensor([[3.25, 3.0]]))
    assert mixed_code(CODES, NAMES, "low-tide", strength=0).abs().max() == 0


def test_what_there_is_not():
    with pytest.raises(ConfigError, match=r"no style 'starry': did you mean starry-night\?"):
        mixed_code(CODES, NAMES, "starry")
    with pytest.raises(ConfigError, match="there is no style 'cubism': choose from starry-night, red-fuji, low-tide"):
        mixed_code(CODES, NAMES, "cubism")
    for weights in ({"red-fuji": 0.0}, {"red-fuji": 2.0, "low-tide": -1.0}):
        with pytest.raises(ConfigError, match="style weights must be 0 or more, and at least one above 0"):
            mixed_code(CODES, NAMES, weights)
    for strength in (-0.1, 3.0, float("nan")):
        with pytest.raises(ConfigError, match=r"the strength must be 0 to 1\.5"):
            mixed_code(CODES, NAMES, "red-fuji", strength=strength)
