"""Maps that do not fit into memory lie in a file."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from translate.blocks import maps
from translate.blocks.maps import MapError, empty_map, free_memory


def test_free_memory_is_told() -> None:
    assert 2**20 < free_memory() < 2**50


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_map_on_disk_is_like_one_in_memory(monkeypatch: pytest.MonkeyPatch, dtype: Any, layout: Any) -> None:
    like = torch.randn(1, 3, 5, 7).to(dtype).contiguous(memory_format=layout)
    monkeypatch.setattr(maps, "ALWAYS_IN_MEMORY", 0)
    monkeypatch.setattr(maps, "free_memory", lambda: 10**9)
    held = empty_map(1, 3, 11, 7, like=like)
    monkeypatch.setattr(maps, "free_memory", lambda: 0)
    opened = []
    monkeypatch.setattr(np, "memmap", lambda *given, _own=np.memmap, **named: opened.append(1) or _own(*given, **named))
    stored = empty_map(1, 3, 11, 7, like=like)
    assert len(opened) == 1
    assert (stored.shape, stored.dtype, stored.stride()) == (held.shape, dtype, held.stride())
    stored[:, :, 3:8] = like
    assert torch.equal(stored[:, :, 3:8], like)


def test_a_full_disk_names_the_need(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Full:
        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def write(self, _: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(maps, "free_memory", lambda: 0)
    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(MapError, match=r"needs 1\.2 GB more than is free in memory and in .*TMP"):
        empty_map(1, 32, 3000, 3125, like=torch.zeros(1, 32, 1, 1))
