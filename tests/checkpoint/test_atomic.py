"""Files that are whole or not there."""

import errno
import os
import stat
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from translate.checkpoint import WriteError, written_beside


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(source: object, target: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)


def test_writes_and_makes_the_folder(tmp_path):
    path = tmp_path / "a" / "b" / "file.json"
    with written_beside(path) as beside:
        assert beside.parent == path.parent
        assert not path.exists()
        beside.write_text("whole")
    assert path.read_text() == "whole"
    assert left_behind(path.parent) == ["file.json"]


@pytest.mark.parametrize("error", [RuntimeError("bug"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "file.json"
    path.write_text("old")

    def write() -> None:
        with written_beside(path) as beside:
            beside.write_text("half")
            raise error

    with pytest.raises(type(error)):
        write()
    assert path.read_text() == "old"
    assert left_behind(tmp_path) == ["file.json"]


def test_a_full_disk_is_named(tmp_path, full_disk):
    path = tmp_path / "file.json"
    path.write_text("old")
    with (
        pytest.raises(WriteError, match=r"file\.json cannot be written \(No space left on device\): free some space"),
        written_beside(path) as beside,
    ):
        beside.write_text("new")
    assert path.read_text() == "old"
    assert left_behind(tmp_path) == ["file.json"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "folder").write_text("a file")
    with (
        pytest.raises(WriteError, match=r"folder.file\.json cannot be written .*: choose another folder"),
        written_beside(tmp_path / "folder" / "file.json"),
    ):
        pytest.fail("must not begin")


def test_a_folder_in_the_way_is_named(tmp_path):
    (tmp_path / "file.json").mkdir()
    with pytest.raises(WriteError, match=r"file\.json cannot be written"), written_beside(tmp_path / "file.json"):
        pass
    assert left_behind(tmp_path) == ["file.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mask of permissions")
def test_permissions_are_those_of_an_ordinary_file(tmp_path):
    path = tmp_path / "model.safetensors"
    old = os.umask(0o027)
    try:
        with written_beside(path) as beside:
            save_file({"a": torch.zeros(1)}, beside)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
