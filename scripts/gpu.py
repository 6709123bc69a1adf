"""A queue for a GPU that is at hand for minutes: tests, benchmarks, then trainings, in the order of their worth.

    python scripts/gpu.py pack --facades DIR --photos DIR --paintings DIR --faces DIR --mnist DIR -o gpu-data.tar
    python scripts/gpu.py run gpu-data.tar -o OUT [--minutes 9] [--device cuda] [--only NAME ...] [--toy]

`pack` writes the data at the size of the trainings as WebP, under 40 MB. `run` works through the queue: each part has
seconds of its own, and stops by itself. What it made is in OUT at once: what it said and measured in ``summary.json``,
and of each training a .tar of less than 16 MiB (weights in fp16, log, last samples). A part that is in OUT already is
passed over, so that the queue goes on from what came back. `--toy` is the rehearsal: the same commands, small, on any
machine.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
MOST_BYTES, MOST_DATA = 16 * 2**20, 40 * 10**6
KEPT_LINES = 40  # of what a benchmark says
CLOSING = 15  # seconds of a part that saving and exporting take


@dataclass(frozen=True)
class Part:
    """One entry of the queue."""

    name: str
    seconds: int
    """Of the whole nine minutes."""
    program: tuple[str, ...]
    """What is run; ``{data}``, ``{out}``, ``{device}`` and ``{minutes}`` are filled in."""
    toy: tuple[str, ...]
    """What is added to it in the rehearsal."""
    exports: bool = False
    """Whether it is a training, whose weights come home."""


TRAIN = ("-m", "translate", "train")
GOES = ("--out", "{out}", "--device", "{device}", "--minutes", "{minutes}")
TIMES = "{out}/times.json"
QUEUE = (
    Part(
        "tests",
        60,
        ("-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "tests"),
        ("--co",),
    ),
    Part(
        "pix2pix-step",
        35,
        ("-m", "scripts.benchmarks.pix2pix", "--device", "{device}", "--only", "training", "--json", TIMES),
        ("--size", "64", "--width", "8", "--blocks", "1", "--rounds", "1", "--calls", "1"),
    ),
    Part(
        "cyclegan-step",
        45,
        ("-m", "scripts.benchmarks.cyclegan", "--device", "{device}", "--json", TIMES),
        ("--size", "32", "--width", "4", "--blocks", "1", "--rounds", "1"),
    ),
    Part(
        "stylegan-step",
        40,
        ("-m", "scripts.benchmarks.stylegan", "--device", "{device}", "--sizes", "64", "--json", TIMES),
        ("--sizes", "16", "--width", "4", "--batch-size", "2", "--rounds", "1"),
    ),
    Part(
        "facades",
        110,
        (
            *TRAIN, "pix2pix", "{data}/facades", *GOES, "--direction", "b2a", "--names", "photos", "labels",
            "--size", "256", "--width", "32", "--depth", "7", "--batch-size", "8", "--images", "80000",
            "--perceptual-weight", "30", "--reconstruction-weight", "25", "--ema-half-life", "2000",
        ),
        ("--width", "4", "--d-width", "4", "--images", "8", "--perceptual-weight", "0"),
        exports=True,
    ),
    Part(
        "photo2ukiyoe",
        80,
        (
            *TRAIN, "cut", "{data}/photo2ukiyoe", *GOES, "--size", "256", "--width", "32", "--batch-size", "4",
            "--images", "60000", "--ema-half-life", "1000",
        ),
        ("--width", "4", "--d-width", "4", "--num-blocks", "1", "--images", "8"),
        exports=True,
    ),
    Part(
        "gan-faces",
        50,
        (
            *TRAIN, "dcgan", "{data}/faces", *GOES, "--size", "64", "--flip", "--width", "64", "--d-width", "64",
            "--batch-size", "64", "--images", "1500000", "--augment", "colour", "translation", "cutout",
            "--schedule", "linear", "--ema-half-life", "10000", "--ema-ramp-up", "0.1",
        ),
        ("--width", "4", "--d-width", "4", "--images", "64"),
        exports=True,
    ),
    Part(
        "iwae-50",
        70,
        (
            *TRAIN, "vae", "{data}/mnist", *GOES, "--body", "dense", "--hidden", "200", "200", "--latent", "50",
            "--importance-samples", "50", "--images", "20000000", "--batch-size", "256",
        ),
        ("--hidden", "8", "--latent", "4", "--images", "512"),
        exports=True,
    ),
)  # fmt: skip


def images_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))


def packed(name: str, image: Image.Image, *, quality: int) -> Iterator[tuple[str, bytes]]:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "WEBP", quality=quality, method=4)
    yield name, buffer.getvalue()


def covered(image: Image.Image, side: int) -> Image.Image:
    """The shorter side so long."""
    scale = side / min(image.size)
    size = (max(side, round(image.width * scale)), max(side, round(image.height * scale)))
    return image if size == image.size else image.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def contents(given: argparse.Namespace) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of what is packed."""
    for split in ("train", "val", "test"):
        for path in images_in(given.facades / split):
            yield from packed(f"facades/{split}/{path.stem}.webp", Image.open(path), quality=75)
    for domain, folder, side in (("A", given.photos, 256), ("B", given.paintings, 286)):
        files = images_in(folder)
        for number, path in enumerate(files[:: -(-len(files) // 300)]):
            image = covered(Image.open(path), side)
            yield from packed(f"photo2ukiyoe/train{domain}/{number:04}.webp", image, quality=75)
    files = images_in(given.faces)
    for number, path in enumerate(files[:: -(-len(files) // 5000)]):
        image = Image.open(path).convert("RGB").resize((64, 64), Image.Resampling.LANCZOS)
        yield from packed(f"faces/{number:05}.webp", image, quality=78)
    for path in sorted(given.mnist.iterdir()):
        if path.name.endswith(".gz"):
            yield f"mnist/{path.name}", path.read_bytes()


def pack(given: argparse.Namespace) -> None:
    total = 0
    with tarfile.open(given.out, "w") as archive:
        for name, data in contents(given):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
            total += len(data)
    size = given.out.stat().st_size
    print(f"{given.out}: {size / 1e6:.1f} MB, {total / 1e6:.1f} MB of it data")
    if size > MOST_DATA:
        sys.exit(f"that is more than {MOST_DATA / 1e6:.0f} MB: give fewer images")


def bring_home(part: Part, out: Path, target: Path) -> list[str]:
    """Put what a training made into one file; the names in it."""
    files = [path for path in (out / "said.txt", out / "log.jsonl") if path.is_file()]
    if samples := sorted((out / "samples").glob("*.png")):
        last = out / "samples.jpg"
        Image.open(samples[-1]).convert("RGB").save(last, quality=88)
        files.append(last)
    if (out / "weights").exists():
        half = out / "half"
        words = [sys.executable, "-m", "translate", "export", out, "--dtype", "fp16", "-o", half, "--name", part.name]
        if subprocess.run([str(word) for word in words], cwd=ROOT, check=False).returncode == 0:
            files += sorted(path for path in half.rglob("*") if path.is_file())
    beside = target.with_suffix(".part")
    with tarfile.open(beside, "w") as archive:
        for path in files:
            archive.add(path, path.relative_to(out))
    if beside.stat().st_size > MOST_BYTES:
        with tarfile.open(beside, "w") as archive:  # better the words alone than nothing
            for path in (path for path in files if path.suffix != ".safetensors"):
                archive.add(path, path.relative_to(out))
    beside.replace(target)
    return [str(path.relative_to(out)) for path in files]


def worked(part: Part, *, work: Path, given: argparse.Namespace, seconds: float) -> dict[str, Any]:
    """Run a part."""
    out = work / part.name
    out.mkdir(parents=True, exist_ok=True)
    minutes = max(0.05, (seconds - CLOSING) / 60)
    filled = {"data": work / "data", "out": out, "device": given.device, "minutes": f"{minutes:.2f}"}
    words = [word.format(**filled) for word in (*part.program, *(part.toy if given.toy else ()))]
    start = time.monotonic()
    with (out / "said.txt").open("w", encoding="utf-8") as said:
        try:
            code: int | None = subprocess.run(
                [sys.executable, *words], cwd=ROOT, stdout=said, stderr=subprocess.STDOUT, timeout=seconds, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            code = None
    lines = [line.strip() for line in (out / "said.txt").read_text(encoding="utf-8").splitlines() if line.strip()]
    found: dict[str, Any] = {
        "seconds": round(time.monotonic() - start, 1),
        "ended": "out of time" if code is None else code,
        "said": lines[-1:] if part.exports else lines[-KEPT_LINES:],
    }
    if part.exports:
        found["files"] = bring_home(part, out, given.out / f"{part.name}.tar")
    elif (out / "times.json").exists():
        found["times"] = json.loads((out / "times.json").read_text(encoding="utf-8"))
    return found


def run(given: argparse.Namespace) -> int:
    end = time.monotonic() + 60 * given.minutes
    given.out.mkdir(parents=True, exist_ok=True)
    summary_file = given.out / "summary.json"
    summary: dict[str, Any] = json.loads(summary_file.read_text()) if summary_file.exists() else {}
    chosen = [part for part in QUEUE if not given.only or part.name in given.only]
    share = 60 * given.minutes / sum(part.seconds for part in chosen)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        with tarfile.open(given.data) as archive:
            archive.extractall(work / "data", filter="data")
        for part in chosen:
            if part.name in summary:
                print(f"{part.name}: there already", flush=True)
                continue
            seconds = min(part.seconds * share, end - time.monotonic())
            if seconds < CLOSING:
                print(f"{part.name}: no time is left", flush=True)
                continue
            told = worked(part, work=work, given=given, seconds=seconds)
            summary[part.name] = told
            failed += told["ended"] not in (0, "out of time")
            summary_file.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
            print(f"{part.name}: {told['seconds']} s, {told['ended']}: {' '.join(told['said'][-1:])}", flush=True)
    return 1 if failed else 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    packing = commands.add_parser("pack")
    for name in ("facades", "photos", "paintings", "faces", "mnist"):
        packing.add_argument(f"--{name}", type=Path, required=True)
    packing.add_argument("-o", "--out", type=Path, required=True)
    packing.set_defaults(does=pack)
    running = commands.add_parser("run")
    running.add_argument("data", type=Path, help="what pack wrote")
    running.add_argument("-o", "--out", type=Path, required=True)
    running.add_argument("--minutes", type=float, default=9.0)
    running.add_argument("--device", default="cuda")
    running.add_argument("--only", nargs="+", choices=[part.name for part in QUEUE])
    running.add_argument("--toy", action="store_true")
    running.set_defaults(does=run)
    given = parser.parse_args(arguments)
    return given.does(given) or 0


if __name__ == "__main__":
    sys.exit(main())
