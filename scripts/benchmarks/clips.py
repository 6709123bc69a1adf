"""Frames a second of `translate apply` on a video of 1920x1080, beside the bare network on the same frames in memory.

The clip is a mosaic of photos, or of noise, seen by a camera that moves, as H.264 in an MP4 file. Contenders, which
take turns, with the default number of threads:

bare network       `run_in_parts` on frames that are in memory, scaled to the network's range; outputs are dropped
Translator.apply   the same frames as uint8 arrays, to uint8 arrays
translate_clip     from file to file, with the network opened before
translate apply    the command in a process of its own, start-up included
no network         from file to file with frames as they are: what reading and writing cost
with --smooth      `translate_clip` with smoothing

Medians of the rounds are printed, and the speed of each over the bare network's. Processor time is of all threads.
Measure on a machine that does nothing else.

    python -m scripts.benchmarks.clips [--weights photo2ukiyoe] [--photos FOLDER] [--frames 12] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from scripts.benchmarks.large import mosaic
from scripts.studies.flicker import MOTIONS, Moved
from translate.data.images import Picture
from translate.engine.display import device_name
from translate.inference import load_translator
from translate.inference.clips import clip_writer, open_clip, translate_clip
from translate.inference.running import run_in_parts, run_network
from translate.inference.translator import Translator

ROOT = Path(__file__).resolve().parents[2]
BARE = "bare network"


class Unchanged:
    """In place of a translator."""

    def apply(self, pictures: Sequence[Picture], **options: Any) -> list[Picture]:
        """The pictures as they are."""
        return list(pictures)


def write_clip(path: Path, *, photos: Path | None, frames: int, width: int, height: int) -> None:
    """A camera that pans over a mosaic."""
    side = max(width, height) + 64
    clip = Moved(mosaic(photos, side), camera=MOTIONS["pan"], count=frames, width=width, height=height, step=1.0)
    with clip_writer(path, like=clip) as writer:
        translate_clip(Unchanged(), clip, writer)  # type: ignore[arg-type]


def file_to_file(translator: Any, source: Path, target: Path, *, smooth: bool = False) -> None:
    """Translate a clip in this process."""
    with open_clip(source) as clip, clip_writer(target, like=clip) as writer:
        translate_clip(translator, clip, writer, smooth=smooth)


def contenders(translator: Translator, given: argparse.Namespace, folder: Path) -> dict[str, Callable[[], object]]:
    """What takes turns."""
    source = folder / "in.mp4"
    write_clip(source, photos=given.photos, frames=given.frames, width=given.size[0], height=given.size[1])
    with open_clip(source) as clip:
        pixels = [frame.pixels for frame in clip]
    assert len(pixels) == given.frames
    low, high = translator.config.preprocessing.value_range
    in_range = [torch.from_numpy(one).permute(2, 0, 1)[None].float() / 255 * (high - low) + low for one in pixels]
    translator.apply([Picture(pixels=pixels[0])])  # opens what is opened late
    code = translator.style_code() if translator.styles else None
    size = pixels[0].shape[0], pixels[0].shape[1]
    parts = translator.in_parts(size[1], size[0])

    network: Any = translator.network

    def bare() -> None:
        for image in in_range:
            image = image.to(translator.device)
            if parts:
                made = run_in_parts(
                    network,
                    lambda top, bottom, image=image: image[:, :, top:bottom],
                    size=size,
                    device=translator.device,
                    code=code,
                    precision=translator.precision,
                )
                for _ in made:
                    pass
            else:
                run_network(network, image, code=code, precision=translator.precision)

    def arrays() -> None:
        for one in pixels:
            translator.apply([Picture(pixels=one)])

    command = [sys.executable, "-m", "translate", "apply", given.weights, str(source), "--overwrite"]
    command += ["--device", given.device, "-o", str(folder / "command.mp4")]
    return {
        BARE: bare,
        "Translator.apply": arrays,
        "translate_clip": lambda: file_to_file(translator, source, folder / "out.mp4"),
        "translate apply": lambda: subprocess.run(command, cwd=ROOT, check=True, capture_output=True),
        "no network": lambda: file_to_file(Unchanged(), source, folder / "same.mp4"),
        "with --smooth": lambda: file_to_file(translator, source, folder / "smooth.mp4", smooth=True),
    }


def spent() -> float:
    """Processor time of this process and of those that it waited for, seconds."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="photo2ukiyoe")
    parser.add_argument("--photos", type=Path, help="a folder of JPEG files for the mosaic; noise unless given")
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--size", type=int, nargs=2, default=[1920, 1080], metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, help="of PyTorch; its own choice unless given")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", nargs="+", help="contenders, beside the bare network; all unless given")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.threads:
        os.environ["OMP_NUM_THREADS"] = str(given.threads)  # of the command
        torch.set_num_threads(given.threads)
    translator = load_translator(given.weights, device=given.device)
    setting = {
        "device": device_name(translator.device),
        "threads": torch.get_num_threads(),
        "precision": translator.precision,
        "torch": torch.__version__,
    }
    print(", ".join(f"{name} {value}" for name, value in setting.items()))
    with tempfile.TemporaryDirectory() as name:
        taking_turns = contenders(translator, given, Path(name))
        if given.only:
            taking_turns = {name: call for name, call in taking_turns.items() if name in (BARE, *given.only)}
        walls: dict[str, list[float]] = {name: [] for name in taking_turns}
        processor: dict[str, list[float]] = {name: [] for name in taking_turns}
        for _ in range(given.rounds):
            for name, call in taking_turns.items():
                began, used = time.perf_counter(), spent()
                call()
                walls[name].append((time.perf_counter() - began) / given.frames)
                processor[name].append((spent() - used) / given.frames)
    size = "x".join(map(str, given.size))
    print(f"\n{given.weights}, {given.frames} frames of {size}")
    print(f"{'':20}{'frames/s':>10}{'of the bare':>13}{'processor':>13}{'of the bare':>13}")
    rows = {}
    for name in taking_turns:
        speed = median(a / b for a, b in zip(walls[BARE], walls[name], strict=True))
        work = median(a / b for a, b in zip(processor[BARE], processor[name], strict=True))
        rate, seconds = 1 / median(walls[name]), median(processor[name])
        print(f"{name:20}{rate:10.3f}{speed:13.3f}{seconds:11.3f} s{work:13.3f}")
        rows[name] = {"wall": walls[name], "processor": processor[name], "frames a second": rate, "ratio": speed}
    if given.json is not None:
        options = {key: str(value) if isinstance(value, Path) else value for key, value in vars(given).items()}
        found = {"setting": setting, "options": options, "results": rows}
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
