"""What the demo lists, and the networks it keeps."""

from collections.abc import Callable
from pathlib import Path

import pytest

from translate.checkpoint.files import WeightsError
from translate.demos import catalogue as module
from translate.demos.catalogue import Catalogue
from translate.inference.errors import InferenceError


@pytest.fixture(autouse=True)
def nothing_ships(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "shipped_weights", dict)


def test_lists_what_ships_and_what_was_asked_for(
    tmp_path: Path, make_weights: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = make_weights(tmp_path / "shipped", size=256)
    segmenter = make_weights(tmp_path / "classes", kind="segmenter")
    mine = make_weights(tmp_path / "mine", source="photos", target="maps")
    monkeypatch.setattr(module, "shipped_weights", lambda: {"classes": segmenter, "shipped": shipped})
    assert Catalogue([mine]).titles() == [
        ("shipped: labels → photos, 256 px", "shipped"),
        ("mine: photos → maps, 64 px", "mine"),
    ]


def test_equal_names_are_told_apart(tmp_path: Path, make_weights: Callable[..., Path]) -> None:
    paths = [make_weights(tmp_path / folder / "run") for folder in "abc"]
    catalogue = Catalogue(paths)
    assert list(catalogue.offers) == ["run", "run (2)", "run (3)"]
    assert [offer.path for offer in catalogue.offers.values()] == paths


def test_a_run_of_two_directions_is_two_offers(tmp_path: Path, make_weights: Callable[..., Path]) -> None:
    for name in ("a2b", "b2a"):
        make_weights(tmp_path / "run" / "weights" / name)
    assert list(Catalogue([tmp_path / "run"]).offers) == ["a2b", "b2a"]


def test_painters_take_labels_and_256_px_comes_first(tmp_path: Path, make_weights: Callable[..., Path]) -> None:
    paths = [
        make_weights(tmp_path / "small", size=128),
        make_weights(tmp_path / "other", source="photos"),
        make_weights(tmp_path / "full", size=256),
    ]
    assert [offer.name for offer in Catalogue(paths).painters()] == ["full", "small"]


def test_weights_that_lead_back(tmp_path: Path, make_weights: Callable[..., Path]) -> None:
    catalogue = Catalogue(
        [
            make_weights(tmp_path / "there", source="a", target="b"),
            make_weights(tmp_path / "back", source="b", target="a"),
            make_weights(tmp_path / "same", source="c", target="c"),
        ]
    )
    assert catalogue.inverse("there") == catalogue.offers["back"]
    assert catalogue.inverse("back") == catalogue.offers["there"]
    assert catalogue.inverse("same") is None
    assert catalogue.inverse("none") is None


def test_weights_of_somebody_are_for_nobody_else(tmp_path: Path, make_weights: Callable[..., Path]) -> None:
    catalogue = Catalogue([make_weights(tmp_path / "all")])
    (mine,) = catalogue.add(make_weights(tmp_path / "mine"), name="mine 1f2e3d", private=True)
    assert [name for _, name in catalogue.titles()] == ["all"]
    assert [name for _, name in catalogue.titles(own=[mine.name])] == ["all", "mine 1f2e3d"]


def test_weights_that_were_trained_further_are_read_again(tmp_path: Path, make_weights: Callable[..., Path]) -> None:
    path = make_weights(tmp_path / "run")
    catalogue = Catalogue([path])
    before = catalogue.translator("run")
    make_weights(tmp_path / "run", source="drawings")
    (offer,) = catalogue.add(path)
    assert offer.name == "run"
    assert offer.config.domains.source == "drawings"
    assert catalogue.translator("run") is not before


def test_facts_have_the_terms_of_the_card(tmp_path: Path, make_weights: Callable[..., Path]) -> None:
    path = make_weights(tmp_path / "tiny")
    assert "Terms" not in Catalogue([path]).offers["tiny"].facts
    (path / "README.md").write_text("# x\n\n## Data and terms\n\nFor **research**\nonly.\n\n## More\n\nWords.\n")
    facts = Catalogue([path]).offers["tiny"].facts
    assert facts["Terms"] == "For research only."
    assert facts["Translates"] == "labels → photos"


def test_card_says_what_the_weights_are(tmp_path: Path, make_weights: Callable[..., Path]) -> None:
    card = Catalogue([make_weights(tmp_path / "tiny")]).offers["tiny"].card
    assert card.startswith("U-Net, 0.")
    assert "trained at 64 px" in card


def test_networks_are_kept_and_the_oldest_is_dropped(tmp_path: Path, make_weights: Callable[..., Path]) -> None:
    catalogue = Catalogue([make_weights(tmp_path / name) for name in ("a", "b", "c", "d")])
    first = catalogue.translator("a")
    catalogue.translator("b")
    catalogue.translator("c")
    assert catalogue.translator("a") is first
    catalogue.translator("d")  # b has not been used for longest
    assert catalogue.translator("a") is first
    assert list(catalogue._open) == ["c", "d", "a"]


def test_refuses_what_does_not_translate(tmp_path: Path, make_weights: Callable[..., Path]) -> None:
    with pytest.raises(InferenceError, match=r"classes holds a segmenter: the demo needs"):
        Catalogue([make_weights(tmp_path / "classes", kind="segmenter")])


def test_refuses_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="does not exist"):
        Catalogue([tmp_path / "none"])
