"""Which device, and which precision it is fast at."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from translate.config.training import Precision

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class DeviceError(ValueError):
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
        raise DeviceError(f"device '{name}' is not there: this machine has {', '.join(available)}")
    return device


def fast_bf16(device: torch.device) -> bool:
    """Whether the device computes bf16 in hardware."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        has = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        return bool(has.get("avx512_bf16") or has.get("amx_bf16"))
    return False


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
