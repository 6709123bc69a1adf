"""Folders from disk to disk: `translate apply` beside the peer's `test.py`, and its memory by the number of files.

compare    JPEG files of 256 px, by `translate apply` and by the unchanged `test.py` of pytorch-CycleGAN-and-pix2pix
           (which writes each input beside its output and needs the package dominate): ResNet-9 of width 24 with
           instance norm, drawn by the peer and taken over by `translate import`. Each run is a process of its own,
           start-up included, with one PyTorch thread or --threads; they take turns. Medians of the rounds are printed,
           and the peer's over each. Outputs are compared, too, in levels of 255: the peer cuts off what ours rounds.
memory     The peak resident set of `translate apply` by the number of small images, by a small network.

Processor time is that of all threads: `translate apply` reads and writes in threads of their own, which --cores 1 takes
from it. Measure on a machine that does nothing else. Linux and macOS.

    python -m scripts.benchmarks.folders compare --peer FOLDER [--photos FOLDER] [--counts 1 200] [--json FILE]
    python -m scripts.benchmarks.folders memory [--counts 200 10000] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image

from scripts.benchmarks.large import mosaic
from translate.checkpoint import save_weights
from translate.config import Preprocessing, ResNetConfig, WeightsConfig
from translate.engine.display import device_name
from translate.inference.device import choose_precision
from translate.networks import build_network, initialise

ROOT = Path(__file__).resolve().parents[2]
WIDTH, NAME = 24, "resnet-9"
SIDE = 2048  # of the mosaic that images are cut from
# In a small process: a peak is counted from what the process had that started it.
WATCH = """
import json, os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
_, status, used = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
wall, processor = time.perf_counter() - began, used.ru_utime + used.ru_stime
print(json.dumps([wall, processor, used.ru_maxrss, process.returncode]))
"""
DRAW = """
import sys, torch
from models import networks
torch.manual_seed(0)
network = networks.define_G(3, 3, int(sys.argv[1]), "resnet_9blocks", "instance", False)
torch.save(network.state_dict(), sys.argv[2])
"""


@dataclass(frozen=True)
class Cost:
    """Of one process and what it started."""

    wall: float
    """Seconds."""
    processor: float
    """Seconds of all its threads."""
    memory: float
    """Peak resident set, MB."""


def cost(*command: str | Path, folder: Path, environment: dict[str, str]) -> Cost:
    """Run a program; stops here where it fails."""
    watched = [sys.executable, "-c", WATCH, *map(str, command)]
    done = subprocess.run(watched, cwd=folder, env=os.environ | environment, capture_output=True, text=True)
    wall, processor, peak, code = json.loads(done.stdout)
    if code:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return Cost(wall=wall, processor=processor, memory=peak / (1024 if sys.platform == "linux" else 2**20))


def write_images(folder: Path, count: int, *, side: int, photos: Path | None) -> Path:
    """So many JPEG files, cut from a mosaic of photos or of noise."""
    folder.mkdir()
    whole, drawn = mosaic(photos, SIDE), np.random.default_rng(0)
    for number in range(count):
        top, left = drawn.integers(0, SIDE - side, 2)
        cut = Image.fromarray(whole[top : top + side, left : left + side])
        cut.save(folder / f"{number:05}.jpg", quality=95)
    return folder


def environment(folder: Path, *, threads: int = 1) -> dict[str, str]:
    """So many threads, and nothing kept in the user's folders."""
    threads_of = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    return threads_of | {"XDG_CACHE_HOME": str(folder / "cache")}


def compare(given: argparse.Namespace, folder: Path) -> list[dict[str, object]]:
    """Ours beside the peer's, for each number of images."""
    around, peer = environment(folder, threads=given.threads), given.peer.resolve()
    checkpoint = folder / "checkpoints" / NAME / "latest_net_G.pth"
    checkpoint.parent.mkdir(parents=True)
    cost(sys.executable, "-c", DRAW, str(WIDTH), checkpoint, folder=peer, environment=around | {"PYTHONPATH": "."})
    ours = [sys.executable, "-m", "translate"]
    cost(*ours, "import", checkpoint, "-o", folder / "weights", folder=ROOT, environment=around)
    rows: list[dict[str, object]] = []
    chosen = choose_precision("auto", torch.device("cpu"))
    for count in given.counts:
        inputs = write_images(folder / f"inputs-{count}", count, side=given.side, photos=given.photos)
        theirs = [sys.executable, "test.py", "--dataroot", inputs, "--name", NAME, "--model", "test", "--no_dropout"]
        theirs += ["--ngf", str(WIDTH), "--num_test", str(count), "--gpu_ids", "-1", "--results_dir", folder / "theirs"]
        theirs += ["--load_size", str(given.side), "--crop_size", str(given.side)]
        theirs += ["--checkpoints_dir", folder / "checkpoints"]
        apply = [*ours, "apply", folder / "weights", inputs, "--device", "cpu", "-o"]
        contenders: dict[str, tuple[list[str | Path], Path, Path]] = {
            "test.py of the peer": (theirs, peer, folder / "theirs")
        }
        for precision in sorted({"fp32", chosen}):
            out = folder / precision
            contenders[f"translate apply, {precision}"] = ([*apply, out, "--precision", precision], ROOT, out)
        costs: dict[str, list[Cost]] = {name: [] for name in contenders}
        for number in range(given.rounds + given.warmup):
            for name, (command, where, out) in contenders.items():
                shutil.rmtree(out, ignore_errors=True)
                found = cost(*command, folder=where, environment=around)
                if number >= given.warmup:
                    costs[name].append(found)
        table(f"{count} images of {given.side} px", costs, count, rows)

        def theirs_of(file: Path) -> Path:
            return folder / "theirs" / NAME / "test_latest" / "images" / f"{file.stem}_fake.png"

        for made in sorted({"fp32", chosen}):
            apart = [
                np.abs(np.asarray(Image.open(file), int) - np.asarray(Image.open(theirs_of(file)), int))
                for file in sorted((folder / made).glob("*.png"))
            ]
            assert len(apart) == count
            largest, middle = max(one.max() for one in apart), np.mean([one.mean() for one in apart])
            default = " (what auto chooses here)" if made == chosen else ""
            print(f"{made}{default}: {middle:.3f} levels from the peer's, at most {largest}")
            rows.append({"images": count, "differences": made, "mean": float(middle), "largest": int(largest)})
    return rows


