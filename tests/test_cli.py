"""The commands, as a user types them."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import translate
from translate.checkpoint import save_weights
from translate.cli import main
from translate.config import Domains, PatchGANConfig, Preprocessing, ResNetConfig, UNetConfig, WeightsConfig
from translate.networks import build_network

TRAIN = [
    "--width",
    "4",
    "--d-width",
    "4",
    "--d-layers",
    "1",
    "--images",
    "8",
    "--batch-size",
    "2",
    "--precision",
    "fp32",
]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Six A|B files: left a square on noise, right the same square in white on black."""
    folder = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    for number in range(6):
        picture = rng.integers(0, 120, (32, 64, 3), dtype=np.uint8)
        picture[:, 32:] = 0
        x, y = rng.integers(2, 18, 2)
        picture[y : y + 10, x : x + 10] = 200
        picture[y : y + 10, 32 + x : 42 + x] = 255
        Image.fromarray(picture).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    config = WeightsConfig(
        kind="translator",
        name="tiny",
        network=UNetConfig(width=4, depth=3),
        preprocessing=Preprocessing(size=32),
        domains=Domains(source="labels", target="photos"),
    )
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    save_weights(build_network(config.network), config, folder)
    return folder


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "input" / "picture.png"
    path.parent.mkdir()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (21, 34, 3), dtype=np.uint8)).save(path)
    return path


def run(*arguments):
    return main([str(argument) for argument in arguments])


def test_train_then_apply_info_and_python_agree(pairs, tmp_path, capsys):
    out = tmp_path / "run"
    assert (
        run("train", "pix2pix", pairs, "--out", out, "--direction", "b2a", "--names", "photos", "labels", *TRAIN) == 0
    )
    said = capsys.readouterr().out
    assert "6 training pairs" in said
    assert "translating B (right half) to A (left half)" in said
    assert "done: 8 images" in said
    assert list((out / "samples").glob("*.png"))
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["images"] == 8
    assert {"d", "g_gan", "g_l1"} <= lines[-1]["losses"].keys()

    label_map = tmp_path / "map.png"
    Image.new("RGB", (40, 24), (0, 48, 255)).save(label_map)
    assert run("apply", out, label_map, "-o", tmp_path / "photo.png") == 0
    model = translate.load(out)
    assert model.config.domains == Domains(source="labels", target="photos")
    assert isinstance(model.network, torch.nn.Module)
    with Image.open(label_map) as opened, Image.open(tmp_path / "photo.png") as written:
        assert written.size == (40, 24)
        assert np.array_equal(np.asarray(model(opened)), np.asarray(written))

    # The same command again has nothing left to do, and more images go on from there.
    assert (
        run("train", "pix2pix", pairs, "--out", out, "--direction", "b2a", "--names", "photos", "labels", *TRAIN) == 0
    )
    longer = [*TRAIN[:7], "12", *TRAIN[8:]]
    assert (
        run("train", "pix2pix", pairs, "--out", out, "--direction", "b2a", "--names", "photos", "labels", *longer) == 0
    )
    assert "resuming after 8 of 12 images" in capsys.readouterr().out


