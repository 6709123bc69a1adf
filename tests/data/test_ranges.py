"""One range of values for a set: what is found, what counts as no data, and values as shares of it."""

import numpy as np
import pytest

from translate.data.ranges import FoundRange, find_range, missing, sample, shares


def found(*arrays, nodata=None) -> FoundRange:
    return find_range([sample(np.atleast_3d(np.asarray(array)), nodata) for array in arrays])


def uniform(low, high, dtype=np.float32, size=(64, 64), seed=0):
    values = np.random.default_rng(seed).uniform(low, high, size)
    return (np.rint(values) if np.dtype(dtype).kind in "ui" else values).astype(dtype)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (uniform(0, 1), (0, 1)),
        (uniform(0.1, 0.4), (0, 1)),
        (uniform(-1, 1), (-1, 1)),
        (uniform(0, 255), (0, 255)),
        (np.rint(uniform(0, 255)), (0, 255)),  # whole numbers in floats
        (uniform(0, 255, np.int32), (0, 255)),
        (uniform(0, 4000, np.int32), (0, 4095)),
        (uniform(0, 60_000, np.uint32), (0, 65_535)),
        (uniform(0, 1, np.float64), (0, 1)),
        (uniform(0, 1, np.float16), (0, 1)),
    ],
)
def test_ranges_by_convention(values, expected):
    assert found(values).values == expected


@pytest.mark.parametrize("outlier", [0.9999, 1.0001, 1.5, 40.0, -3.0])
def test_an_outlier_changes_nothing(outlier):
    values = uniform(0, 1)
    values[3, 4] = outlier
    both = found(values, uniform(0, 1, seed=1))
    assert both.values == (0, 1)
    assert found(values).values == (0, 1)
    assert (both.outside > 0) == (not 0 <= outlier <= 1)


def test_a_set_has_its_own_range_where_none_by_convention_fits():
    ct = uniform(-1024, 3071, np.int16)
    assert found(ct, np.full((8, 8), -1024, np.int16)).values == (-1024, ct.max())
    depth = uniform(0.4, 9.7)  # metres fit [0, 255] as well, and mean something else
    assert found(depth).values == (depth.min(), depth.max())
    signed = uniform(-100, 100, np.int8)
    assert found(signed).values == (signed.min(), signed.max())
    far = uniform(280, 310)
    far[0, 0] = 1e30  # a defect: cut off, and said
    cut = found(far)
    assert 309 < cut.high <= 310
    assert cut.outside > 0


def test_flat_images_are_flat():
    air = np.full((8, 8, 1), -1024, np.int16)
    flat = found(air)
    assert flat.low < flat.high
    assert not shares(air, flat.values).any()
    assert found(np.full((4, 4), np.nan)).values == (0, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.int32])
@pytest.mark.parametrize("mark", [-9999, -32768])
def test_marks_of_no_data_count_for_no_range(dtype, mark):
    values = uniform(100, 4000, dtype)
    marked = values.copy()
    marked[:5] = mark
    gone = missing(marked[..., None], None)
    assert gone is not None
    assert gone[:5].all()
    assert not gone[5:].any()
    assert found(marked, nodata=None).values == found(values[5:]).values
    scaled = shares(marked[..., None], (0, 4095))
    assert not scaled[:5].any()
    np.testing.assert_allclose(scaled[5:, :, 0], values[5:] / 4095, atol=1e-6)


def test_what_is_near_a_mark_is_data():
    deep = uniform(-10_500, -9_000, np.int16)  # a sea floor
    deep[0, 0] = -9999
    assert missing(deep[..., None], None) is None


def test_nan_infinity_and_the_mark_of_a_file():
    values = uniform(0, 1)[..., None]
    values[0], values[1], values[2] = np.nan, np.inf, 7
    gone = missing(values, 7.0)
    assert gone is not None
    assert gone[:3].all()
    assert not gone[3:].any()
    assert find_range([sample(values, 7.0)]).values == (0, 1)
    assert missing(uniform(0, 255, np.uint8)[..., None], None) is None


def test_order_is_kept_and_ends_are_cut_off():
    values = np.arange(-100, 101, dtype=np.int8)[None, :, None]
    scaled = shares(values, (-90, 90))[0, :, 0]
    assert (np.diff(scaled) >= 0).all()
    assert (scaled[0], scaled[100], scaled[-1]) == (0, 0.5, 1)


@pytest.mark.parametrize(("dtype", "mark"), [("u1", -9999), ("u1", 256), ("u1", 0.5), ("u2", 65_536), ("i2", 65_535)])
def test_a_mark_that_a_type_cannot_hold_marks_nothing(dtype, mark):
    values = np.arange(256).astype(dtype)[None, :, None]
    assert missing(values, float(mark)) is None
    assert missing(values, 7.0).sum() == 1


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.float32])
def test_a_few_whole_numbers_are_not_black(dtype):
    assert found(uniform(0, 4, np.int16).astype(dtype)).values == (0, 4)
