"""One input, many outputs: style codes of Pix2Pix and CycleGAN, from training to the command line."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import translate
from translate.blocks.keyed import keyed_normal, sample_keys
from translate.blocks.residual import StyledResidualBlock
from translate.cli import main
from translate.config import ConfigError, ResNetConfig
from translate.inference import InferenceError
from translate.inference.running import random_code
from translate.networks import ResNetGenerator, StyleEncoder
from translate.recipes.style_codes import code_loss

STYLE = 5
STYLED = {"style_dim": STYLE, "generator": "resnet", "num_blocks": 2, "images": 6, "batch_size": 2}


@pytest.fixture(scope="module")
def picture():
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (24, 40, 3), dtype=np.uint8))


@pytest.fixture
def trained(finished):
    """Read by many tests, and changed by none."""
    return finished(**STYLED)


def test_a_code_decides_the_look_and_an_example_has_one(trained, picture):
    model = translate.load(trained.config.run.out, device="cpu")
    assert model.style == STYLE
    first, again, other = model(picture, seed=1), model(picture, seed=1), model(picture, seed=2)
    assert first.tobytes() == again.tobytes() != other.tobytes()
    assert model(picture, code=random_code(STYLE, seed=2)).tobytes() == other.tobytes()
    code = model.reference_code(picture)
    assert code.shape == (1, STYLE)
    assert not torch.equal(code, model.reference_code(picture.rotate(180).point(lambda value: value // 3)))
    assert model(np.asarray(picture), code=code).tobytes() == model(picture, code=code).tobytes()
    with pytest.raises(InferenceError, match=r"takes a code \[1, 5\], not \[1, 4\]"):
        model(picture, code=torch.zeros(1, 4))


def test_previews_are_what_the_weights_make(trained):
    engine = trained.engine
    shown = engine.recipe.sample(engine.nets, engine.sample_batch, precision="fp32")
    assert list(shown) == ["input", "output", "other style", "target style", "target"]
    model = translate.load(trained.config.run.out, device="cpu", precision="fp32")
    for name, seed in (("output", trained.config.run.seed), ("other style", trained.config.run.seed + 1)):
        made = torch.cat([model.apply_tensor((image + 1) / 2, seed=seed) for image in shown["input"].split(1)])
        torch.testing.assert_close(made, (shown[name] / 2 + 0.5).clamp(0, 1), rtol=0, atol=1e-5)


def test_the_step_is_bicyclegan(make_config, open_session):
    """Both outputs are judged, that of the target's code is compared with the target, the drawn code is found again."""
    recipe = open_session(make_config(**STYLED, norm="none", reconstruction_weight=7.0)).engine.recipe
    torch.manual_seed(1)
    batch = {"source": torch.rand(2, 3, 32, 32) * 2 - 1, "target": torch.rand(2, 3, 32, 32) * 2 - 1}
    keys = sample_keys(0, 2, seed=3)
    scratch = {"keys": keys}
    d_terms, terms = recipe.d_loss(batch, scratch), recipe.g_loss(batch, scratch)

    g, d = recipe.g, recipe.d
    mean, log_variance = g.encode_style(batch["target"])
    found = mean + log_variance.exp().sqrt() * keyed_normal(keys, STYLE, stream=20)
    drawn = keyed_normal(keys, STYLE, stream=21)
    outputs = [g(batch["source"], code) for code in (found, drawn)]

    def verdict(images, real):
        (logits,) = d(torch.cat([batch["source"], images], dim=1)).logits
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, real))

    fooled = sum(verdict(output, 1.0) for output in outputs) / 2
    told = (verdict(batch["target"], 1.0) + sum(verdict(output, 0.0) for output in outputs) / 2) / 2
    kl = (mean.square() + log_variance.exp() - log_variance - 1).sum(1).mean() / 2
    expected = {
        "g_gan": fooled,
        "g_l1": 7 * F.l1_loss(outputs[0], batch["target"]),
        "g_kl": 0.01 * kl,
        "g_code": 0.5 * F.l1_loss(g.encode_style(outputs[1])[0], drawn),
    }
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(
            terms[name], value, rtol=1e-4, atol=1e-5, msg=lambda said, name=name: f"{name}: {said}"
        )
    torch.testing.assert_close(d_terms["d"], told, rtol=1e-4, atol=1e-5)


def test_the_encoder_learns_nothing_of_codes_that_it_finds_again():
    encoder, images = StyleEncoder(3, style=STYLE), torch.rand(2, 3, 16, 16, requires_grad=True)
    code_loss(encoder, images, torch.zeros(2, STYLE)).backward()
    assert images.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in encoder.parameters())


