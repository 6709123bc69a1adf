"""Which device, and which precision it is fast at."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import cast

import platformdirs
import torch
import torch.nn.functional as F
from torch import Tensor

from translate.checkpoint.atomic import WriteError, written_beside
from translate.config.training import Precision
from translate.inference.errors import DeviceError

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


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
    """Whether the device computes bf16 in hardware, and faster than fp32; a CPU is measured, once a machine."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        has = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        return bool(has.get("avx512_bf16") or has.get("amx_bf16")) and _faster_on_this_cpu()
    return False


@cache
def cpu_name() -> str:
    """What the processor calls itself, such as "AMD EPYC 9B14"; its architecture where it does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (named[0] if named else "") or platform.processor() or platform.machine()


@cache
def _faster_on_this_cpu() -> bool:
    """Whether bf16 is faster than fp32 here: measured once and kept, so that a command gives the same pixels each time.

    It is kept in the user's cache folder, by processor and release of torch. Where that folder cannot be written, it is
    measured by each process; what it measures is not time that other programs can take.
    """
    file = Path(platformdirs.user_cache_dir("image-translate", appauthor=False)) / "precision.json"
    machine = f"{cpu_name()}, torch {torch.__version__}"
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        kept = None
    known = kept if isinstance(kept, dict) else {}
    if known.get(machine) not in ("bf16", "fp32"):
        known[machine] = "bf16" if _measured_faster() else "fp32"
        try:
            with written_beside(file) as beside:
                beside.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
        except WriteError:
            pass
    return bool(known[machine] == "bf16")


def _measured_faster() -> bool:
    """Compare the processor time of a convolution in both precisions, in turns, on one thread.

    Some CPUs have bf16 instructions that are slower than those of fp32. Seen: twice as fast on an AMD EPYC, a third
    slower on an Intel Xeon whose AMX is hidden from its virtual machine.
    """
    images, kernel = torch.ones(1, 64, 64, 64), torch.ones(64, 64, 3, 3)
    spent = {"fp32": 0.0, "bf16": 0.0}
    device, threads = torch.device("cpu"), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for turn in range(11):
            for precision in spent:
                with torch.inference_mode(), autocast(cast(Precision, precision), device):
                    began = time.thread_time()
                    F.conv2d(images, kernel, padding=1)
                    F.conv2d(images, kernel, padding=1)
                    if turn:  # the first one prepares
                        spent[precision] += time.thread_time() - began
    finally:
        torch.set_num_threads(threads)
    return spent["bf16"] < 0.9 * spent["fp32"]


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


def bf16_is_seen(fp32: Mapping[str, Tensor], bf16: Mapping[str, Tensor]) -> bool:
    """Whether bf16 changes images in [-1, 1] so that it may be seen: of one in a thousand of the values of any of them.

    By more than 4 levels of 255. Of the translators that ship, one's change by 5 and those of the others by 1 to 3.
    What is no number counts as seen.
    """
    for name, exact in fp32.items():
        apart = (exact - bf16[name]).abs().flatten()
        # Not "greater": nothing is greater than what is no number, nor smaller.
        if len(apart) and not bool(apart.topk(max(1, len(apart) // 1000)).values[-1] <= 4 / 127.5):
            return True
    return False


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Mixed precision for a block: matrix products and convolutions in bf16 or fp16, the rest in fp32."""
    return torch.autocast(device.type, dtype=DTYPES[precision]) if precision in DTYPES else nullcontext()
