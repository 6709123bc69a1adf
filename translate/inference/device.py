"""Which device, and which precision it is fast at."""

from __future__ import annotations

import math
import time
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import cast

import torch
import torch.nn.functional as F

from translate.config.errors import TranslateError
from translate.config.training import Precision

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class DeviceError(TranslateError, ValueError):
    """A device or precision that this machine does not have; the message says what it has."""


def choose_device(name: str = "auto") -> torch.device:
    """The named device, or the best there is: CUDA, then MPS, then the CPU.

    Raises:
        DeviceError: the device is not there.
    """
    available = ["cpu"]
    if torch.backends.mps.is_available():
        available.insert(0, "mps")
    if torch.cuda.is_available():
        available.insert(0, "cuda")
    if name == "auto":
        return torch.device(available[0])
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"device '{name}' is unknown: this machine has {', '.join(available)}") from None
    if device.type not in available or (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        raise DeviceError(f"device '{name}' is not available: this machine has {', '.join(available)}")
    return device


def fast_bf16(device: torch.device) -> bool:
    """Whether the device computes bf16 in hardware, and faster than fp32; a CPU is measured, once a process."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        has = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        return bool(has.get("avx512_bf16") or has.get("amx_bf16")) and _faster_on_this_cpu()
    return False


@cache
def _faster_on_this_cpu() -> bool:
    """Time a convolution in both precisions, in turns: some CPUs have bf16 instructions that are slower than fp32's.

    Seen: twice as fast on an AMD EPYC, a third slower on an Intel Xeon whose AMX is hidden from its virtual machine.
    """
    images, kernel = torch.ones(1, 64, 64, 64), torch.ones(64, 64, 3, 3)
    best = {"fp32": math.inf, "bf16": math.inf}
    device = torch.device("cpu")
    for _ in range(6):
        for precision in best:
            with torch.inference_mode(), autocast(cast(Precision, precision), device):
                began = time.perf_counter()
                F.conv2d(images, kernel, padding=1)
                best[precision] = min(best[precision], time.perf_counter() - began)
    return best["bf16"] < 0.9 * best["fp32"]


def choose_precision(name: Precision, device: torch.device) -> Precision:
    """bf16 where the device is fast at it, else fp32, unless named.

    Raises:
        DeviceError: fp16 on a device other than CUDA, or a name that is none of these.
    """
    if name == "auto":
        return "bf16" if fast_bf16(device) else "fp32"
    if name not in ("fp32", *DTYPES):
        raise DeviceError(f"precision {name!r} is unknown: choose auto, fp32, bf16 or fp16")
    if name == "fp16" and device.type != "cuda":
        raise DeviceError(f"--precision fp16 needs CUDA, and this run is on {device.type}: choose bf16 or fp32")
    return name


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Mixed precision for a block: matrix products and convolutions in bf16 or fp16, the rest in fp32."""
    return torch.autocast(device.type, dtype=DTYPES[precision]) if precision in DTYPES else nullcontext()
