"""Small things that many tests need: drawn pairs, a tiny translator, a browser."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from translate.checkpoint import save_weights
from translate.config import Preprocessing, ResNetConfig, WeightsConfig
from translate.networks import build_network, initialise

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--use-fake-device-for-media-stream",  # a webcam with a test picture, which every page may use
    "--use-fake-ui-for-media-stream",
]

LONGEST = ("test_readme.py", "test_processes.py", "test_demo_page.py", "test_train_step.py", "test_package.py")
"""The files that take longest: begun first, so that no worker is left with one of them in the end."""

torch.set_num_threads(1)  # the sums of two runs agree bit by bit, and small tests are not slowed by threads


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first; all others stay in their order."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


def drawn_pair(number: int, *, width: int = 32, height: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """A label map of two colours and a "photo" of it with a gradient, [H, W, 3] uint8 each; all numbers differ."""
    y, x = np.mgrid[:height, :width]
    inside = (abs(x - 4 - number % (width - 8)) < width // 4) & (abs(y - height // 2) < height // 4)
    labels = np.where(inside[..., None], np.uint8([255, number % 256, 0]), np.uint8([0, 0, 222]))
    photo = np.stack([x * 255 // width, y * 255 // height, inside * 200 + number % 50], axis=-1)
    return labels.astype(np.uint8), photo.astype(np.uint8)


@pytest.fixture(autouse=True, scope="session")
def own_records(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What `translate apply` notes of its outputs stays out of the user's own folder."""
    folder = tmp_path_factory.mktemp("records")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("translate.inference.record.records", lambda: folder)
        yield


@pytest.fixture
def make_pairs(tmp_path: Path) -> Callable[..., Path]:
    """Write `count` A|B files into a folder: A the label map, B the photo."""

    def make(count: int = 8, *, width: int = 32, height: int = 32, name: str = "pairs") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for number in range(count):
            pair = np.concatenate(drawn_pair(number, width=width, height=height), axis=1)
            Image.fromarray(pair).save(folder / f"{number:03d}.png")
        return folder

    return make


@pytest.fixture
def tiny_config() -> WeightsConfig:
    network = ResNetConfig(width=4, num_blocks=1)
    return WeightsConfig(kind="translator", name="tiny", network=network, preprocessing=Preprocessing(size=32))


@pytest.fixture
def tiny_network(tiny_config: WeightsConfig) -> torch.nn.Module:
    torch.manual_seed(0)
    return initialise(build_network(tiny_config.network)).eval()


@pytest.fixture
def tiny_weights(tmp_path: Path, tiny_config: WeightsConfig, tiny_network: torch.nn.Module) -> Path:
    """A folder with model.safetensors and config.json."""
    save_weights(tiny_network, tiny_config, tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="page tests need playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("page tests need Chromium")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield opened
        opened.close()
