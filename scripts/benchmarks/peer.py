"""The step, the generators and the loader of pytorch-CycleGAN-and-pix2pix, from a checkout that the user names.

Its code is imported from where it lies, unchanged; none of it is part of this project. As a program it measures the
memory of its training step, without anything of this toolkit in the process:

    python -m scripts.benchmarks.peer cycle_gan --peer DIR [--size 128] [--width 64] [--threads 1]
"""

import argparse
import contextlib
import importlib
import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import torch
from torch import Tensor, nn

from scripts.benchmarks.peak import peak

NAME = "the peer"


def add_option(parser: argparse.ArgumentParser) -> None:
    """``--peer``."""
    parser.add_argument(
        "--peer",
        type=Path,
        help="a checkout of pytorch-CycleGAN-and-pix2pix to measure against; a restatement of its code unless given",
    )


def _options(peer: Path, *words: str) -> Any:
    """What its own command line makes of options for training, on the CPU unless told otherwise."""
    if not (peer / "models" / "base_model.py").exists():
        raise SystemExit(f"--peer {peer}: that is no checkout of pytorch-CycleGAN-and-pix2pix")
    if str(peer) not in sys.path:
        sys.path.insert(0, str(peer))
    with tempfile.TemporaryDirectory() as folder:
        line = ["train.py", "--dataroot", folder, "--checkpoints_dir", folder, *words]
        with mock.patch.object(sys, "argv", line), contextlib.redirect_stdout(io.StringIO()):
            return importlib.import_module("options.train_options").TrainOptions().parse()


def _device(device: torch.device) -> tuple[str, ...]:
    return ("--gpu_ids", "0" if device.type == "cuda" else "-1")


def training_step(
    peer: Path, model: Literal["cycle_gan", "pix2pix"], given: argparse.Namespace, *, device: torch.device
) -> Callable[[Tensor, Tensor], None]:
    """Its ``optimize_parameters`` for a batch of its two domains, [N, 3, S, S] each.

    Args:
        peer: The checkout.
        model: Which of its models.
        given: Size, width, blocks and batch size.
        device: Where it computes.
    """
    network = f"resnet_{given.blocks}blocks" if model == "cycle_gan" else f"unet_{given.size}"
    options = _options(
        peer, "--model", model, "--netG", network, "--ngf", str(given.width), "--ndf", str(given.width),
        "--batch_size", str(given.batch_size), "--crop_size", str(given.size), *_device(device),
    )  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        trained = importlib.import_module("models").create_model(options)

    def step(a: Tensor, b: Tensor) -> None:
        trained.set_input({"A": a, "B": b, "A_paths": [], "B_paths": []})
        trained.optimize_parameters()

    return step


def generator(
    peer: Path, name: str, *, width: int, norm: Literal["batch", "instance"], device: torch.device
) -> nn.Module:
    """A generator of its own in evaluation mode: RGB to RGB in [-1, 1], ``unet_256``, ``resnet_9blocks``."""
    options = _options(peer, *_device(device))
    with contextlib.redirect_stdout(io.StringIO()):
        make = importlib.import_module("models.networks").define_G
        network: nn.Module = make(3, 3, width, name, norm, False, "normal", 0.02, options.gpu_ids)
    return network.to(device).eval()


def pairs(peer: Path, root: Path, given: argparse.Namespace) -> Iterable[Any]:
    """Its loader of A|B files, random crops and flips."""
    processes = str(given.workers if given.workers > 1 else 0)
    options = _options(
        peer, "--model", "pix2pix", "--dataroot", str(root), "--batch_size", str(given.batch_size),
        "--load_size", str(round(given.size * 286 / 256)), "--crop_size", str(given.size), "--num_threads", processes,
        "--gpu_ids", "-1",
    )  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        loader: Iterable[Any] = importlib.import_module("data").create_dataset(options)
    return loader


def memory_program(
    model: Literal["cycle_gan", "pix2pix"], given: argparse.Namespace, device: torch.device
) -> list[str]:
    """What Python is to run for the memory of its step."""
    words = {"--peer": given.peer, "--size": given.size, "--width": given.width, "--blocks": given.blocks}
    words |= {"--batch-size": given.batch_size, "--device": device, "--threads": torch.get_num_threads()}
    return ["-m", "scripts.benchmarks.peer", model, *(str(word) for pair in words.items() for word in pair)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=["cycle_gan", "pix2pix"])
    add_option(parser)
    for name, value in (("size", 256), ("width", 64), ("blocks", 9), ("batch-size", 1), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    step = training_step(given.peer, given.model, given, device=given.device)
    a, b = (torch.rand(given.batch_size, 3, given.size, given.size) * 2 - 1 for _ in "ab")
    print(json.dumps(peak(lambda: step(a, b), given.device)))


if __name__ == "__main__":
    main()
