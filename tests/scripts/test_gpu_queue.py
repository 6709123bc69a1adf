"""The queue for a GPU, rehearsed: packed, run, brought home, and gone on with."""

import gzip
import importlib.util
import json
import sys
import tarfile
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def gpu():
    spec = importlib.util.spec_from_file_location("gpu_queue", ROOT / "scripts" / "gpu.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu_queue"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data(gpu, tmp_path_factory):
    root = tmp_path_factory.mktemp("gpu")
    rng = np.random.default_rng(0)
    sizes = {"facades/train": (128, 64), "photos": (80, 70), "paintings": (64, 90), "faces": (64, 64)}
    for folder, size in sizes.items():
        (root / folder).mkdir(parents=True)
        for number in range(3):
            Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), np.uint8)).save(root / folder / f"{number}.png")
    (root / "mnist").mkdir()
    (root / "mnist" / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"1"))
    words = [f"--{name}={root / name}" for name in ("facades", "photos", "paintings", "faces", "mnist")]
    assert gpu.main(["pack", *words, "-o", str(root / "data.tar")]) == 0
    return root / "data.tar"


def test_what_is_packed(data):
    with tarfile.open(data) as archive:
        names = archive.getnames()
        with Image.open(archive.extractfile("photo2ukiyoe/trainB/0000.webp")) as painting:
            assert (painting.format, painting.size) == ("WEBP", (286, 402))
        with Image.open(archive.extractfile("facades/train/0.webp")) as pair:
            assert pair.size == (128, 64)
    assert len(names) == 13


def test_a_training_comes_home_and_is_not_done_twice(gpu, data, tmp_path, capsys):
    words = ["run", str(data), "-o", str(tmp_path), "--device", "cpu", "--toy", "--only", "gan-faces"]
    assert gpu.main([*words, "--minutes", "3"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"gan-faces.tar", "summary.json"}
    with tarfile.open(tmp_path / "gan-faces.tar") as archive:
        assert {"half/model.safetensors", "half/config.json", "log.jsonl", "said.txt", "samples.jpg"} <= set(
            archive.getnames()
        )
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["gan-faces"]["ended"] == 0
    capsys.readouterr()
    assert gpu.main(words) == 0
    assert capsys.readouterr().out == "gan-faces: there already\n"


def test_what_fails_or_takes_too_long_is_told(gpu, data, tmp_path):
    given = Namespace(device="cpu", toy=False, out=tmp_path)
    slow = gpu.Part("slow", 1, ("-c", "import time; print('begun', flush=True); time.sleep(60)"), ())
    told = gpu.worked(slow, work=tmp_path, given=given, seconds=2)
    assert (told["ended"], told["said"]) == ("out of time", ["begun"])
    broken = gpu.Part("broken", 1, ("-c", "raise SystemExit('no data')"), ())
    assert gpu.worked(broken, work=tmp_path, given=given, seconds=20)["ended"] == 1


def test_the_queue_fits_nine_minutes_and_no_more_files_than_come_back(gpu):
    assert sum(part.seconds for part in gpu.QUEUE) <= 9 * 60
    assert sum(part.exports for part in gpu.QUEUE) + 1 <= 8
