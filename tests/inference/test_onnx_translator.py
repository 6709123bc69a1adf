"""The command translates by ONNX without PyTorch, to the pictures that the translator of the same file makes."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from translate.checkpoint import save_weights
from translate.config.encoding import Encoding
from translate.config.networks import ConditionalResNetConfig, ResNetConfig, UNetConfig
from translate.config.weights import Preprocessing, WeightsConfig
from translate.data.images import Picture, from_pil, read_image, write_image
from translate.export import export_onnx
from translate.inference import DeviceError, InferenceError, load
from translate.inference.onnx_translator import OnnxTranslator
from translate.networks import build_network, initialise

for library in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(library)

COMMAND = """
import json, sys
from translate.cli.main import main
code = main(json.loads(sys.argv[1]))
print(json.dumps([code, sorted({"torch", "gradio", "kornia", "sklearn", "scipy"} & set(sys.modules))]))
"""


def exported(folder, network, **changes):
    torch.manual_seed(0)
    config = WeightsConfig(kind="translator", name="tiny", network=network, **changes)
    return export_onnx(save_weights(initialise(build_network(network)), config, folder), folder / "tiny.onnx").file


@pytest.fixture(scope="module")
def colour(tmp_path_factory):
    return exported(tmp_path_factory.mktemp("colour"), UNetConfig(width=4, depth=2))


@pytest.fixture(scope="module")
def styled(tmp_path_factory):
    network = ConditionalResNetConfig(widths=(4, 4, 4), num_blocks=1, num_styles=2, code=3)
    return exported(tmp_path_factory.mktemp("styled"), network, styles=("one", "two"))


def drawn(height=20, width=33, channels=3, *, bits=8, seed=0, **given):
    values = np.random.default_rng(seed).integers(0, 2**bits, (height, width, channels))
    return Picture(pixels=values.astype(np.uint8 if bits == 8 else np.uint16), **given)


def run_alone(*arguments):
    """Exit code and modules of a command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, json.dumps([str(one) for one in arguments])], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return *json.loads(done.stdout.splitlines()[-1]), done


def test_files_are_translated_without_pytorch(colour, tmp_path):
    (tmp_path / "in").mkdir()
    kinds = {"grey.png": drawn(channels=1), "alpha.png": drawn(channels=4), "photo.png": drawn(40, 50)}
    for name, picture in (kinds | {"deep.tif": drawn(bits=16)}).items():
        write_image(tmp_path / "in" / name, picture)
    code, found, done = run_alone("apply", colour, tmp_path / "in", "-o", tmp_path / "out")
    assert (code, found) == (0, []), done.stderr
    assert "4 of 4 translated" in done.stdout
    own = load(colour)
    for name in ("grey", "alpha", "photo"):
        expected = own(Image.open(tmp_path / "in" / f"{name}.png"))
        made = Image.open(tmp_path / "out" / f"{name}.png")
        assert made.mode == expected.mode
        assert np.array_equal(np.asarray(made), np.asarray(expected))
    (deep,) = own.apply([read_image(tmp_path / "in" / "deep.tif")])
    assert np.array_equal(read_image(tmp_path / "out" / "deep.png").pixels, deep.pixels)


def test_named_styles_are_mixed_without_pytorch(styled, tmp_path):
    write_image(tmp_path / "photo.png", drawn())
    arguments = ["--style", "one:0.3,two:0.1", "--strength", "0.7"]
    code, found, done = run_alone("apply", styled, tmp_path / "photo.png", "-o", tmp_path / "out.png", *arguments)
    assert (code, found) == (0, []), done.stderr
    expected = load(styled)(Image.open(tmp_path / "photo.png"), style={"one": 0.3, "two": 0.1}, strength=0.7)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.png")), np.asarray(expected))
    code, found, done = run_alone(
        "apply", styled, tmp_path / "photo.png", "-o", tmp_path / "out.png", "--style", "three"
    )
    assert (code, found) == (2, [])
    assert "there is no style 'three': choose from one, two" in done.stderr


