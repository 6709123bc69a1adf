"""An identity network changes no value of any kind of file."""

from __future__ import annotations

from scripts.studies.round_trip import FORMATS, table


def test_no_value_is_changed() -> None:
    rows = table(33, 21)
    assert len(rows) >= 25
    assert {row[suffix] for row in rows.values() for suffix in FORMATS} == {0, None}
    assert all(row[".tif"] == row[".npy"] == 0 for row in rows.values())
    assert sum(row[".png"] == 0 for row in rows.values()) >= 18
    assert sum(row[".webp"] == 0 for row in rows.values()) >= 15
