"""Training step, inference and loading of this toolkit's Pix2Pix beside plain re-statements of the published forms.

Published step (Isola et al., 2017): eager, fp32, NCHW, Adam as PyTorch makes it, the discriminator called on the fake
and on the real pair in turn, transposed convolutions. The networks are the same on both sides; a further row has this
toolkit's default up-path (resize and convolution), which costs more arithmetic. Published loading: Pillow decodes each
file each time, both halves are resized to 286, cropped, mirrored, made float tensors and normalised one by one.

What is compared takes turns (A B C A B C ...), so that a change of the machine's speed meets all of them; medians of
the rounds are printed, and the published form's time over each; with --peer that of pytorch-CycleGAN-and-pix2pix
itself, from a checkout. Memory of a step: each contender in a process of its own, at its peak and the growth over what
it held before its first step. Measure on a machine that does nothing else.

    python -m scripts.benchmarks.pix2pix [--peer DIR] [--data DIR] [--device cuda] [--rounds 7] [--json FILE]
"""

import argparse
import copy
import json
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torchvision import transforms

from scripts.benchmarks import peer
from scripts.benchmarks.peak import peak, peaks
from scripts.studies.resume import draw_pairs
from translate.config import DataConfig, Pix2PixConfig, ResNetConfig, RunConfig, UNetConfig, WeightsConfig
from translate.data.batches import Wanted
from translate.data.paired import PairedImages
from translate.engine import Display, Engine
from translate.engine.display import device_name
from translate.engine.distributed import World
from translate.inference import Translator
from translate.inference.device import choose_device, choose_precision
from translate.networks import build_network
from translate.recipes import open_recipe

Contender = Callable[[], object]


class PublishedStep:
    """The published step in its plain form, for a generator and a discriminator of any make."""

    def __init__(self, g: nn.Module, d: nn.Module) -> None:
        self.g, self.d = g.train(), d.train()
        self.adam_g = torch.optim.Adam(g.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.adam_d = torch.optim.Adam(d.parameters(), lr=2e-4, betas=(0.5, 0.999))

    def _judge(self, source: Tensor, images: Tensor, *, real: bool) -> Tensor:
        logits = self.d(torch.cat([source, images], 1)).logits[0]
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))

    def __call__(self, batch: dict[str, Tensor]) -> dict[str, float]:
        source, target = batch["source"], batch["target"]
        fake = self.g(source)
        self.d.requires_grad_(True)
        self.adam_d.zero_grad()
        loss_fake = self._judge(source, fake.detach(), real=False)
        loss_real = self._judge(source, target, real=True)
        ((loss_fake + loss_real) * 0.5).backward()
        self.adam_d.step()
        self.d.requires_grad_(False)
        self.adam_g.zero_grad()
        loss_gan = self._judge(source, fake, real=True)
        loss_l1 = F.l1_loss(fake, target) * 100
        (loss_gan + loss_l1).backward()
        self.adam_g.step()
        return {}


