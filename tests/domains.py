"""Two domains of noise in memory, as recipes and the engine see data."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import torch

from translate.config import RunConfig, UnpairedDataConfig
from translate.data.batches import Wanted
from translate.data.store import Format
from translate.engine import Display, Engine
from translate.engine.distributed import World


class MemoryDomains:
    """A stream of seeded noise; every batch is a function of its number."""

    name_a, name_b = "summer", "winter"
    num_images = 8
    description = "noise"
    announcement = ()
    files: ClassVar[dict[str, Path]] = {}

    def __init__(self, *, size: int = 16, channels: tuple[int, int] = (3, 3), dtype: torch.dtype = torch.float32):
        self.size, self.dtype = size, dtype
        self.formats = self.format_a, self.format_b = tuple(Format(channels=count) for count in channels)

    def check_size(self, *, stride: int, minimum: int) -> None:
        assert self.size % stride == 0
        assert self.size >= minimum

    def batch(self, number: int, count: int) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(number)
        return {
            domain: torch.rand(count, given.channels, self.size, self.size, generator=generator, dtype=self.dtype) * 2
            - 1
            for domain, given in (("a", self.format_a), ("b", self.format_b))
        }

    def batches(self, wanted: Wanted) -> Iterator[dict[str, torch.Tensor]]:
        return Stream(self, batch_size=wanted.batch_size, start=wanted.start)

    def samples(self, device: torch.device) -> dict[str, torch.Tensor]:
        return {name: images.float() for name, images in self.batch(999, 2).items()}

    def validation(self, device: torch.device) -> None:
        return None

    def close(self) -> None:
        pass


class Stream:
    def __init__(self, data: MemoryDomains, *, batch_size: int, start: int) -> None:
        self.data, self.batch_size, self.number = data, batch_size, start // batch_size

    def __next__(self) -> dict[str, torch.Tensor]:
        self.number += 1
        return self.data.batch(self.number - 1, self.batch_size)

    def close(self) -> None:
        pass


def run_config(out: Path, **given) -> RunConfig:
    return RunConfig(**{"out": out, "images": 8, "device": "cpu", "precision": "fp32", **given})


def data_config() -> UnpairedDataConfig:
    return UnpairedDataConfig(root=Path("noise"))


def engine_of(recipe, data) -> Engine:
    world = World(rank=0, size=1, device=torch.device("cpu"))
    return Engine(recipe, data, config=recipe.config, world=world, display=Display(enabled=False))
