"""Measured values, bands, class ids and pages from the folder that is trained on to the files that are written."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import translate
from translate.applications.evaluate import evaluate
from translate.checkpoint import save_weights
from translate.cli import main
from translate.config import Preprocessing, ResNetConfig, WeightsConfig
from translate.data.images import read_image
from translate.networks import build_network, initialise

TINY = ["--width", "2", "--d-width", "2", "--size", "32", "--images", "4", "--device", "cpu"]
SIDE = 32


def run(*arguments) -> int:
    return main([str(argument) for argument in arguments])


def noise(*shape, seed=0):
    return np.random.default_rng(seed).random(shape)


def write(path: Path, values: np.ndarray, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, values, **options)
    else:
        Image.fromarray(values).save(path)
    return path


def photo(number: int) -> np.ndarray:
    return (noise(SIDE, SIDE, 3, seed=100 + number) * 255).astype(np.uint8)


def ct(number: int) -> np.ndarray:
    return (noise(SIDE, SIDE, seed=number) * 3000 - 1000).astype(np.int16)


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Path:
    """Slices in Hounsfield units: B = A / 2 + 100."""
    root = tmp_path_factory.mktemp("scans")
    for number in range(4):
        write(root / "A" / f"{number}.tif", ct(number))
        write(root / "B" / f"{number}.tif", ct(number) // 2 + 100)
    return root


@pytest.fixture(scope="module")
def scanner(scans, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "scanner"
    assert run("train", "pix2pix", scans, "--out", out, *TINY) == 0
    return out


def test_weights_keep_the_range_and_write_in_units(scans, scanner, tmp_path, capsys):
    assert run("info", scanner) == 0
    said = " ".join(capsys.readouterr().out.split())
    low, high = min(ct(number).min() for number in range(4)), max(ct(number).max() for number in range(4))
    assert f"inputs int16, values {low} to {high} outputs int16, values {low} to {high}" in said

    assert run("apply", scanner, scans / "A", "-o", tmp_path / "out") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{number}.tif" for number in range(4)]
    made = tifffile.imread(tmp_path / "out" / "0.tif")
    assert (made.dtype, made.shape) == (np.int16, (SIDE, SIDE))
    model = translate.load(scanner, device="cpu")
    np.testing.assert_array_equal(model(ct(0)), made)  # arrays are in units, too
    outside = ct(0).copy()
    outside[0] = -9999
    assert (model(outside)[0] == -9999).all()

    assert run("apply", scanner, scans / "A" / "0.tif", "-o", tmp_path / "seen.png") == 0
    assert ".tif and .npy files keep their units" in capsys.readouterr().err
    seen = read_image(tmp_path / "seen.png").pixels[..., 0] / 65535 * (high - low) + low
    np.testing.assert_allclose(seen, made, atol=0.6)


def test_an_air_slice_is_flat_and_floats_are_read_alike(scanner, tmp_path):
    write(tmp_path / "air.tif", np.full((SIDE, SIDE), -1024, np.int16))
    assert run("apply", scanner, tmp_path / "air.tif", "-o", tmp_path / "out.tif") == 0
    model = translate.load("facades", device="cpu")
    pixels = noise(SIDE, SIDE).astype(np.float32)
    outputs = []
    for name, top in (("below", 0.9999), ("above", 1.0001)):
        values = pixels.copy()
        values[0, 0] = top
        write(tmp_path / f"{name}.tif", values)
        assert run("apply", "facades", tmp_path / f"{name}.tif", "-o", tmp_path / f"{name}.png") == 0
        outputs.append(np.asarray(Image.open(tmp_path / f"{name}.png")).astype(int))
        assert np.abs(np.asarray(model(Image.open(tmp_path / f"{name}.tif"))).astype(int) - outputs[-1]).max() <= 1
    assert np.abs(outputs[0] - outputs[1]).max() <= 1


def test_evaluation_goes_by_the_range_of_the_weights(scans, scanner, tmp_path, capsys):
    found = evaluate(scanner, scans, split="train", out=tmp_path / "scores", device="cpu")
    low, high = translate.load(scanner, device="cpu").source.values
    differences = [np.abs(ct(number) - (ct(number) // 2 + 100.0)).mean() / (high - low) for number in range(4)]
    assert found.scores["identity"]["l1"].value == pytest.approx(np.mean(differences), rel=1e-3)
    assert found.sheet.is_file()


def test_resuming_with_values_of_another_range_is_refused(scans, scanner, tmp_path, capsys):
    (tmp_path / "brighter" / "A").mkdir(parents=True)
    for number in range(4):
        write(tmp_path / "brighter" / "A" / f"{number}.tif", ct(number) * 2)
        write(tmp_path / "brighter" / "B" / f"{number}.tif", ct(number))
    again = ["train", "pix2pix", tmp_path / "brighter", "--out", scanner, *TINY]
    assert run(*again) == 2
    said = " ".join(capsys.readouterr().err.split())
    low, high = translate.load(scanner, device="cpu").source.values
    assert "was started with another range of values" in said
    assert f"--values {low:.10g} {high:.10g}" in said
    assert run(*again, "--values", f"{low:.10g}", f"{high:.10g}", "--images", "6") == 0


@pytest.fixture(scope="module")
def satellites(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("satellites")
    for number in range(4):
        bands = (noise(13, SIDE, SIDE, seed=number) * 9000).astype(np.uint16)
        write(root / "A" / f"{number}.tif", bands, planarconfig="separate", photometric="minisblack")
        write(root / "B" / f"{number}.png", photo(number))
    return root


def test_bands_in_and_out(satellites, tmp_path, capsys):
    out = tmp_path / "all"
    assert run("train", "pix2pix", satellites, "--out", out, *TINY, "--direction", "b2a") == 0
    assert "previews show bands 1, 2, 3 of 13 bands" in capsys.readouterr().out
    assert len(list((out / "samples").iterdir())) == 1
    assert run("apply", out, satellites / "B" / "0.png", "-o", tmp_path / "made") == 0
    made = tifffile.imread(tmp_path / "made" / "0.tif")
    assert (made.shape, made.dtype) == ((SIDE, SIDE, 13), np.uint16)
    assert run("apply", out, satellites / "B" / "0.png", "-o", tmp_path / "made.png") == 1
    assert "13 bands fit into .tif and .npy alone" in capsys.readouterr().err
    assert run("apply", out, satellites / "B" / "0.png", "-o", tmp_path / "made.npy") == 0
    np.testing.assert_array_equal(np.load(tmp_path / "made.npy"), made)


def test_chosen_bands_are_those_of_the_weights(satellites, tmp_path, capsys):
    out = tmp_path / "three"
    assert run("train", "pix2pix", satellites, "--out", out, *TINY, "--bands", 4, 3, 2) == 0
    assert run("apply", out, satellites / "A", "-o", tmp_path / "made") == 0
    bands = tifffile.imread(satellites / "A" / "0.tif")
    write(tmp_path / "cut.tif", np.ascontiguousarray(np.moveaxis(bands[[3, 2, 1]], 0, -1)), photometric="rgb")
    assert run("apply", out, tmp_path / "cut.tif", "-o", tmp_path / "cut.png", "--bands", 1, 2, 3) == 0
    one, of_several = (read_image(tmp_path / name).pixels.astype(int) for name in ("cut.png", "made/0.png"))
    assert np.abs(one - of_several).max() <= 1  # of 65,535: some processors round otherwise in a batch
    capsys.readouterr()
    assert run("apply", out, tmp_path / "cut.tif", "-o", tmp_path / "no.png") == 1
    assert "has 3 channels, and band 4 is requested" in capsys.readouterr().err
    assert run("apply", "facades", satellites / "A", satellites / "B", "-o", tmp_path / "half") == 1
    said = capsys.readouterr()
    assert "4 of 8 translated" in said.out  # each for itself, in a batch with those that have too many
    assert said.err.count("has 13 channels, and 3 are expected: choose them with --bands") == 4
    assert run("apply", "facades", satellites / "A", "-o", tmp_path / "no", "--bands", 1, 2) == 2
    assert "takes 3 channels, and 2 bands were requested" in capsys.readouterr().err


def test_class_ids_through_a_network_of_as_many_channels(tmp_path, capsys):
    torch_network = initialise(build_network(network := ResNetConfig(width=2, num_blocks=1, in_channels=36)))
    config = WeightsConfig(kind="translator", name="cities", network=network, preprocessing=Preprocessing(size=32))
    save_weights(torch_network.eval(), config, tmp_path / "cities")
    ids = np.random.default_rng(0).integers(0, 36, (SIDE, SIDE)).astype(np.uint8)
    write(tmp_path / "ids.png", ids)
    assert run("apply", tmp_path / "cities", tmp_path / "ids.png", "-o", tmp_path / "no.png") == 1
    assert "takes 36: give as many bands, or class ids with --labels" in capsys.readouterr().err
    assert run("apply", tmp_path / "cities", tmp_path / "ids.png", "-o", tmp_path / "out.png", "--labels") == 0
    one_hot = (ids[..., None] == np.arange(36)).astype(np.float32)
    expected = translate.load(tmp_path / "cities", device="cpu", precision="fp32")(one_hot)
    found = np.asarray(Image.open(tmp_path / "out.png")) / 255
    np.testing.assert_allclose(found, expected, atol=0.02)
    write(tmp_path / "more.png", np.full((SIDE, SIDE), 40, np.uint8))
    assert run("apply", tmp_path / "cities", tmp_path / "more.png", "-o", tmp_path / "no.png", "--labels") == 1
    assert "has the class id 40, and there are 36 classes, 0 to 35" in capsys.readouterr().err


def test_labels_are_trained_on_and_applied_with_no_flag(tmp_path, capsys):
    for number in range(4):
        ids = np.random.default_rng(number).integers(0, 5, (SIDE, SIDE)).astype(np.uint8)
        ids[0, 0] = 4
        write(tmp_path / "d" / "A" / f"{number}.png", ids)
        write(tmp_path / "d" / "B" / f"{number}.png", photo(number))
    assert run("train", "pix2pix", tmp_path / "d", "--labels", "--out", tmp_path / "run", *TINY) == 0
    assert run("apply", tmp_path / "run", tmp_path / "d" / "A", "-o", tmp_path / "made") == 0
    assert "4 of 4 translated" in capsys.readouterr().out
    assert run("evaluate", tmp_path / "run", tmp_path / "d", "--split", "train", "--out", tmp_path / "scores") == 0
    assert run("doctor", tmp_path / "d") == 1
    assert "segmentation (--direction b2a --labels)" in " ".join(capsys.readouterr().out.split())
    arguments = ["--direction", "b2a", "--labels", "--out", tmp_path / "s", "--depth", 2, "--width", 2]
    assert run("train", "segmentation", tmp_path / "d", *arguments, *TINY[4:]) == 0
    assert translate.checkpoint.read_config(tmp_path / "s").classes == ("0", "1", "2", "3", "4")


def test_pages_are_translated_where_asked_and_said_where_not(tmp_path, capsys):
    pages = (noise(3, SIDE, SIDE) * 255).astype(np.uint8)
    write(tmp_path / "scan.tif", pages, photometric="minisblack")
    assert run("apply", "facades", tmp_path / "scan.tif", "-o", tmp_path / "one") == 0
    assert "further pages or frames that were not read (scan.tif 2): --pages reads them" in capsys.readouterr().err
    assert run("apply", "facades", tmp_path / "scan.tif", "-o", tmp_path / "all", "--pages") == 0
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["scan-1.png", "scan-2.png", "scan-3.png"]
    model = translate.load("facades", device="cpu")
    expected = np.asarray(model(Image.fromarray(pages[2])))
    assert np.abs(np.asarray(Image.open(tmp_path / "all" / "scan-3.png")).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("method", [["ae", "--width", 4], ["dcgan", "--width", 4, "--d-width", 4]])
def test_images_of_six_bands_are_learned(method, tmp_path, capsys):
    for number in range(8):
        values = (noise(SIDE, SIDE, 6, seed=number) * 50 + 270).astype(np.float32)
        np.save(write(tmp_path / "d" / "x.png", photo(0)).with_name(f"{number}.npy"), values)
    (tmp_path / "d" / "x.png").unlink()
    assert run("train", *method, tmp_path / "d", "--out", tmp_path / "run", "--images", 8, "--batch-size", 4) == 0
    assert "values from 270" in capsys.readouterr().out
    if method[0] == "ae":
        assert run("reconstruct", tmp_path / "run", tmp_path / "d", "-o", tmp_path / "sheet.png") == 0
        write(tmp_path / "d" / "photo.png", photo(1))
        assert run("reconstruct", tmp_path / "run", tmp_path / "d", "-o", tmp_path / "again") == 1
        assert "photo.png: has 3 channels, and 6 are expected" in capsys.readouterr().err
        made = tifffile.imread(tmp_path / "again" / "3.tif")
        assert (made.dtype, made.shape) == (np.float32, (SIDE, SIDE, 6))
        assert 269 < made.min() < made.max() < 321
    else:
        assert run("sample", tmp_path / "run", "-o", tmp_path / "sheet.png", "--count", 4) == 0
        assert "black to white" in capsys.readouterr().err
        assert run("sample", tmp_path / "run", "-o", tmp_path / "made", "--count", 3) == 0
        assert "black to white" not in capsys.readouterr().err
        made = [tifffile.imread(tmp_path / "made" / f"00000{number}.tif") for number in range(3)]
        assert all((one.dtype, one.shape) == (np.float32, (SIDE, SIDE, 6)) for one in made)
        assert min(one.min() for one in made) > 269
    assert Image.open(tmp_path / "sheet.png").size[0] > SIDE


def test_what_is_derived_of_measured_values_has_one_range(tmp_path, capsys):
    for top in (5, 40):
        write(tmp_path / "d" / f"{top}.tif", np.linspace(0, top, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE))
    assert run("derive", "gray", tmp_path / "d", "-o", tmp_path / "out") == 0
    assert "values from 0 to 40, found in 2 files, become black to white" in capsys.readouterr().err
    assert read_image(tmp_path / "out" / "5.png").pixels.max() == pytest.approx(65535 / 8, abs=1)
    assert read_image(tmp_path / "out" / "40.png").pixels.max() == 65535


def test_pages_that_were_bands_in_training_are_bands_in_use(tmp_path):
    for number in range(4):
        for side in "AB":
            values = (noise(5, SIDE, SIDE, seed=number) * 900).astype(np.int16)
            write(tmp_path / "d" / side / f"{number}.tif", values, photometric="minisblack")
    assert run("train", "pix2pix", tmp_path / "d", "--out", tmp_path / "run", *TINY, "--bands", 4, 3, 2) == 0
    assert run("apply", tmp_path / "run", tmp_path / "d" / "A", "-o", tmp_path / "made") == 0
    assert tifffile.imread(tmp_path / "made" / "0.tif").shape == (SIDE, SIDE, 3)
    found = evaluate(tmp_path / "run", tmp_path / "d", split="train", out=tmp_path / "scores", device="cpu")
    assert found.scores["identity"]["l1"].value == 0
    assert found.scores["translation"]["l1"].value > 0


def heights(root: Path, count: int = 6) -> Path:
    """Of 2,000 to 2,400 m, with a corner that has no data; and one file that has none at all."""
    for number in range(count):
        values = (noise(SIDE, SIDE, seed=number) * 400 + 2000).astype(np.float32)
        values[: SIDE // 4, : SIDE // 4] = np.nan if number % 2 else -9999
        write(root / f"{number}.tif", values)
    write(root / "empty.tif", np.full((SIDE, SIDE), np.nan, np.float32))
    return root


def test_what_has_no_data_has_none_in_a_reconstruction(tmp_path, capsys):
    root = heights(tmp_path / "d")
    assert run("train", "ae", root, "--out", tmp_path / "run", "--width", 4, "--images", 8, "--batch-size", 4) == 0
    assert "1 of 7 examined images have no data at all (empty.tif)" in " ".join(capsys.readouterr().out.split())
    assert run("reconstruct", tmp_path / "run", root, "-o", tmp_path / "made") == 0
    for number in range(2):
        made = tifffile.imread(tmp_path / "made" / f"{number}.tif")
        gone = np.isnan(made) if number else made == -9999
        assert gone[: SIDE // 4, : SIDE // 4].all()
        assert gone.sum() == (SIDE // 4) ** 2
        assert made[~gone].min() > 1900
    assert np.isnan(tifffile.imread(tmp_path / "made" / "empty.tif")).all()


def test_heights_are_compressed_to_files_and_come_back_in_metres(tmp_path, capsys):
    pytest.importorskip("constriction")
    root = heights(tmp_path / "d")
    tiny = ["--width", 4, "--num-codes", 8, "--images", 8, "--batch-size", 4]
    assert run("train", "vqvae", root, "--out", tmp_path / "run", *tiny) == 0
    assert run("compress", tmp_path / "run", root, "-o", tmp_path / "small") == 0
    assert run("decompress", tmp_path / "run", tmp_path / "small", "-o", tmp_path / "made") == 0
    made = tifffile.imread(tmp_path / "made" / "0.tif")
    assert (made.dtype, made.shape) == (np.float32, (SIDE, SIDE))
    assert 1999 < made.min() < made.max() < 2401
    capsys.readouterr()
    assert run("decompress", tmp_path / "run", tmp_path / "small" / "0.tvq", "-o", tmp_path / "one.npy") == 0
    np.testing.assert_array_equal(np.load(tmp_path / "one.npy"), made)
    assert run("decompress", tmp_path / "run", tmp_path / "small" / "0.tvq", "-o", tmp_path / "one.png") == 0
    assert "black to white" in capsys.readouterr().err
