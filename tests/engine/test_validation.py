"""A validation split picks the best weights, kept beside the last; without one there is no best."""

import json

import pytest
import torch

from translate.checkpoint import load_weights


def scores(engine):
    lines = (engine.run.out / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return {
        entry["images"]: sum(entry["validation"].values()) for entry in map(json.loads, lines) if "validation" in entry
    }


@pytest.mark.parametrize(
    "given",
    [{}, {"method": "cyclegan"}, {"method": "cut", "ema_half_life": 3.0}, {"noise": "always"}],
    ids=["pix2pix", "cyclegan", "cut", "noise"],
)
def test_best_is_that_of_the_lowest_score(make_config, open_session, given):
    engine = open_session(make_config(images=12, checkpoint_every=2, hold_out=0.25, **given)).train().engine
    found = scores(engine)
    assert list(found) == [2, 4, 6, 8, 10, 12]
    for folder in engine.recipe.exports():
        (_, best), (_, last) = (load_weights(root / folder) for root in (engine.best_weights, engine.weights))
        assert best.training.images_seen == min(found, key=found.get)
        assert sum(best.training.validation.values()) == pytest.approx(min(found.values()), abs=1e-5)
        assert last.training.images_seen == 12
        assert sum(last.training.validation.values()) == pytest.approx(found[12], abs=1e-5)


def test_a_worse_score_leaves_best_alone_also_after_a_restart(make_config, open_session, monkeypatch):
    made = iter([3.0, 1.0, 2.0, 4.0])
    monkeypatch.setattr("translate.recipes.pix2pix.Pix2Pix.validate", lambda *_, **__: {"l1": torch.tensor(next(made))})
    engine = open_session(make_config(images=4, checkpoint_every=2, hold_out=0.25)).train().engine
    assert engine.best == {"images": 4, "score": 1.0}
    engine = open_session(make_config(images=8, checkpoint_every=2, hold_out=0.25)).train().engine
    assert engine.best == {"images": 4, "score": 1.0}
    assert load_weights(engine.best_weights)[1].training.images_seen == 4


def test_no_split_no_best(finished):
    engine = finished().engine
    assert not scores(engine)
    assert not engine.best_weights.exists()


def test_what_is_held_out_is_not_trained_on(make_config, open_session):
    for method in ("pix2pix", "cyclegan"):
        data = open_session(make_config(method=method, hold_out=0.25)).data
        train, val = data.split("train"), data.split("val")
        if method == "pix2pix":
            train, val = (train,), (val,)
        for kept, held in zip(train, val, strict=True):
            assert (len(kept), len(held)) == (9, 3)
            assert not set(kept) & set(held)