@pytest.mark.parametrize("given", [{"micro_batch": 1}, {"norm": "batch", "feature_matching_weight": 10.0}], ids=str)
def test_pix2pix_trains_in_parts_and_with_other_terms(make_config, open_session, given):
    session = open_session(make_config(**STYLED | {"r1_weight": 1.0} | given)).train()
    assert all(torch.isfinite(value.float()).all() for value in session.tensors().values())


@pytest.mark.parametrize("given", [{}, {"norm": "batch"}, {"identity_weight": 0.0, "ema_half_life": 4.0}], ids=str)
def test_cyclegan_has_codes_of_both_domains(make_config, open_session, picture, given):
    config = make_config("cyclegan", **STYLED | given)
    session = open_session(config).train()
    names = set(session.engine.losses)
    assert {"kl_a", "kl_b", "code_a", "code_b"} <= names
    shown = session.engine.recipe.sample(session.engine.nets, session.engine.sample_batch, precision="fp32")
    assert len(shown) == 8
    for folder in sorted((config.run.out / "weights").iterdir()):
        model = translate.load(folder, device="cpu")
        if "norm" not in given:  # after three steps the statistics of batch norm make all nearly grey
            assert model(picture, seed=1).tobytes() != model(picture, seed=2).tobytes()
        assert model.reference_code(picture).shape == (1, STYLE)


def test_resume_is_exact(make_config, open_session, assert_equal):
    whole = open_session(make_config(**STYLED, out=make_config().run.out.with_name("whole"))).train()
    first = open_session(make_config(**STYLED))
    step = first.engine.train_step

    def stepped(batch):
        step(batch)
        first.engine.interrupt.requested = True

    first.engine.train_step = stepped
    first.train()
    assert_equal(open_session(make_config(**STYLED)).train().tensors(), whole.tensors())


def test_the_command_makes_several_variants_or_that_of_a_reference(trained, picture, tmp_path, capsys):
    weights, source = str(trained.config.run.out), tmp_path / "house.png"
    picture.save(source)
    assert (
        main(["apply", weights, str(source), "-o", str(tmp_path / "variants"), "--variants", "3", "--seed", "4"]) == 0
    )
    assert sorted(path.name for path in (tmp_path / "variants").iterdir()) == [f"house-{n}.png" for n in (4, 5, 6)]
    assert "1 of 1 translated, 3 variants each" in capsys.readouterr().out
    model = translate.load(weights, device="cpu")
    assert Image.open(tmp_path / "variants" / "house-5.png").tobytes() == model(picture, seed=5).tobytes()

    example = picture.rotate(90, expand=True)
    example.save(tmp_path / "example.png")
    assert (
        main(
            [
                "apply",
                weights,
                str(source),
                "-o",
                str(tmp_path / "like.png"),
                "--reference",
                str(tmp_path / "example.png"),
            ]
        )
        == 0
    )
    assert Image.open(tmp_path / "like.png").tobytes() == model(picture, code=model.reference_code(example)).tobytes()

    assert main(["info", weights]) == 0
    assert "5 numbers: random by --seed, or taken from an image by --reference" in " ".join(
        capsys.readouterr().out.split()
    )


def test_nothing_given_is_overwritten_and_a_bad_file_is_named_once(trained, picture, tmp_path, capsys):
    weights, folder = str(trained.config.run.out), tmp_path / "in"
    folder.mkdir()
    picture.save(folder / "a.png")
    picture.rotate(180).save(tmp_path / "like.png")
    example = (tmp_path / "like.png").read_bytes()
    given = ["apply", weights, str(folder / "a.png"), "-o"]
    assert main([*given, str(tmp_path / "like.png"), "--reference", str(tmp_path / "like.png")]) == 2
    assert "is an input and would be overwritten" in capsys.readouterr().err
    assert (tmp_path / "like.png").read_bytes() == example
    assert main([*given, str(folder), "--variants", "2"]) == 0  # beside the input, under names of their own
    assert {path.name for path in folder.iterdir()} == {"a.png", "a-0.png", "a-1.png"}
    (folder / "bad.png").write_bytes(b"no image")
    assert main(["apply", weights, str(folder), "-o", str(tmp_path / "out"), "--variants", "2"]) == 1
    said = capsys.readouterr()
    assert said.err.count("bad.png") == 1
    assert "3 of 4 translated, 2 variants each" in said.out


