"""Pairs drawn by code, and engines of a few thousand weights on them."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from translate.config import METHODS, configure
from translate.data.paired import PairedImages
from translate.engine import Display, Engine
from translate.engine.distributed import World
from translate.engine.train import initial_seed
from translate.recipes import open_recipe

LEARNERS = ("ae", "vae", "vqvae")
PALETTE = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
SIZE = 32


def _shapes(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A label map of rectangles in three colours, and a photo-like rendering of it: uint8 [SIZE, SIZE, 3] each."""
    labels = np.full((SIZE, SIZE, 3), PALETTE[0], np.uint8)
    for colour in PALETTE[1:] * 2:
        left, top = generator.integers(0, SIZE - 8, 2)
        width, height = generator.integers(6, 16, 2)
        labels[top : top + height, left : left + width] = colour
    noise = generator.normal(0, 10, labels.shape)
    return labels, np.clip(labels[..., ::-1] * 0.5 + 60 + noise, 0, 255).astype(np.uint8)


def _converted(pixels: np.ndarray, kind: str) -> np.ndarray:
    """RGB pixels as grey, 16-bit grey or RGBA."""
    grey = pixels.mean(axis=-1)
    match kind:
        case "grey":
            return grey.astype(np.uint8)
        case "16-bit":
            return (grey * 257).astype(np.uint16)
        case "RGBA":
            return np.concatenate([pixels, 255 - pixels[..., :1] // 2], axis=-1)
    return pixels


@pytest.fixture(scope="session")
def draw_pairs() -> Callable[..., Path]:
    """``draw_pairs(folder, count=12, kind="RGB")``: A/ with label maps, B/ with photos."""

    def draw(folder: Path, *, count: int = 12, kind: str = "RGB") -> Path:
        for number in range(count):
            halves = _shapes(np.random.default_rng(number))
            for domain, pixels in zip("AB", halves, strict=True):
                (folder / domain).mkdir(parents=True, exist_ok=True)
                Image.fromarray(_converted(pixels, kind)).save(folder / domain / f"{number:03d}.png")
        return folder

    return draw


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory, draw_pairs: Callable[..., Path]) -> Path:
    """Twelve pairs of RGB images, 32 px."""
    return draw_pairs(tmp_path_factory.mktemp("pairs"))


def tiny_config(pairs: Path, method: str = "pix2pix", **given: Any) -> Any:
    """A tiny configuration of a method; fields of data, run and method are given side by side."""
    unpaired = METHODS[method].data == "domains"
    if method in LEARNERS:
        return tiny_learner(pairs, method, **given)
    values: dict[str, Any] = {
        "root": pairs,
        "device": "cpu",
        "precision": "fp32",
        "images": 6,
        "workers": 1,
        "cache_gb": 0.0,
        "width": 4,
    }
    values |= {"depth": 3} if method == "segmentation" else {"d_width": 4, "d_layers": 2}
    if method in ("cut", "fastcut"):
        values |= {"projection": 8, "num_patches": 8}
    if unpaired and given.get("generator", "resnet") == "resnet":
        values |= {"num_blocks": 1}
    values |= given
    if method == "pix2pix" and values.get("generator", "unet") == "unet":
        # At depth 5 the innermost level is one pixel; enlarged to 2x2 and normalised, the middle weight of its
        # kernel has no effect: its gradient is rounding alone, which Adam makes steps of.
        values = {"depth": 4} | values
    return configure(method, **values)


def tiny_learner(pairs: Path, method: str, **given: Any) -> Any:
    """A tiny configuration of an autoencoder."""
    values: dict[str, Any] = {
        "root": pairs / "A",
        "device": "cpu",
        "precision": "fp32",
        "images": 8,
        "batch_size": 2,
        "workers": 1,
        "cache_gb": 0.0,
        "size": 16,
    }
    values |= {"width": 4, "prior_width": 8, "prior_layers": 1, "num_codes": 8} if method == "vqvae" else {"latent": 3}
    if given.get("body", "conv") == "conv":
        values["width"] = 4
    values |= given
    return configure(method, **values)


@pytest.fixture
def make_config(pairs: Path, tmp_path: Path) -> Callable[..., Any]:
    """``make_config(batch_size=2, width=8, ...)``: a tiny configuration of Pix2Pix, or of another ``method``.

    Fields of data, run and method are given side by side.
    """
    return lambda method="pix2pix", **given: tiny_config(pairs, method, **{"out": tmp_path / "run"} | given)


class Session:
    """An engine, its data, and what it said."""

    def __init__(self, config: Any) -> None:
        torch.manual_seed(initial_seed(config.run.seed))
        self._text = io.StringIO()
        self.config = config
        recipe, self.data = open_recipe(config, cache=config.run.out / "cache")
        display = Display(console=Console(file=self._text, width=1000, highlight=False))
        world = World(rank=0, size=1, device=torch.device(config.run.device))
        try:
            self.engine = Engine(recipe, self.data, config=config, world=world, display=display)
        except BaseException:
            self.data.close()
            raise

    @property
    def said(self) -> str:
        return self._text.getvalue()

    def train(self) -> Session:
        self.engine.train()
        return self

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything that resuming has to bring back: networks, averages, Adam, random state."""
        engine = self.engine
        found = {f"{name}.{key}": value for name, net in engine.nets.items() for key, value in net.state_dict().items()}
        for name, net in engine.ema.nets.items() if engine.ema is not None else ():
            found |= {f"ema.{name}.{key}": value for key, value in net.state_dict().items()}
        for name, optimizer in engine.optimizers.items():
            for number, state in optimizer.state_dict()["state"].items():
                found |= {f"adam.{name}.{number}.{key}": value for key, value in state.items()}
        found |= {f"recipe.{name}": value for name, value in engine.recipe.state_dict().items()}
        return {name: value.clone() for name, value in found.items()} | {"rng": torch.get_rng_state()}


@pytest.fixture
def open_session() -> Iterator[Callable[[Any], Session]]:
    """``open_session(config)``: an engine as ``translate.train`` makes it, closed after the test."""
    opened: list[PairedImages] = []

    def make(config: Any) -> Session:
        session = Session(config)
        opened.append(session.data)
        return session

    yield make
    for data in opened:
        data.close()


@pytest.fixture(scope="session")
def finished(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Session]]:
    """``finished(images=2, ...)``: a tiny run that has ended, trained once a session; it is read, and never changed."""
    found: dict[str, Session] = {}

    def make(**given: Any) -> Session:
        name = repr(tiny_config(pairs, out=Path("run"), **given))
        if name not in found:
            state = torch.get_rng_state()  # a test sees the same numbers whether it is the first to ask or not
            out = tmp_path_factory.mktemp("finished") / "run"
            found[name] = Session(tiny_config(pairs, out=out, **given)).train()
            torch.set_rng_state(state)
        return found[name]

    yield make
    for session in found.values():
        session.data.close()


@pytest.fixture
def begun(finished: Callable[..., Session], tmp_path: Path) -> Callable[..., None]:
    """``begun(images=2, ...)``: a copy of a finished run in the place where ``make_config`` has its runs."""
    return lambda **given: shutil.copytree(finished(**given).config.run.out, tmp_path / "run")


@pytest.fixture
def assert_equal() -> Callable[..., None]:
    """``assert_equal(tensors, tensors, atol=0.0)``: the same names, and values that differ by at most `atol`."""

    def check(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], *, atol: float = 0.0) -> None:
        assert found.keys() == expected.keys()
        worst = {name: (found[name].double() - expected[name].double()).abs().max().item() for name in expected}
        assert max(worst.values()) <= atol, {name: value for name, value in worst.items() if value > atol}

    return check