@pytest.mark.parametrize(
    ("network", "changes"),
    [
        (UNetConfig(width=4, depth=2, upsampling="transposed"), {}),
        (ResNetConfig(width=4, num_blocks=1, norm="none"), {}),
        (ResNetConfig(width=4, num_blocks=1, in_channels=1), {"preprocessing": Preprocessing(bits=16)}),
        (
            ResNetConfig(width=4, num_blocks=1, in_channels=1, out_channels=1),
            {
                "preprocessing": Preprocessing(
                    source=Encoding(dtype="int16", values=(-50.0, 900.0)),
                    target=Encoding(dtype="float32", values=(0.0, 3.0)),
                )
            },
        ),
        (UNetConfig(width=4, depth=2, in_channels=5, out_channels=2), {}),
        (
            ResNetConfig(width=2, num_blocks=1, num_downsamplings=1, dropout=0.5, norm="none"),
            {"noise": "always"},
        ),
    ],
    ids=["unet", "no norm", "grey to colours", "values", "bands", "noise"],
)
def test_it_makes_what_the_translator_makes(network, changes, tmp_path):
    file = exported(tmp_path, network, **changes)
    light, own = OnnxTranslator(file), load(file)
    bands = network.in_channels == 5
    pictures = [drawn(channels=5 if bands else 3, seed=seed, bands=bands) for seed in range(2)]
    if light.source is not None:
        values = [drawn(bits=9, channels=1, seed=seed, bands=True).pixels.astype(np.int16) for seed in range(2)]
        pictures = [Picture(pixels=one, bands=True) for one in values]
    for made, expected in zip(light.apply(pictures, seed=3), own.apply(pictures, seed=3), strict=True):
        assert made.pixels.dtype == expected.pixels.dtype
        assert np.array_equal(made.pixels, expected.pixels)
        assert (made.bands, made.values, made.nodata) == (expected.bands, expected.values, expected.nodata)


def test_what_it_cannot_do_itself_is_done_by_the_translator(colour, tmp_path, monkeypatch):
    light, own = OnnxTranslator(colour), load(colour)
    (kept,) = light.apply([drawn()], keep_colours=True)
    assert np.array_equal(kept.pixels, own.apply([drawn()], keep_colours=True)[0].pixels)
    with pytest.raises(InferenceError, match="statistics of the whole image"):
        light.in_parts(100, 100, tile=64)
    tiled = OnnxTranslator(exported(tmp_path, ResNetConfig(width=2, num_blocks=0, norm="none")))
    assert not tiled.in_parts(1024, 1024)
    assert tiled.in_parts(1025, 1024)
    picture = drawn(90, 70)
    rows = tiled.apply_in_rows(
        lambda low, high: Picture(pixels=picture.pixels[low:high]), width=70, height=90, bits=8, tile=32
    )
    whole = tiled.apply([picture])[0].pixels.astype(int)
    assert np.abs(np.concatenate([part.pixels for part in rows]).astype(int) - whole).max() <= 1


def test_a_code_that_does_not_fit_is_refused(colour, styled):
    code = np.zeros((1, 3), np.float32)
    with pytest.raises(InferenceError, match="'tiny' takes no style code"):
        OnnxTranslator(colour).apply([drawn()], code=code)
    with pytest.raises(InferenceError, match=r"'tiny' takes a code \[1, 2\], not \[1, 3\]"):
        OnnxTranslator(styled).apply([drawn()], code=code)


def test_a_lack_of_memory_is_said(colour, monkeypatch):
    def none(*_, **__):
        raise MemoryError

    translator = OnnxTranslator(colour)
    monkeypatch.setattr(translator.file, "run", none)
    with pytest.raises(InferenceError, match="33x20 is too large for the memory of cpu: make it smaller"):
        translator.apply([drawn()])


def test_a_large_photo_needs_no_pytorch(colour, tmp_path):
    Image.new("RGB", (1200, 1000), (90, 60, 200)).save(tmp_path / "photo.png")
    code, found, done = run_alone("apply", colour, tmp_path / "photo.png", "-o", tmp_path / "out.png")
    assert (code, found) == (0, []), done.stderr


def test_the_full_translator_shares_file_and_threads(colour):
    light = OnnxTranslator(colour, threads=1)
    assert light.whole is light.whole
    assert light.whole.network.file is light.file
    assert torch.get_num_threads() == 1


def test_threads_are_those_that_are_given(colour):
    session = OnnxTranslator(colour, threads=3).file._session
    assert session.get_session_options().intra_op_num_threads == 3


def test_other_numbers_are_read_by_both(tmp_path):
    light = OnnxTranslator(exported(tmp_path, UNetConfig(width=4, depth=2, in_channels=1, out_channels=1)))
    assert light.whole.source is None
    light.read_as(Encoding(dtype="uint16", values=(0.0, 1000.0)))
    assert light.whole.source == light.source
    with pytest.raises(InferenceError, match="takes 1 channels, and 2 bands were requested"):
        light.read_as(Encoding(dtype="uint8", bands=(1, 2)))


def test_what_is_refused(colour, styled):
    with pytest.raises(DeviceError, match="ONNX runs on the CPU, not on cuda"):
        OnnxTranslator(colour, device="cuda")
    with pytest.raises(InferenceError, match="'tiny' takes no style code: it was trained without --style-dim"):
        OnnxTranslator(colour).reference_code(drawn())
    with pytest.raises(InferenceError, match="'tiny' has named styles and no style encoder: give --style"):
        OnnxTranslator(styled).style_code(from_pil(Image.new("RGB", (64, 64))))