def table(title: str, costs: dict[str, list[Cost]], count: int, rows: list[dict[str, object]]) -> None:
    """Medians, and those of the first over each."""
    print(f"\n{title}\n{'':24}{'wall':>9}{'ratio':>7}{'processor':>11}{'ratio':>7}{'images/s':>10}{'memory':>9}")
    first = next(iter(costs.values()))
    for name, found in costs.items():
        wall, processor = (median(getattr(one, kind) for one in found) for kind in ("wall", "processor"))
        ratios = {
            kind: median(getattr(a, kind) / getattr(b, kind) for a, b in zip(first, found, strict=True))
            for kind in ("wall", "processor")
        }
        memory = median(one.memory for one in found)
        print(
            f"{name:24}{wall:7.2f} s{ratios['wall']:7.2f}{processor:9.2f} s{ratios['processor']:7.2f}"
            f"{count / wall:10.2f}{memory:6.0f} MB",
            flush=True,
        )
        row = {"images": count, "name": name, "wall": wall, "processor": processor, "memory": memory, "ratios": ratios}
        rows.append(row | {"rounds": [asdict(one) for one in found]})


def memory(given: argparse.Namespace, folder: Path) -> list[dict[str, object]]:
    """The peak of `translate apply` by the number of images."""
    torch.manual_seed(0)
    network = ResNetConfig(width=4, num_blocks=1)
    config = WeightsConfig(kind="translator", name="small", network=network, preprocessing=Preprocessing(size=64))
    save_weights(initialise(build_network(network)), config, folder / "weights")
    rows: list[dict[str, object]] = []
    base, around = 0.0, environment(folder, threads=given.threads)
    side = min(given.side, 64)
    print(f"{f'images of {side} px':24}{'peak':>9}{'growth':>12}{'wall':>10}{'processor':>11}")
    for number, count in enumerate(given.counts):
        inputs = write_images(folder / f"inputs-{number}", count, side=side, photos=given.photos)
        command = ["-m", "translate", "apply", folder / "weights", inputs, "--device", "cpu", "-o"]
        peaks = []
        for _ in range(given.rounds):
            shutil.rmtree(folder / "out", ignore_errors=True)
            found = cost(sys.executable, *command, folder / "out", folder=ROOT, environment=around)
            assert sum(1 for _ in (folder / "out").iterdir()) == count
            peaks.append(found.memory)
        base = base or median(peaks)
        growth = median(peaks) - base
        print(
            f"{count:<24,}{median(peaks):6.1f} MB{growth:+9.1f} MB{found.wall:8.1f} s{found.processor:9.1f} s",
            flush=True,
        )
        rows.append({"images": count, "peak": median(peaks), "peaks": peaks, "growth": growth})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figure", choices=["compare", "memory"])
    parser.add_argument("--peer", type=Path, help="a checkout of pytorch-CycleGAN-and-pix2pix")
    parser.add_argument(
        "--photos", type=Path, help="a folder of JPEG files that images are cut from; noise unless given"
    )
    parser.add_argument("--counts", type=int, nargs="+", help="of images; 1 and 200, or 200 and 10000, unless given")
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--rounds", type=int, help="5, or 3 of memory, unless given")
    parser.add_argument("--warmup", type=int, default=1, help="rounds that are not counted")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch, in what is compared")
    parser.add_argument("--cores", type=int, help="of the machine that may be used (Linux)")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.figure == "compare" and given.peer is None:
        parser.error("compare needs --peer FOLDER, a checkout of pytorch-CycleGAN-and-pix2pix")
    given.counts = given.counts or ([1, 200] if given.figure == "compare" else [200, 10_000])
    given.rounds = given.rounds or (5 if given.figure == "compare" else 3)
    if given.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.cores])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    setting = {"device": device_name(torch.device("cpu")), "cores": cores, "torch": torch.__version__}
    setting["threads"] = given.threads
    print(", ".join(f"{name} {value}" for name, value in setting.items()))
    with tempfile.TemporaryDirectory() as name:
        rows = (compare if given.figure == "compare" else memory)(given, Path(name))
    if given.json is not None:
        options = {key: str(value) if isinstance(value, Path) else value for key, value in vars(given).items()}
        found = {"setting": setting, "options": options, "results": rows}
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
