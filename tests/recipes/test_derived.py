"""Pix2Pix on inputs that are computed: trained, stopped, used."""

from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image

import translate
from translate.blocks.colour import coloured, luma
from translate.cli.main import main
from translate.config import ConfigError, ResNetConfig, UNetConfig
from translate.config.training import Derivation
from translate.networks import build_network, initialise

KINDS = get_args(Derivation)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos").mkdir()
    generator = np.random.default_rng(0)
    for number in range(6):
        coarse = generator.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((40, 40), Image.Resampling.BICUBIC).save(tmp_path / "photos" / f"{number}.png")
    return tmp_path / "photos"


SMALL = ["--size", "32", "--width", "4", "--d-width", "4", "--d-layers", "2", "--batch-size", "2", "--workers", "1"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_of_pictures_is_enough(folder, tmp_path, kind, capsys):
    run = tmp_path / "run"
    train = ["train", "pix2pix", str(folder), "--derive", kind, "--out", str(run), *SMALL, "--precision", "fp32"]
    assert main([*train, "--images", "6"]) == 0
    assert main(["derive", kind, str(folder), "-o", str(tmp_path / "a")]) == 0
    assert main(["apply", str(run), str(tmp_path / "a"), "-o", str(tmp_path / "made")]) == 0
    made = Image.open(tmp_path / "made" / "0.png")
    assert (made.size, made.mode) == ((40, 40), "RGB")
    if kind == "mask":
        given, whole = np.asarray(Image.open(tmp_path / "a" / "0.png")), np.asarray(made)
        there = given[..., 3] == 255
        assert 0 < there.mean() < 1
        assert np.array_equal(whole[there], given[..., :3][there])  # what is there is kept to the bit
        assert not np.array_equal(whole[~there], given[..., :3][~there])
    capsys.readouterr()
    scored = [
        "evaluate",
        str(run),
        str(tmp_path / "a"),
        "--root-b",
        str(folder),
        "--direction",
        "a2b",
        "--split",
        "train",
    ]
    assert main([*scored, "-o", str(tmp_path / "scores")]) == 0
    assert "PSNR" in capsys.readouterr().out


def test_it_goes_on_as_if_it_had_not_stopped(folder, tmp_path):
    for name, parts in (("whole", ["12"]), ("parts", ["6", "12"])):
        for images in parts:
            train = ["train", "pix2pix", str(folder), "--derive", "edges", "--out", str(tmp_path / name), *SMALL]
            assert main([*train, "--images", images, "--schedule", "constant", "--precision", "fp32"]) == 0
    whole, parts = (translate.load(tmp_path / name).network.state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())


@pytest.mark.parametrize(
    "config",
    [
        UNetConfig(in_channels=4, width=4, depth=3, dropout=0.0, output="inpainting"),
        ResNetConfig(in_channels=4, width=4, num_blocks=1, output="inpainting"),
        ResNetConfig(in_channels=4, width=4, num_blocks=1, output="inpainting", style=4),
    ],
    ids=["unet", "resnet", "styled"],
)
def test_what_is_there_is_kept_and_colours_of_holes_do_not_matter(config):
    torch.manual_seed(0)
    network = initialise(build_network(config)).eval()
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    share = torch.ones(2, 1, 32, 32)
    share[:, :, 8:20, 8:24] = -1
    there = share.expand(-1, 3, -1, -1) > 0
    with torch.inference_mode():
        made = network(torch.cat([images, share], 1))
        other = network(torch.cat([torch.where(there, images, -images), share], 1))
    assert torch.equal(made[there], images[there])
    assert torch.equal(made, other)
    assert not torch.equal(made[~there], images[~there])
    assert made.abs().max() <= 1


def test_a_network_that_fills_is_given_one_channel_more():
    with pytest.raises(ConfigError, match=r"'inpainting' needs one input channel more .* 3 and 3"):
        UNetConfig(in_channels=3, out_channels=3, output="inpainting")


@pytest.mark.parametrize(
    "config",
    [
        UNetConfig(in_channels=1, width=4, depth=3, dropout=0.0, output="colourisation"),
        ResNetConfig(in_channels=1, width=4, num_blocks=1, output="colourisation"),
        ResNetConfig(in_channels=1, width=4, num_blocks=1, output="colourisation", style=4),
    ],
    ids=["unet", "resnet", "styled"],
)
def test_what_is_coloured_keeps_its_luma(config):
    torch.manual_seed(0)
    network = initialise(build_network(config), kind="kaiming").eval()
    grey = torch.rand(2, 1, 32, 32) * 2 - 1
    grey[:, :, :4], grey[:, :, 4:8] = -1, 1  # black and white have no room for a colour
    with torch.inference_mode():
        made = network(grey)
    assert (luma(made) - grey).abs().max() < 1e-5
    assert made.abs().max() <= 1 + 1e-6
    assert (made[:, :, 8:].amax(1) - made[:, :, 8:].amin(1)).mean() > 0.05
    assert torch.allclose(made[:, :, :4], -torch.ones(2, 3, 4, 32))


def test_coloured_equals_the_colours_where_they_fit_and_pales_them_elsewhere():
    image = torch.tensor([0.5, -0.2, 0.1]).view(1, 3, 1, 1)
    assert torch.allclose(coloured(luma(image), image + 0.3), image, atol=1e-6)  # their own luma does not matter
    strong = coloured(luma(image), 10 * image)
    chroma, own = strong - luma(strong), image - luma(image)
    assert torch.allclose(chroma / own, (chroma / own)[:, :1].expand_as(own), atol=1e-4)  # the hue is kept
    assert strong.abs().max() == pytest.approx(1)
    halved = coloured(luma(image), image.bfloat16())  # as under autocast
    assert torch.allclose(luma(halved), luma(image), atol=1e-6)


def test_grey_is_coloured_from_the_start_on(folder, tmp_path):
    train = ["train", "pix2pix", str(folder), "--derive", "gray", "--out", str(tmp_path / "run"), *SMALL]
    assert main([*train, "--images", "2", "--learning-rate", "1e-12"]) == 0
    translator = translate.load(tmp_path / "run")
    assert translator.config.network.output == "colourisation"
    picture = Image.open(folder / "0.png")
    grey, made = np.asarray(picture.convert("L"), int), np.asarray(translator(picture), int)
    assert np.abs(made - grey[..., None]).max() <= 1  # nothing learned: as grey as it was


def test_a_network_that_colours_has_one_input_and_three_outputs():
    with pytest.raises(ConfigError, match=r"'colourisation' needs one input channel and three output .* 3 and 3"):
        UNetConfig(in_channels=3, output="colourisation")
    with pytest.raises(ConfigError, match=r"'residual' needs as many input as output channels: .* 1 and 3"):
        ResNetConfig(in_channels=1, output="residual")


def test_a_file_that_cannot_be_read_is_named(folder, tmp_path, capsys):
    (folder / "bad.png").write_bytes(b"no image")
    assert main(["derive", "gray", str(folder), "-o", str(tmp_path / "a")]) == 1
    said = capsys.readouterr()
    assert "6 of 7 derived" in said.out
    assert "bad.png" in said.err
    assert not (tmp_path / "a" / "bad.png").exists()
    assert main(["derive", "gray", str(folder), "-o", str(tmp_path / "one.png")]) == 2
    assert main(["derive", "gray", str(folder), "-o", str(folder)]) == 2  # onto the inputs


def test_holes_are_others_in_each_picture_and_the_same_again(folder, tmp_path):
    for name in ("a", "b"):
        assert main(["derive", "mask", str(folder), "-o", str(tmp_path / name)]) == 0
    alphas = [np.asarray(Image.open(tmp_path / "a" / f"{number}.png"))[..., 3] for number in range(6)]
    assert len({alpha.tobytes() for alpha in alphas}) == 6
    assert np.array_equal(alphas[0], np.asarray(Image.open(tmp_path / "b" / "0.png"))[..., 3])


def test_inputs_are_enlarged_on_request(folder, tmp_path, tiny_weights, capsys):
    out = tmp_path / "large.png"
    assert main(["apply", str(tiny_weights), str(folder / "0.png"), "-o", str(out), "--scale", "3"]) == 0
    assert Image.open(out).size == (120, 120)


def test_holes_are_filled_by_onnx_as_well(tmp_path):
    pytest.importorskip("onnxruntime")
    from translate.checkpoint import save_weights
    from translate.config import Preprocessing, WeightsConfig

    network = UNetConfig(in_channels=4, width=4, depth=3, dropout=0.0, output="inpainting")
    config = WeightsConfig(
        kind="translator", name="fill", network=network, preprocessing=Preprocessing(size=32, alpha="keep")
    )
    torch.manual_seed(0)
    save_weights(initialise(build_network(network)), config, tmp_path / "fill")
    assert main(["export", str(tmp_path / "fill"), "-o", str(tmp_path / "fill.onnx")]) == 0
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 4), dtype=np.uint8))
    one, other = (translate.load(tmp_path / name)(picture) for name in ("fill", "fill.onnx"))
    assert one.mode == other.mode == "RGB"
    assert np.abs(np.asarray(one, int) - np.asarray(other, int)).max() <= 1
