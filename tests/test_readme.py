"""What the READMEs tell people to type works: every `translate` command and every Python block, on small data."""

import importlib.util
import re
import shlex
from pathlib import Path

import av
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from translate.cli import main

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "translate/cli/README.md", "demos/README.md", "weights/README.md", "scripts/README.md")
README = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
# A run of seconds in place of hours; everything else is as written.
GAN = ["--width", "4", "--d-width", "4", "--d-layers", "1", "--images", "2"]
VECTOR = ["--images", "40", "--batch-size", "4"]
SAMPLER = [*VECTOR, "--width", "4", "--d-width", "4"]
SMALL = {
    "pix2pix": GAN,
    "cyclegan": GAN,
    "style": ["--images", "2", "--widths", "4", "4", "4", "--batch-size", "2", "--style-size", "64"],
    "ae": VECTOR,
    "vae": VECTOR,
    "dcgan": SAMPLER,
    "wgan": SAMPLER,
    "hinge": SAMPLER,
    "stylegan": [*VECTOR, "--width", "4", "--stay-images", "8", "--fade-images", "8"],
    "vqvae": ["--images", "40", "--batch-size", "4", "--width", "8", "--num-codes", "16", "--prior-width", "8"],
}


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands():
    """Every command once, in the order of the pages."""
    lines = [line.split("  #")[0].strip() for block in blocks("bash") for line in block.splitlines()]
    return list(dict.fromkeys(line for line in lines if line.startswith("translate ")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files that the README's commands name."""
    folder = tmp_path_factory.mktemp("readme")
    drawing = Image.new("RGB", (64, 48), (0, 48, 255))
    drawing.paste((0, 128, 255), (10, 10, 24, 30))
    for name in ("demos/assets/drawing.png", "my-drawings/1.png", "my-icons/1.png"):
        (folder / name).parent.mkdir(parents=True)
        drawing.save(folder / name)
    (folder / "my-pairs").mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        pair = Image.fromarray(rng.integers(0, 256, (32, 64, 3), dtype=np.uint8))
        pair.save(folder / "my-pairs" / f"{number}.png")
    for number in range(4):
        for name in ("seasons/summer", "seasons/winter", "my-photos"):
            (folder / name).mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 128, (32, 32, 3), dtype=np.uint8) + (120 if "winter" in name else 0)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")
    (folder / "my-paintings").mkdir()
    drawing.resize((80, 64)).save(folder / "my-paintings" / "blue.png")
    (folder / "mnist").mkdir()
    for name, count in (("train", 150), ("t10k", 100)):
        labels = (np.arange(count) % 7).clip(max=2)  # the last class is five times as large
        values = {"images-idx3": rng.integers(0, 256, (count, 28, 28)), "labels-idx1": labels}
        for kind, array in values.items():
            head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            (folder / "mnist" / f"{name}-{kind}-ubyte").write_bytes(head + array.astype(np.uint8).tobytes())
    for number in range(4):
        slices = rng.integers(-1000, 2000, (32, 32)).astype(np.int16)
        bands = rng.integers(0, 9000, (5, 32, 32)).astype(np.uint16)
        for name, array in (("scans/A", slices), ("scans/B", slices // 2), ("satellite/A", bands)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(folder / name / f"{number}.tif", array, photometric="minisblack")
        (folder / "satellite" / "B").mkdir(exist_ok=True)
        drawing.resize((32, 32)).save(folder / "satellite" / "B" / f"{number}.png")
    for name, count in (("good-parts", 120), ("new-parts", 5), ("faces", 6)):
        (folder / name).mkdir()
        for number in range(count):
            Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / name / f"{number}.png")
    with av.open(str(folder / "my-clip.mp4"), "w") as clip:
        stream = clip.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5):
            clip.mux(stream.encode(av.VideoFrame.from_image(drawing)))
        clip.mux(stream.encode())
    resnet = peer_networks().resnet(width=4, num_blocks=1)
    torch.save(resnet.state_dict(), folder / "latest_net_G.pth")
    return folder


def peer_networks():
    """The restated networks of other projects that the tests of the import have."""
    path = Path(__file__).parent / "checkpoint" / "peer_networks.py"
    spec = importlib.util.spec_from_file_location("restated_peers", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_commands():
    assert {line.split()[1] for line in commands()} >= {
        "apply",
        "info",
        "train",
        "export",
        "doctor",
        "evaluate",
        "import",
        "reconstruct",
        "sample",
        "embed",
        "anomaly",
        "compress",
        "decompress",
        "balance",
        "directions",
        "project",
        "derive",
    }
    assert blocks("python")


def heading(text):
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", [*PAGES, ".github/CONTRIBUTING.md"])
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if not target.startswith("http"):
            file, _, anchor = target.partition("#")
            path = (ROOT / page).parent / file
            assert path.exists(), target
            if anchor:
                headings = re.findall(r"^#+ (.*)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
                assert anchor in map(heading, headings), target


def test_readme_is_short_and_names_all_that_ships():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 180
    for page in ("README.md", "weights/README.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        for config in (ROOT / "weights").glob("*/config.json"):
            assert f"[`{config.parent.name}`]" in text, f"{page} does not name {config.parent.name}"


def test_programs_that_pages_name_are_there():
    for path in re.findall(r"python (scripts/[\w/]+\.py)", README):
        assert (ROOT / path).exists(), path
    for module in re.findall(r"python -m (scripts[.\w]+)", README):
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").exists(), module


@pytest.mark.timeout(1200)  # some sixty commands, one after the other
def test_commands_run_in_their_order(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    for line in commands():
        arguments = shlex.split(line)[1:]
        if arguments[0] == "train":
            arguments += SMALL[arguments[1]]
        elif arguments[0] == "project":
            arguments += ["--steps", "3"]
        elif arguments[:2] == ["anomaly", "fit"]:
            arguments += ["--size", "64"]
        elif arguments[0] == "balance":
            arguments += ["--seeds", "2", "--images", "200"]
        elif arguments[0] == "evaluate" and "mnist/" in arguments:
            arguments += ["--no-cas"]
        expected = 1 if arguments[0] == "doctor" else 0  # which finds these sets very small
        assert main(arguments) == expected, f"{line}\n{capsys.readouterr()}"
    assert (folder / "photo.png").exists()
    assert (folder / "mine.safetensors").exists()


@pytest.mark.parametrize("code", blocks("python"))
def test_python_blocks_run(code, folder, monkeypatch):
    monkeypatch.chdir(folder)
    exec(compile(code, "README.md", "exec"), {})
    with Image.open(folder / "photo.png") as photo, Image.open(folder / "demos/assets/drawing.png") as drawing:
        assert photo.size == drawing.size