class PublishedPairs(torch.utils.data.Dataset):
    """A|B files read as the published code reads them."""

    def __init__(self, files: list[Path], *, size: int) -> None:
        self.files, self.size, self.enlarged = files, size, round(size * 286 / 256)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        both = Image.open(self.files[index]).convert("RGB")
        width, height = both.size
        x, y = (random.randint(0, self.enlarged - self.size) for _ in range(2))
        mirror = random.random() < 0.5
        a, b = (self._tensor(both.crop((left, 0, left + width // 2, height)), x, y, mirror) for left in (0, width // 2))
        return a, b

    def _tensor(self, image: Image.Image, x: int, y: int, mirror: bool) -> Tensor:
        steps: list[Any] = [
            transforms.Resize([self.enlarged, self.enlarged], transforms.InterpolationMode.BICUBIC),
            transforms.Lambda(lambda image: image.crop((x, y, x + self.size, y + self.size))),
            transforms.Lambda(lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirror else image),
            transforms.ToTensor(),
            transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        ]
        return transforms.Compose(steps)(image)


def measure(
    contenders: dict[str, Contender], *, rounds: int, calls: int, warmup: int, device: torch.device
) -> dict[str, list[float]]:
    """Seconds a call of each contender, one value a round; they take turns."""

    def timed(call: Contender, times: int) -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        began = time.perf_counter()
        for _ in range(times):
            call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return (time.perf_counter() - began) / times

    for call in contenders.values():
        timed(call, warmup)
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, call in contenders.items():
            seconds[name].append(timed(call, calls))
    return seconds


def report(title: str, seconds: dict[str, list[float]], *, images: int, results: dict[str, Any]) -> None:
    """A table of one comparison; the first contender is what the others are measured against."""
    print(f"\n{title}\n{'':34}{'seconds':>10}{'images/s':>11}{'ratio':>8}{'spread':>10}")
    first = next(iter(seconds.values()))
    for name, values in seconds.items():
        middle = median(values)
        ratio = median(a / b for a, b in zip(first, values, strict=True))
        spread = (max(values) - min(values)) / middle
        print(f"{name:34}{middle:>10.4f}{images / middle:>11.2f}{ratio:>7.2f}x{spread:>9.0%}")
        results[f"{title}: {name}"] = {"seconds": values, "median": middle, "ratio": ratio, "images": images}


def open_engine(root: Path, out: Path, given: argparse.Namespace, **method: Any) -> Engine:
    """An engine with this toolkit's defaults; `method` holds what differs."""
    run = {name: method.pop(name) for name in ("precision", "compile") if name in method}
    config = Pix2PixConfig(
        data=DataConfig(root=root, size=given.size, workers=1, cache_gb=0.0),
        run=RunConfig(out=out, batch_size=given.batch_size, device=given.device, **run),
        width=given.width,
        d_width=given.width,
        **method,
    )
    recipe, data = open_recipe(config)
    world = World(rank=0, size=1, device=choose_device(given.device))
    return Engine(recipe, data, config=config, world=world, display=Display(enabled=False))


def engines_of(given: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """By contender, what is asked of this toolkit; at first what comes nearest to the published networks."""
    precision = choose_precision("auto", choose_device(given.device))
    same: dict[str, Any] = {"upsampling": "transposed"}
    if given.peer:
        same |= {"norm": "batch", "noise": "training", "depth": given.size.bit_length() - 1}
    found = {f"translate, {precision}": same, f"translate, {precision}, resize up-path": {}}
    if precision != "fp32":
        found["translate, fp32"] = {**same, "precision": "fp32"}
    if given.compile:
        found[f"translate, {precision}, compiled"] = {**same, "compile": True}
    return found


def training(root: Path, folder: Path, given: argparse.Namespace, results: dict[str, Any]) -> None:
    device = choose_device(given.device)
    asked = engines_of(given)
    engines = {name: open_engine(root, folder / name, given, **method) for name, method in asked.items()}
    shape = (given.batch_size, 3, given.size, given.size)
    batch = {name: torch.rand(shape, device=device) * 2 - 1 for name in ("source", "target")}
    contenders: dict[str, Contender] = {}
    if given.peer:
        step = peer.training_step(given.peer, "pix2pix", given, device=device)
        contenders[peer.NAME] = lambda: step(batch["source"], batch["target"])
    else:
        same = next(iter(engines.values()))
        plain = [copy.deepcopy(same.nets[name]).to(memory_format=torch.contiguous_format) for name in ("g", "d")]
        published = PublishedStep(*plain)
        contenders["published"] = lambda: published(batch)
    for name, engine in engines.items():
        contenders[name] = lambda engine=engine: engine.train_step(batch)
    seconds = measure(contenders, rounds=given.rounds, calls=given.calls, warmup=given.warmup, device=device)
    setting = f"U-Net {given.width} wide, {given.size} px, batch {given.batch_size}"
    report(f"Training step, {setting}", seconds, images=given.batch_size, results=results)
    first = {peer.NAME: peer.memory_program("pix2pix", given, device)} if given.peer else {}
    program = ["-m", "scripts.benchmarks.pix2pix", *sys.argv[1:], "--memory-of"]
    peaks(f"Peak memory of a step, {setting}", {**first, **{name: [*program, name] for name in asked}}, results)


def memory(root: Path, folder: Path, given: argparse.Namespace) -> dict[str, float]:
    """That of one contender's steps."""
    device = choose_device(given.device)
    shape = (given.batch_size, 3, given.size, given.size)
    batch = {name: torch.rand(shape, device=device) * 2 - 1 for name in ("source", "target")}
    engine = open_engine(root, folder, given, **engines_of(given)[given.memory_of])
    return peak(lambda: engine.train_step(batch), device)


def inference(given: argparse.Namespace, results: dict[str, Any]) -> None:
    device = choose_device(given.device)
    unet = {"width": given.width, "depth": min(8, (given.size & -given.size).bit_length() - 1), "dropout": 0.0}
    for name, published_config, own_config in (
        ("U-Net", UNetConfig(**unet, upsampling="transposed"), UNetConfig(**unet)),
        (
            f"ResNet-{given.blocks}",
            ResNetConfig(width=given.width, num_blocks=given.blocks, upsampling="transposed"),
            ResNetConfig(width=given.width, num_blocks=given.blocks),
        ),
    ):
        plain = build_network(published_config).to(device).eval()
        same = Translator(
            copy.deepcopy(plain), WeightsConfig(kind="translator", name="same", network=published_config),
            device=given.device,
        )  # fmt: skip
        own = Translator(
            build_network(own_config).eval(), WeightsConfig(kind="translator", name="own", network=own_config),
            device=given.device,
        )  # fmt: skip
        for batch_size in given.inference_batches:
            images = torch.rand(batch_size, 3, given.size, given.size)

            first = plain
            if given.peer:
                kind = f"unet_{given.size}" if name == "U-Net" else f"resnet_{given.blocks}blocks"
                norm: Any = published_config.norm
                first = peer.generator(given.peer, kind, width=given.width, norm=norm, device=device)

            def published(plain: nn.Module = first, images: Tensor = images) -> Tensor:
                with torch.no_grad():
                    return ((plain(images.to(device) * 2 - 1) + 1) / 2).clamp(0, 1).cpu()

            contenders: dict[str, Contender] = {
                peer.NAME if given.peer else "published": published,
                f"translate, {same.precision}": lambda images=images, same=same: same.apply_tensor(images),
                f"translate, {own.precision}, resize up-path": lambda images=images, own=own: own.apply_tensor(images),
            }
            seconds = measure(contenders, rounds=given.rounds, calls=given.calls, warmup=1, device=device)
            title = f"Inference, {name} {given.width} wide, {given.size} px, batch {batch_size}"
            report(title, seconds, images=batch_size, results=results)


def draw_side_by_side(folder: Path, *, count: int, size: int) -> Path:
    """A|B files in JPEG, as facades has them."""
    drawn = draw_pairs(folder / "drawn", count=count, size=size)
    (folder / "train").mkdir()
    for a in sorted((drawn / "A").iterdir()):
        halves = [np.asarray(Image.open(path)) for path in (a, drawn / "B" / a.name)]
        Image.fromarray(np.concatenate(halves, axis=1)).save(folder / "train" / f"{a.stem}.jpg", quality=90)
        for path in (a, drawn / "B" / a.name):
            path.unlink()
    for empty in (drawn / "A", drawn / "B", drawn):
        empty.rmdir()
    return folder


def loading(root: Path, folder: Path, given: argparse.Namespace, results: dict[str, Any]) -> None:
    """Whole passes over the pairs; this toolkit's loader streaming from the files, and from its cache."""
    stores: list[PairedImages] = []

    def stream(name: str, cache_gb: float) -> Contender:
        data = PairedImages(
            DataConfig(root=root, size=given.size, workers=given.workers, cache_gb=cache_gb), cache=folder / name
        )
        stores.append(data)
        batches = data.batches(Wanted(batch_size=given.batch_size))
        return lambda: [next(batches) for _ in range(len(files) // given.batch_size)]

    files = [pair.a.path for pair in PairedImages(DataConfig(root=root, size=given.size)).split("train")]
    loader = torch.utils.data.DataLoader(
        PublishedPairs(files, size=given.size),
        batch_size=given.batch_size,
        shuffle=True,
        num_workers=given.workers if given.workers > 1 else 0,
        drop_last=True,
        persistent_workers=given.workers > 1,
    )
    published = peer.pairs(given.peer, root, given) if given.peer else loader
    contenders: dict[str, Contender] = {
        peer.NAME if given.peer else "published": lambda: list(published),
        "translate, from files": stream("none", 0.0),
        "translate, from its cache": stream("cache", 16.0),
    }
    # The warm-up is one pass over the data, which fills the cache; two, since an epoch may begin ahead.
    seconds = measure(contenders, rounds=given.rounds, calls=1, warmup=2, device=torch.device("cpu"))
    title = f"Loading {len(files)} A|B files, {given.size} px, batch {given.batch_size}, {given.workers} worker(s)"
    report(title, seconds, images=len(files) // given.batch_size * given.batch_size, results=results)
    for data in stores:
        data.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    peer.add_option(parser)
    parser.add_argument(
        "--data", type=Path, help="a data set of A|B files in train/, for the loaders; drawn by code unless given"
    )
    parser.add_argument("--pairs", type=int, default=64, help="how many are drawn")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="PyTorch's; its own choice unless given")
    parser.add_argument("--workers", type=int, default=1, help="of both loaders: processes there, threads here")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--inference-batches", type=int, nargs="*", default=[1, 8])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=2, help="calls a round")
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="a further row with compiled networks")
    parser.add_argument("--only", choices=["training", "inference", "loading"], nargs="+")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.threads is not None:
        torch.set_num_threads(given.threads)
    torch.backends.cudnn.benchmark = True
    random.seed(0)
    device = choose_device(given.device)
    print(f"{device_name(device)}, {torch.get_num_threads()} threads, torch {torch.__version__}, {platform.platform()}")
    wanted = given.only or ["training", "inference", "loading"]
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = given.data or draw_side_by_side(folder / "pairs", count=given.pairs, size=256)
        if given.memory_of:
            print(json.dumps(memory(root, folder / "run", given)))
            return
        if "training" in wanted:
            training(root, folder, given, results)
        if "inference" in wanted:
            inference(given, results)
        if "loading" in wanted:
            loading(root, folder, given, results)
    if given.json is not None:
        setting = {key: str(value) if isinstance(value, Path) else value for key, value in vars(given).items()}
        setting |= {"device": device_name(device), "threads": torch.get_num_threads(), "torch": torch.__version__}
        given.json.write_text(json.dumps({"setting": setting, "results": results}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