def test_python_training_does_what_the_command_does(pairs, tmp_path):
    from translate.config import DataConfig, Pix2PixConfig, RunConfig

    assert run("train", "pix2pix", pairs, "--out", tmp_path / "command", *TRAIN) == 0
    config = Pix2PixConfig(
        data=DataConfig(root=pairs),
        run=RunConfig(out=tmp_path / "python", images=8, batch_size=2, precision="fp32"),
        width=4,
        d_width=4,
        d_layers=1,
    )
    translate.train(config)
    one, other = (translate.load(tmp_path / name).network.state_dict() for name in ("command", "python"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_apply_takes_folders_patterns_and_names_what_fails(weights, image, tmp_path, capsys):
    (image.parent / "broken.jpg").write_text("no picture")
    Image.new("L", (5, 7)).save(image.parent / "grey.png")
    assert run("apply", weights, image.parent, "-o", tmp_path / "out") == 1
    captured = capsys.readouterr()
    assert "2 of 3 translated" in captured.out
    assert "broken.jpg" in captured.err
    assert "Traceback" not in captured.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["grey.png", "picture.png"]
    with Image.open(tmp_path / "out" / "grey.png") as written:
        assert written.size == (5, 7)
    assert run("apply", weights, f"{image.parent}/*.png", image, "-o", tmp_path / "again", "--format", "webp") == 0
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == ["grey.webp", "picture.webp"]


def test_info_says_what_weights_are(weights, capsys):
    assert run("info", weights) == 0
    said = capsys.readouterr().out
    for fact in ("tiny", "labels to photos", "unet", "parameters", "FLOPs", "32x32"):
        assert fact in said
    assert run("info", weights, "--json") == 0
    values = json.loads(capsys.readouterr().out)
    network = build_network(UNetConfig(width=4, depth=3))
    assert values["parameters"] == sum(parameter.numel() for parameter in network.parameters())
    assert values["network"]["depth"] == 3
    # The outermost level alone: 4x4x3x4 products at 16x16, 3x3x8x3 at 32x32, two operations each.
    assert values["flops"] > 2 * (4 * 4 * 3 * 4 * 16 * 16 + 3 * 3 * 8 * 3 * 32 * 32)


def test_export_halves_and_stays_self_describing(weights, image, tmp_path, capsys):
    target = tmp_path / "renamed.safetensors"
    assert run("export", weights, "--dtype", "fp16", "-o", target, "--name", "half") == 0
    assert "fp16" in capsys.readouterr().out
    assert target.stat().st_size < 0.7 * (weights / "model.safetensors").stat().st_size
    half, full = translate.load(target), translate.load(weights)
    assert half.config.name == "half"
    assert half.config.network == full.config.network
    with Image.open(image) as opened:
        difference = np.asarray(half(opened)).astype(int) - np.asarray(full(opened))
    assert np.abs(difference).max() <= 4


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["apply", "nowhere", "{image}", "-o", "{out}"], "not a file or folder"),
        (["apply", "{weights}", "missing.png", "-o", "{out}"], "missing.png"),
        (["apply", "{weights}", "{image}", "-o", "{image}"], "is an input and would be overwritten"),
        (["apply", "{weights}", "{folder}", "-o", "{folder}"], "overwritten"),
        (["apply", "{weights}", "{folder}/*.png", "{weights}/config.json", "-o", "{out}/one.png"], "name a folder"),
        (["apply", "{judge}", "{image}", "-o", "{out}"], "discriminator"),
        (["train", "pix2pix", "{empty}", "--out", "{out}"], "no images"),
        (["train", "pix2pix", "nowhere", "--out", "{out}"], "nowhere"),
        (["train", "pix2pix", "{pairs}", "--out", "{out}", "--size", "28"], "choose"),
        (["train", "pix2pix", "{pairs}", "--out", "{out}", "--batch-size", "0"], "must be at least 1"),
        (["train", "pix2pix", "{pairs}", "--out", "{image}"], "cannot be written"),
        (["train", "pix2pix", "{pairs}", "--out", "{out}.safetensors"], "name a folder"),
        (["evaluate", "{weights}", "{pairs}", "-o", "{out}.csv"], "name a folder"),
        (["train", "pix2pix", "{pairs}", "--out", "{out}", "--device", "abacus"], "this machine has"),
        (["export", "{weights}", "-o", "{image}/x.safetensors"], "cannot be written"),
    ],
)
def test_bad_input_is_refused_in_a_line(arguments, expected, pairs, weights, image, tmp_path, capsys):
    judge = WeightsConfig(kind="discriminator", name="judge", network=PatchGANConfig(width=4))
    save_weights(build_network(judge.network), judge, tmp_path / "judge")
    (tmp_path / "empty").mkdir()
    places = {
        "pairs": pairs,
        "weights": weights,
        "image": image,
        "folder": image.parent,
        "judge": tmp_path / "judge",
        "empty": tmp_path / "empty",
        "out": tmp_path / "out",
    }
    before = image.read_bytes()
    assert main([argument.format(**places) for argument in arguments]) == 2
    said = capsys.readouterr().err
    assert expected in said
    assert "Traceback" not in said
    assert image.read_bytes() == before