def test_a_size_below_what_the_encoder_takes_is_said(make_config, open_session):
    with pytest.raises(ConfigError, match="--size 8 is too small for --style-dim: choose 16 or more"):
        open_session(make_config(**STYLED, size=8))


def test_evaluation_gives_each_image_a_look_of_its_own(trained, pairs, tmp_path, monkeypatch):
    seeds = []
    pictures = translate.inference.Translator.apply

    def watched(self, given, **options):
        seeds.append(options["seed"])
        return pictures(self, given, **options)

    monkeypatch.setattr(translate.inference.Translator, "apply", watched)
    assert (
        main(["evaluate", str(trained.config.run.out), str(pairs), "--split", "train", "-o", str(tmp_path / "scores")])
        == 0
    )
    assert len(set(seeds)) > 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--variants", "2", "--reference", "x.png"], "--reference fixes the style, and --variants varies it"),
        (["--variants", "2"], "makes one output per image, whatever the seed"),
        (["--reference", "SOURCE"], "takes no style code: it was trained without --style-dim"),
    ],
)
def test_variants_of_weights_that_have_none_are_refused(tiny_weights, picture, tmp_path, capsys, options, message):
    source = tmp_path / "house.png"
    picture.save(source)
    options = [str(source) if option == "SOURCE" else option for option in options]
    assert main(["apply", str(tiny_weights), str(source), "-o", str(tmp_path / "out"), *options]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"generator": "unet"}, "--style-dim modulates residual blocks, and a U-Net has none"),
        ({"generator": "resnet", "noise": "always"}, "--noise always and --style-dim both vary the output"),
        ({"generator": "resnet", "num_blocks": 0}, "--style-dim modulates residual blocks, and there are none"),
    ],
)
def test_what_does_not_go_together_is_said(make_config, given, message):
    with pytest.raises(ConfigError, match=message):
        make_config(style_dim=STYLE, depth=None, **given)


def test_a_resnet_is_chosen_for_codes_unless_one_is_named(make_config):
    assert make_config(style_dim=STYLE, depth=None).generator == "resnet"
    assert make_config().generator == "unet"  # as runs of earlier releases have recorded


def test_onnx_has_the_middle_variant(trained, tmp_path, picture, capsys):
    pytest.importorskip("onnxruntime")
    file = tmp_path / "model.onnx"
    assert main(["export", str(trained.config.run.out), "-o", str(file)]) == 0
    onnx, model = translate.load(file), translate.load(trained.config.run.out, device="cpu", precision="fp32")
    made, expected = (
        np.asarray(each, dtype=int) for each in (onnx(picture), model(picture, code=torch.zeros(1, STYLE)))
    )
    assert np.abs(made - expected).max() <= 1
    with pytest.raises(InferenceError, match="is ONNX without the style encoder"):
        onnx.reference_code(picture)
    picture.save(tmp_path / "house.png")
    assert main(["apply", str(file), str(tmp_path / "house.png"), "-o", str(tmp_path / "out"), "--variants", "2"]) == 2
    assert main(["info", str(file)]) == 0
    assert "style code" not in capsys.readouterr().out


@pytest.mark.parametrize("padding", ["reflect", "replicate", "zeros"])
def test_a_styled_block_pads_as_asked(padding):
    torch.manual_seed(0)
    block, x, style = (
        StyledResidualBlock(4, style=3, padding=padding).double(),
        torch.randn(2, 4, 6, 5),
        torch.randn(2, 3),
    )
    x, style = x.double(), style.double()

    def plain(x, conv, bias):
        rows = []
        for image, code in zip(x, style, strict=True):
            weight = conv.weight * conv.scale * conv.affine(code)[None, :, None, None]
            weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
            mode = "constant" if padding == "zeros" else padding
            rows.append(F.conv2d(F.pad(image[None], (1, 1, 1, 1), mode=mode), weight))
        return torch.cat(rows) + bias[:, None, None]

    expected = x + plain(plain(x, block.conv1, block.bias1).relu(), block.conv2, block.bias2)
    torch.testing.assert_close(block(x, style), expected)


def test_without_a_code_it_is_the_middle_one():
    network = ResNetGenerator(ResNetConfig(width=4, num_blocks=1, style=3)).eval()
    images = torch.rand(2, 3, 16, 24)
    torch.testing.assert_close(network(images), network(images, torch.zeros(2, 3)))
    assert copy.deepcopy(network).encode_style(images)[0].shape == (2, 3)
