"""Growing is a function of the images seen."""

import pytest

from translate.recipes.growth import Growth, Stage

GROWTH = Growth(sizes=(8, 16, 32, 64), batch_size=4, stay=100, fade=60)


def test_stages_last_whole_batches():
    assert GROWTH.stages() == (
        Stage(start=0, size=8, batch_size=16, fade=0),
        Stage(start=112, size=16, batch_size=16, fade=60),
        Stage(start=272, size=32, batch_size=8, fade=60),
        Stage(start=432, size=64, batch_size=4, fade=60),
    )
    for before, after in zip(GROWTH.stages()[:-1], GROWTH.stages()[1:], strict=True):
        assert (after.start - before.start) % before.batch_size == 0


@pytest.mark.parametrize(
    ("images", "size", "alpha"),
    [(0, 8, 1.0), (111, 8, 1.0), (112, 16, 0.0), (142, 16, 0.5), (172, 16, 1.0), (271, 16, 1.0), (272, 32, 0.0),
     (432, 64, 0.0), (447, 64, 0.25), (10**7, 64, 1.0)],
)  # fmt: skip
def test_size_and_alpha_after_so_many_images(images, size, alpha):
    stage = GROWTH.at(images)
    assert (stage.size, stage.alpha(images)) == (size, alpha)


def test_without_growing_there_is_one_stage():
    (stage,) = Growth(sizes=(64,), batch_size=4, stay=100, fade=60).stages()
    assert stage == Stage(start=0, size=64, batch_size=4, fade=0)
    assert stage.alpha(0) == 1.0
