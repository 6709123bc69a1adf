"""Where the maps of a large image are held: in memory, or in a temporary file where memory is short."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import torch
from torch import Tensor

from translate.config.errors import TranslateError

ALWAYS_IN_MEMORY = 2**24  # bytes
SHARE = 0.5
"""Of the free memory that one map may take; the rest is for the strips, the image and whatever else runs."""
_CHUNK = bytes(2**24)


class MapError(TranslateError, OSError):
    """Neither memory nor the disk of temporary files has room for a map; the message says how much is missing."""


def empty_map(*shape: int, like: Tensor) -> Tensor:
    """A map [1, C, H, W] of a tensor's number type, device and layout, its values undefined.

    Args:
        shape: 1, C, H, W.
        like: Whose layout (channels last or not) is taken: convolutions round otherwise in another one.

    Raises:
        MapError: there is no room for it.
    """
    num_bytes = int(np.prod(shape)) * like.element_size()
    last = like.stride(1) == 1
    if like.device.type != "cpu" or num_bytes <= max(ALWAYS_IN_MEMORY, SHARE * free_memory()):
        layout = torch.channels_last if last else torch.contiguous_format
        return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=layout)
    values = _in_file(num_bytes).view(like.dtype)
    batch, channels, height, width = shape
    return values.view(batch, height, width, channels).permute(0, 3, 1, 2) if last else values.view(shape)


def free_memory() -> int:
    """Bytes that can be taken without swapping, as far as the system, or the limit of its container, tells."""
    free = psutil.virtual_memory().available
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        free = min(free, max(0, limit - used))
    return free


def _in_file(num_bytes: int) -> Tensor:
    """uint8 [bytes] in a file without a name, which goes with the tensor."""
    try:
        with tempfile.TemporaryFile() as file:
            # Written and not only reserved: a full disk must show itself here, not as a crash when memory is touched.
            for start in range(0, num_bytes, len(_CHUNK)):
                file.write(_CHUNK[: num_bytes - start])
            file.flush()
            return torch.from_numpy(np.memmap(file, np.uint8, "r+", shape=(num_bytes,)))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            raise
        where = tempfile.gettempdir()
        raise MapError(
            f"needs {num_bytes / 1e9:.1f} GB more than is free in memory and in {where}: make the image smaller, or "
            f"set {'TMP' if os.name == 'nt' else 'TMPDIR'} to a folder with more space"
        ) from error
