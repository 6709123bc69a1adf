"""Trains what a JSON file says, as a process of its own or one of several; run by tests."""

import json
import os
import sys
from pathlib import Path

import torch

from translate.config import CycleGANConfig, Pix2PixConfig, StyleGANConfig, from_dict
from translate.engine import train


def main(given: Path) -> None:
    """Train what a file says."""
    torch.set_num_threads(1)
    values = json.loads(given.read_text(encoding="utf-8"))
    kind = {"cycle_weight": CycleGANConfig, "fade_images": StyleGANConfig}
    train(from_dict(next((found for name, found in kind.items() if name in values), Pix2PixConfig), values))


def forked(given: Path, environment: dict[str, str], output: Path) -> None:
    """The same with what `torchrun` would set, and what is printed in a file."""
    os.environ.update(environment)
    with output.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    main(given)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