@pytest.mark.parametrize("flags", [["--generator", "resnet", "--depth", "3"], ["--siez", "64"], ["--norm", "weight"]])
def test_wrong_flags_are_explained(flags, pairs, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        run("train", "pix2pix", pairs, "--out", tmp_path / "out", *flags)
    assert stopped.value.code == 2
    assert flags[-2] in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_resnet_weights_open_too(tmp_path, image):
    config = WeightsConfig(kind="translator", name="small", network=ResNetConfig(width=4, num_blocks=1))
    save_weights(build_network(config.network), config, tmp_path / "small.safetensors", dtype="bf16")
    assert run("apply", tmp_path / "small.safetensors", image, "-o", tmp_path / "out.jpg", "--quality", "80") == 0
    with Image.open(tmp_path / "out.jpg") as written:
        assert written.size == (34, 21)
        assert written.format == "JPEG"


def test_a_folder_is_trained_by_one_run_at_a_time(pairs, tmp_path, capsys):
    from filelock import FileLock

    out = tmp_path / "run"
    out.mkdir()
    with FileLock(out / ".lock"):
        assert run("train", "pix2pix", pairs, "--out", out, *TRAIN) == 2
    assert "being trained by another process" in capsys.readouterr().err
    assert run("train", "pix2pix", pairs, "--out", out, *TRAIN) == 0


def test_resuming_with_data_that_needs_another_network_is_explained(pairs, tmp_path, capsys):
    out, grey = tmp_path / "run", tmp_path / "grey"
    grey.mkdir()
    for file in pairs.glob("*.png"):
        with Image.open(file) as opened:
            opened.convert("L").save(grey / file.name)
    assert run("train", "pix2pix", pairs, "--out", out, *TRAIN) == 0
    assert run("train", "pix2pix", grey, "--out", out, *TRAIN) == 2
    assert "in_channels 3" in capsys.readouterr().err


@pytest.mark.parametrize("damage", [b"[1]\n", b"\xff\xfe\n", b'{"images": "many"}\n', b"{"])
def test_a_damaged_log_does_not_stop_a_run(damage, pairs, tmp_path):
    out = tmp_path / "run"
    assert run("train", "pix2pix", pairs, "--out", out, *TRAIN) == 0
    log = out / "log.jsonl"
    whole = log.read_bytes()
    log.write_bytes(damage + whole)
    assert run("train", "pix2pix", pairs, "--out", out, *TRAIN[:7], "10", *TRAIN[8:]) == 0
    assert [json.loads(line)["images"] for line in log.read_text().splitlines()][-1] == 10


def test_exporting_onto_the_source_is_refused(weights, capsys):
    before = (weights / "model.safetensors").read_bytes()
    assert run("export", weights, "-o", weights) == 2
    assert "is the source itself" in capsys.readouterr().err
    assert (weights / "model.safetensors").read_bytes() == before
    assert run("export", weights, "-o", weights.parent / "weights.pt") == 2
    assert ".pt cannot be written; use one of .safetensors .onnx, or name a folder" in capsys.readouterr().err


def test_names_are_not_read_as_markup(tmp_path, capsys):
    config = WeightsConfig(
        kind="translator",
        name="[/b]",
        network=UNetConfig(width=4, depth=3),
        domains=Domains(source="[red]maps[/red]", target="[/i]"),
    )
    save_weights(build_network(config.network), config, tmp_path / "odd")
    assert run("info", tmp_path / "odd") == 0
    said = capsys.readouterr().out
    assert "[/b]" in said
    assert "[red]maps[/red] to [/i]" in said


def test_flags_out_of_range_are_named_as_flags(pairs, tmp_path, capsys):
    assert run("train", "pix2pix", pairs, "--out", tmp_path / "out", "--epochs", "inf") == 2
    assert "--epochs inf" in capsys.readouterr().err
    assert run("train", "pix2pix", pairs, "--out", tmp_path / "out", "--size", "7") == 2
    assert "--size 7" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_refused_before_any_work(weights, image, tmp_path, capsys):
    assert run("apply", weights, image, "-o", tmp_path / "out.gif") == 2
    assert "is one image, which makes no .gif: name an image file, such as out.png" in capsys.readouterr().err
    assert run("apply", weights, image, "-o", image / "folder") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_translator_can_be_copied(weights):
    import copy
    import pickle

    model = translate.load(weights)
    picture = np.zeros((9, 9, 3), np.uint8)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(copied(picture), model(picture))


def test_the_demo_takes_weights_several_times(monkeypatch, weights):
    pytest.importorskip("gradio")
    import translate.demos.app as app

    seen = {}
    monkeypatch.setattr(app, "launch", lambda **given: seen.update(given))
    assert run("demo", "-w", weights, "--weights", weights, "--no-browser", "--port", "7999") == 0
    assert {name: seen[name] for name in ("port", "open_browser", "weights", "host", "auth")} == {
        "port": 7999,
        "open_browser": False,
        "weights": [weights, weights],
        "host": "127.0.0.1",
        "auth": None,
    }


def test_the_demo_can_be_served_behind_a_password(monkeypatch, capsys):
    pytest.importorskip("gradio")
    import translate.demos.app as app

    seen = {}
    monkeypatch.setattr(app, "launch", lambda **given: seen.update(given))
    options = ["--no-browser", "--host", "0.0.0.0", "--max-size", "50", "--runs", "kept"]
    assert run("demo", *options, "--auth", "me:a:secret") == 0
    assert (seen["host"], seen["auth"], seen["max_size"]) == ("0.0.0.0", ("me", "a:secret"), 50)
    assert seen["runs"].name == "kept"
    for wrong in ("secret", ":secret", "me:"):
        assert run("demo", *options, "--auth", wrong) == 2
    assert "--auth must be user:password" in capsys.readouterr().err


def published_resnet(*, batch_norm: bool = False) -> torch.nn.Sequential:
    """CycleGAN's generator without residual blocks, its members at the published numbers."""
    nn = torch.nn
    down, up = {"kernel_size": 3, "stride": 2, "padding": 1}, {"output_padding": 1}
    convolutions = [nn.Conv2d(3, 4, 7), nn.Conv2d(4, 8, **down), nn.Conv2d(8, 16, **down)]
    convolutions += [nn.ConvTranspose2d(16, 8, **down, **up), nn.ConvTranspose2d(8, 4, **down, **up)]
    members = [nn.ReflectionPad2d(3)]
    for convolution in convolutions:
        norm = nn.BatchNorm2d if batch_norm else nn.InstanceNorm2d
        if batch_norm:
            convolution.bias = None
        members += [convolution, norm(convolution.out_channels), nn.ReLU()]
    return nn.Sequential(*members, nn.ReflectionPad2d(3), nn.Conv2d(4, 3, 7), nn.Tanh()).eval()


def foreign_file(path, network):
    torch.save({f"model.{key}": tensor for key, tensor in network.state_dict().items()}, path)
    return path


@pytest.mark.parametrize("batch_norm", [False, True])
def test_import_opens_weights_of_another_project(batch_norm, tmp_path, capsys):
    original = published_resnet(batch_norm=batch_norm)
    file = foreign_file(tmp_path / "latest_net_G.pth", original)
    assert run("import", file, "-o", tmp_path / "horse2zebra", "--source", "horse", "--target", "zebra") == 0
    said = capsys.readouterr().out
    norm = "batch" if batch_norm else "instance"
    assert f"ResNet generator, 0 blocks, 4 wide, {norm} norm, RGB to RGB" in said
    assert "values from -1 to 1 (--value-range); trained at 256 px (--size)" in said
    assert ("--statistics image" in said) == batch_norm
    assert "--source" not in said
    model = translate.load(tmp_path / "horse2zebra", precision="fp32")
    assert (model.config.name, model.config.domains) == ("horse2zebra", Domains(source="horse", target="zebra"))
    images = torch.rand(1, 3, 20, 24, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = (original(images * 2 - 1) + 1) / 2
    torch.testing.assert_close(model(images), expected, atol=1e-5, rtol=0)
    assert run("info", tmp_path / "horse2zebra") == 0
    assert "horse to zebra" in capsys.readouterr().out


def test_import_refuses_in_a_line(tmp_path, weights, image, capsys):
    whole = foreign_file(tmp_path / "latest_net_G.pth", published_resnet())
    partial = tmp_path / "partial.pth"
    torch.save({"model.1.weight": torch.zeros(4, 3, 7, 7)}, partial)
    for arguments, expected in (
        ([tmp_path / "none.pth"], "does not exist"),
        ([partial], "closest is a ResNet generator"),
        ([weights / "model.safetensors"], "opens as it is"),
        ([whole, "--noise", "always"], "without dropout"),
        ([whole, "--value-range", "1", "-1"], "value_range"),
        ([whole, "--size", "0"], "--size 0"),
    ):
        assert run("import", *arguments, "-o", tmp_path / "out") == 2
        said = capsys.readouterr().err
        assert expected in said
        assert "Traceback" not in said
        assert not (tmp_path / "out").exists()
    safetensors = tmp_path / "same" / "model.safetensors"
    safetensors.parent.mkdir()
    save_file({f"model.{key}": tensor for key, tensor in published_resnet().state_dict().items()}, safetensors)
    assert run("import", safetensors, "-o", safetensors.parent) == 2
    assert "would overwrite" in capsys.readouterr().err
    assert run("import", whole, "-o", tmp_path / "out.pth") == 2
    assert ".pth cannot be written; use .safetensors, or name a folder" in capsys.readouterr().err
    assert run("apply", whole, image, "-o", tmp_path / "out.png") == 2
    assert f"translate import {whole} -o weights/latest_net_G" in capsys.readouterr().err


def test_an_imported_discriminator_makes_no_images(tmp_path, image, capsys):
    nn = torch.nn
    pixel = nn.Sequential(nn.Conv2d(3, 4, 1), nn.LeakyReLU(0.2), nn.Conv2d(4, 8, 1), nn.InstanceNorm2d(8))
    pixel = nn.Sequential(*pixel, nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 1))
    torch.save({f"net.{key}": tensor for key, tensor in pixel.state_dict().items()}, tmp_path / "latest_net_D.pth")
    assert run("import", tmp_path / "latest_net_D.pth", "-o", tmp_path / "judge") == 0
    said = capsys.readouterr().out
    assert "pixel discriminator, 4 wide, instance norm, of RGB" in said
    assert "scores images and cannot translate or generate any" in said
    assert run("apply", tmp_path / "judge", image, "-o", tmp_path / "out.png") == 2
    assert "discriminator" in capsys.readouterr().err


def test_doctor_tells_what_is_wrong_and_what_to_type(pairs, tmp_path, capsys):
    assert run("doctor", pairs) == 1
    said = capsys.readouterr().out
    assert f"{pairs.name}: pairs, side-by-side" in said
    assert "only 6 pairs to train on" in said
    assert f"translate train pix2pix {pairs} --out runs/pix2pix" in said
    assert max(map(len, said.splitlines()[:-1])) <= 80
    assert run("doctor", pairs, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["exit_code"]) == ("pairs", 1)
    assert run("doctor", tmp_path / "nowhere") == 2
    assert "no such folder" in capsys.readouterr().err


@pytest.mark.parametrize("given", ["whole", "by hand"])
def test_doctor_prints_names_as_they_are(pairs, tmp_path, capsys, given):
    for side, left in (("[red]x", 0), ("y", 32)):
        folder = tmp_path / "set" / side
        folder.mkdir(parents=True)
        for path in pairs.iterdir():
            Image.open(path).crop((left, 0, left + 32, 32)).save(folder / f"{side[-1]}{path.name}")
    root = tmp_path / "set"
    assert run("doctor", *([root] if given == "whole" else [root / "[red]x", "--root-b", root / "y"])) == 1
    said = capsys.readouterr().out
    assert "[red]x" in said
    assert "yes  cyclegan, cut, fastcut" in said  # a letter before the numbers of each side is no sign of pairs
    assert ("--root-b" in said) == (given == "by hand")


def test_an_export_to_onnx_is_applied_and_described_like_its_source(weights, image, tmp_path, capsys):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    model, out = tmp_path / "model.onnx", tmp_path / "out.png"
    assert run("export", weights, "-o", model, "--dtype", "fp16") == 2
    assert "--dtype fp16 is for safetensors only" in capsys.readouterr().err
    assert run("export", weights, "-o", tmp_path / "folder", "--format", "onnx") == 2
    assert "a name that ends in .onnx" in capsys.readouterr().err
    assert run("export", weights, "-o", model, "--format", "safetensors") == 2
    assert ".onnx cannot be written; use .safetensors, or name a folder" in capsys.readouterr().err
    assert run("export", weights, "-o", model) == 0
    assert "model.onnx (0.0 MB, fp32); difference from its source" in capsys.readouterr().out
    assert run("apply", model, image, "-o", out) == 0
    assert run("apply", weights, image, "-o", tmp_path / "same.png", "--precision", "fp32") == 0
    with Image.open(out) as found, Image.open(tmp_path / "same.png") as expected:
        assert np.abs(np.asarray(found).astype(int) - np.asarray(expected)).max() <= 1
    capsys.readouterr()
    assert run("info", model, "--json") == 0
    assert json.loads(capsys.readouterr().out)["domains"] == {"source": "labels", "target": "photos"}


@pytest.fixture
def tested_pairs(pairs, tmp_path):
    """The A|B files again, four to train and two to test."""
    for number, file in enumerate(sorted(pairs.glob("*.png"))):
        target = tmp_path / "tested" / ("train" if number < 4 else "test") / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    return tmp_path / "tested"


def test_evaluate_prints_a_table_of_80_columns_and_json(weights, tested_pairs, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    out = tmp_path / "scores"
    flags = ["--names", "photos", "labels", "--out", out, "--device", "cpu", "--precision", "fp32"]
    assert run("evaluate", weights, tested_pairs, *flags) == 0
    said = capsys.readouterr().out
    for words in ("tiny: labels to photos, 2 test pairs, --direction b2a", "identity", "histogram matching", "SSIM"):
        assert words in said
    files, lines = said.splitlines()[-1], said.splitlines()[:-1]
    assert files == f"{out / 'tiny.json'}, {out / 'tiny.png'}"
    assert max(len(line) for line in lines) <= 80
    assert run("evaluate", weights, tested_pairs, *flags, "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert values == json.loads((out / "tiny.json").read_text())
    assert values["scores"]["identity"]["l1"]["value"] > 0

    monkeypatch.chdir(tmp_path)
    assert run("evaluate", weights, tested_pairs, *flags[:3], "--count", "2", "--json") == 0
    assert (tmp_path / "evaluations" / "tested" / "tiny.png").is_file()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--names", "labels", "photos", "--direction", "b2a"], "the domains are swapped"),
        ([], "the direction is ambiguous"),
        (["--direction", "a2b", "--split", "val"], "has no val split"),
        (["--direction", "a2b", "--count", "1"], "--count 1"),
        (["--direction", "a2b", "--features", "inception_v3"], "as inception_v3=inception_v3.pth"),
        (["--direction", "a2b", "--features", "inception_v3=x.pth"], "are for unpaired sets"),
        (["--direction", "a2b", "--lpips", "nowhere.pth", "nothing.pth"], "nowhere.pth does not exist"),
        (["--direction", "a2b", "--unpaired"], "these look like pairs"),
    ],
)
def test_evaluate_refuses_in_a_line(flags, expected, weights, tested_pairs, tmp_path, capsys):
    assert run("evaluate", weights, tested_pairs, "--out", tmp_path / "scores", *flags) == 2
    said = capsys.readouterr().err
    assert expected in said
    assert "Traceback" not in said
    assert not (tmp_path / "scores").exists()
