"""Masks of faults are found, framed as the images are, and heat maps measured against them."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from learned import SIZE, save_learned
from PIL import Image

import translate
from translate.applications.anomaly import fit
from translate.applications.localisation import (
    baseline_maps,
    evaluation_of,
    find_ground_truth,
    heat_maps,
    localised,
    mask_folder,
)
from translate.cli import main
from translate.config import ConfigError
from translate.data.image_inputs import NamedPicture
from translate.data.images import Picture, read_image
from translate.data.layouts import LayoutError
from translate.inference.grid import OUTLINE, outlined
from translate.metrics import auroc, pro
from translate.networks.anomaly import SCORES

CYAN = np.array(OUTLINE)


def draw(path: Path, *, fault: tuple[int, int, int, int] | None = None, size=(SIZE, SIZE), seed: int = 0) -> None:
    """Soft grey noise; a fault is white: left, top, right, bottom."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(60, 120, (size[1], size[0]), dtype=np.uint8)
    if fault is not None:
        pixels[fault[1] : fault[3], fault[0] : fault[2]] = 255
    Image.fromarray(pixels).save(path)


def draw_mask(path: Path, fault: tuple[int, int, int, int] | None, *, size=(SIZE, SIZE), value: int = 255) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((size[1], size[0]), np.uint8)
    if fault is not None:
        pixels[fault[1] : fault[3], fault[0] : fault[2]] = value
    Image.fromarray(pixels).save(path)


def scored(root: Path, names: list[str]) -> list[NamedPicture]:
    return [NamedPicture(name=name, picture=read_image(root / name), path=root / name) for name in names]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return translate.load(save_learned(tmp_path_factory.mktemp("ae") / "ae", "ae"), device="cpu")


FAULT = (2, 4, 7, 9)


# Which mask is whose


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("test/crack/000.png", "ground_truth/crack/000_mask.png"),
        ("test/crack/000.png", "ground_truth/crack/000.png"),
        ("test/crack/000.png", "ground_truth/crack/000.bmp"),
        ("test/crack/000.png", "ground_truth/test/crack/000_gt.tif"),
        ("test/crack/000.png", "masks/crack/000-label.png"),
        ("test/crack/000.png", "Masks/Crack/000.png"),
        ("test/crack/000.png", "ground_truth/crack/000/000.png"),
        ("test/crack/000_seg.png", "ground_truth/crack/000_seg.png"),
        ("test/crack/part_7.png", "gt/part_7_mask.png"),
        ("crack/000.png", "ground_truth/crack/000_mask.png"),
    ],
)
def test_masks_are_found(image, mask, model, tmp_path):
    draw(tmp_path / image)
    draw_mask(tmp_path / mask, FAULT)
    found = find_ground_truth(
        scored(tmp_path, [image]), torch.tensor([True]), root=tmp_path, folder=None, framing=model
    )
    expected = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    expected[4:9, 2:7] = True
    assert torch.equal(found.masks[0], expected)
    assert found.known.tolist() == [True]
    assert "masks of 1 of 1 abnormal images" in found.lines[0]


def test_a_split_and_a_folder_of_images_have_their_masks_beside_them(model, tmp_path):
    draw_mask(tmp_path / "ground_truth" / "crack" / "0.png", FAULT)
    for inner in ("test", "Images"):
        draw(tmp_path / inner / "crack" / "0.png")
        assert mask_folder(tmp_path / inner) == tmp_path.resolve() / "ground_truth"
    draw(tmp_path / "other" / "crack" / "0.png")
    assert mask_folder(tmp_path / "other") is None
    none = find_ground_truth([], torch.zeros(0, dtype=torch.bool), root=tmp_path / "other", folder=None, framing=model)
    assert none is None


def test_a_mask_in_no_folder_belongs_to_one_image_alone(model, tmp_path):
    names = ["test/crack/0.png", "test/hole/0.png", "test/hole/1.png", "test/good/1.png"]
    for name in names:
        draw(tmp_path / name)
    for number in range(2):
        draw_mask(tmp_path / "ground_truth" / f"{number}.png", FAULT)
    found = find_ground_truth(
        scored(tmp_path, names), torch.tensor([True, True, True, False]), root=tmp_path, folder=None, framing=model
    )
    assert found.known.tolist() == [False, False, True, True]  # whose 0.png is, cannot be told
    assert not found.masks[3].any()


def test_several_masks_of_an_image_are_taken_together(model, tmp_path):
    draw(tmp_path / "test" / "logical" / "3.png")
    draw_mask(tmp_path / "ground_truth" / "logical" / "3" / "000.png", (0, 0, 2, 2), value=255)
    draw_mask(tmp_path / "ground_truth" / "logical" / "3" / "001.png", (8, 8, 10, 10), value=1)
    found = find_ground_truth(
        scored(tmp_path, ["test/logical/3.png"]), torch.tensor([True]), root=tmp_path, folder=None, framing=model
    )
    assert found.masks[0].sum() == 8


def test_what_is_missing_is_named(model, tmp_path):
    names = [
        f"test/{kind}.png"
        for kind in ("good/0", "a/none", "a/black", "a/thin", "a/wide", "a/torn", "a/fine", "a/beside")
    ]
    for name in names:
        draw(
            tmp_path / name,
            size={"thin": (8 * SIZE, 8 * SIZE), "beside": (2 * SIZE, SIZE)}.get(Path(name).stem, (SIZE, SIZE)),
        )
    truth = tmp_path / "truth"
    draw_mask(truth / "good" / "0.png", FAULT)
    draw_mask(truth / "a" / "black.png", None)
    draw_mask(truth / "a" / "thin.png", (0, 0, 1, 1), size=(8 * SIZE, 8 * SIZE))
    draw_mask(truth / "a" / "wide.png", FAULT, size=(2 * SIZE, SIZE))
    (truth / "a" / "torn.png").write_bytes(b"no mask")
    draw_mask(truth / "a" / "beside.png", (0, 0, 3, 3), size=(2 * SIZE, SIZE))
    draw_mask(truth / "a" / "fine.png", FAULT, value=1)
    abnormal = torch.tensor([False, *[True] * 7])
    found = find_ground_truth(scored(tmp_path, names), abnormal, root=tmp_path, folder=truth, framing=model)
    assert found.known.tolist() == [True, False, False, False, False, False, True, False]
    assert not found.masks[0].any()
    text = "\n".join(found.lines)
    for words in (
        "masks of 1 of 7 abnormal images",
        "1 of 7 abnormal images has no mask: excluded from the pixel metrics (test/a/none.png)",
        "has an empty (all-black) mask: excluded from the pixel metrics (test/a/black.png)",
        f"has a defect too small for {SIZE} px: excluded from the pixel metrics (test/a/thin.png)",
        "has the defect outside the central square, which is all that is scored: excluded from the pixel metrics",
        f"wide.png: the mask is {2 * SIZE}x{SIZE}, and its image {SIZE}x{SIZE}",
        "torn.png",
        "1 of 1 normal images has a mask that is not black: treated as normal (test/good/0.png)",
    ):
        assert words in text, (words, text)


def test_folders_that_are_given_must_hold_masks(model, tmp_path):
    draw(tmp_path / "test" / "a" / "0.png")
    images = scored(tmp_path, ["test/a/0.png"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"has no mask of any of the 1 abnormal images: CLASS/NAME_mask\.png"):
        find_ground_truth(images, torch.tensor([True]), root=tmp_path, folder=tmp_path / "empty", framing=model)
    with pytest.raises(LayoutError, match="no such folder"):
        find_ground_truth(images, torch.tensor([True]), root=tmp_path, folder=tmp_path / "nowhere", framing=model)


# Framed as the image


@pytest.mark.parametrize("size", [(SIZE, SIZE), (3 * SIZE, 2 * SIZE), (2 * SIZE, 5 * SIZE), (10, 14)])
def test_masks_are_framed_as_images_are(size, model):
    rng = np.random.default_rng(0)
    left, top = (int(rng.integers(side // 2)) for side in size)
    mask = np.zeros((size[1], size[0]), bool)
    mask[top : top + size[1] // 2, left : left + size[0] // 2] = True
    picture = Picture(pixels=mask.astype(np.uint8)[:, :, None] * 255)
    image = model.prepared([picture])[0, 0]  # the mask as if it were the image
    framed = model.framed(mask)
    assert framed.shape == (SIZE, SIZE)
    assert ((image > 0) != framed).float().mean() < 0.12  # a border of pixels that a filter mixes


def test_lossy_and_transparent_masks(model, tmp_path):
    for name in ("0", "1"):
        draw(tmp_path / "test" / "a" / f"{name}.png")
    folder = tmp_path / "ground_truth" / "a"
    folder.mkdir(parents=True)
    pixels = np.zeros((SIZE, SIZE), np.uint8)
    pixels[4:9, 2:7] = 255
    Image.fromarray(pixels).save(folder / "0.jpg", quality=30)
    clear = np.full((SIZE, SIZE, 4), 255, np.uint8)
    clear[..., 3] = pixels
    Image.fromarray(clear).save(folder / "1.png")
    found = find_ground_truth(
        scored(tmp_path, ["test/a/0.png", "test/a/1.png"]),
        torch.ones(2, dtype=torch.bool),
        root=tmp_path,
        folder=None,
        framing=model,
    )
    assert np.array_equal(found.masks[1].numpy(), pixels > 0)
    assert (found.masks[0].numpy() != (pixels > 0)).sum() <= 3


# Measures


def shapes(count: int, *, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 1, SIZE, SIZE, generator=generator) * 0.4 - 0.8


@pytest.fixture(scope="module")
def detector(model):
    return fit(model, shapes(40, seed=0), shapes(30, seed=1), smoothing=1)


def test_maps_are_measured_over_the_images_whose_faults_are_known(model, detector):
    from translate.applications.localisation import GroundTruth

    images = shapes(6, seed=2)
    masks = torch.zeros(6, SIZE, SIZE, dtype=torch.bool)
    masks[3:5, 4:9, 2:7] = True
    images[3:, 0, 4:9, 2:7] = 1.0
    abnormal = torch.arange(6) >= 3
    truth = GroundTruth(masks=masks, known=torch.arange(6) < 5, lines=("said",))
    scores = torch.randn(6, len(SCORES), generator=torch.Generator().manual_seed(0))
    judge = evaluation_of(detector, shapes(40, seed=0), images, scores, abnormal, truth)
    rows = {row.name: row for row in judge.rows}
    assert list(rows) == [*SCORES, "PCA-32 of the pixels", "5-NN of the pixels", "mean image"]
    assert judge.counts == (3, 3)
    assert judge.lines == ("said",)
    heat = heat_maps(detector, images)
    with torch.inference_mode():
        assert torch.equal(heat, detector.heat(images)[:, 0])
    known = heat[:5], masks[:5]  # the last has a fault that nobody marked
    assert rows["error"].localised.pixel_auroc == auroc(known[0].flatten(), known[1].flatten())
    assert rows["error"].localised.pro == pro(*known)
    assert rows["mean image"].localised.pro > 0.99
    assert rows["mean image"].auroc == 1
    for name in ("distance", "both", "5-NN of the pixels"):
        assert rows[name].localised is None
    alone = evaluation_of(detector, None, images, scores, abnormal, None)
    assert [row.name for row in alone.rows] == list(SCORES)
    assert "no baselines" in alone.lines[0]


def test_without_scipy_all_but_pro_is_measured(detector, monkeypatch):
    from translate.applications import localisation
    from translate.applications.localisation import GroundTruth

    def missing(*_):
        raise localisation.RegionsError(localisation.INSTALL)

    monkeypatch.setattr(localisation, "pro", missing)
    masks = torch.zeros(2, SIZE, SIZE, dtype=torch.bool)
    masks[1, :3, :3] = True
    truth = GroundTruth(masks=masks, known=torch.ones(2, dtype=torch.bool), lines=())
    judge = evaluation_of(detector, None, shapes(2, seed=3), torch.zeros(2, 3), torch.tensor([False, True]), truth)
    found = judge.rows[0].localised
    assert found.pro is None
    assert 0 <= found.pixel_auroc <= 1
    assert any("pip install" in line for line in judge.lines)


def test_baseline_maps_are_errors_of_reconstructions():
    learned, images = shapes(10, seed=0), shapes(3, seed=1)
    maps = baseline_maps(learned, images, smoothing=1)
    assert list(maps) == ["PCA-10 of the pixels", "mean image"]
    expected = (images - learned.mean(dim=0, keepdim=True)).square()[:, 0]
    torch.testing.assert_close(maps["mean image"], expected)
    centred = (learned - learned.mean(dim=0)).flatten(1).double()
    inside = (learned.mean(dim=0).flatten() + 3 * centred[0] - centred[4]).float().view(1, 1, SIZE, SIZE)
    assert baseline_maps(learned, inside, smoothing=1)["PCA-10 of the pixels"].max() < 1e-8


def test_pixels_of_equal_scores_say_nothing():
    from translate.applications.localisation import GroundTruth

    masks = torch.zeros(1, 4, 4, dtype=torch.bool)
    masks[0, 0] = True
    found = localised(torch.ones(1, 4, 4), GroundTruth(masks=masks, known=torch.tensor([True]), lines=()))
    assert (found.pixel_auroc, found.pro) == (0.5, pytest.approx(0.15))


def test_outlines_are_inside_the_mask_and_one_pixel_wide():
    masks = torch.zeros(2, 6, 7, dtype=torch.bool)
    masks[0, 1:5, 2:7] = True
    images = [Image.new("RGB", (7, 6)), Image.new("L", (7, 6), 9)]
    first, second = (np.array(image) for image in outlined(images, masks))
    drawn = (first == CYAN).all(axis=2)
    assert drawn.sum() == 14  # around 4 x 5, its edge at the image's included
    assert not drawn[2:4, 3:6].any()
    assert not (second == CYAN).all(axis=2).any()


# As it is typed


def test_the_command_reports_pixels_and_outlines_faults(tmp_path, capsys):
    pytest.importorskip("scipy")
    root = tmp_path / "bottle"
    for number in range(60):
        draw(root / "train" / "good" / f"{number:03d}.png", seed=number)
    for number in range(5):
        draw(root / "test" / "good" / f"{number:03d}.png", seed=100 + number)
        draw(root / "test" / "broken" / f"{number:03d}.png", fault=FAULT, seed=200 + number)
        if number:
            draw_mask(root / "ground_truth" / "broken" / f"{number:03d}_mask.png", FAULT)
    ae = save_learned(tmp_path / "ae", "ae", hold_out=0.4)
    detector, out = str(tmp_path / "detector"), tmp_path / "scores"
    assert main(["anomaly", "fit", str(ae), str(root), "-o", detector, "--smoothing", "1"]) == 0
    score = ["anomaly", "score", detector, str(root)]
    assert main([*score, "--normal", "good", "-o", str(out)]) == 0
    text = capsys.readouterr().out
    assert "pixel AUROC" in text
    assert "masks of 4 of 5 abnormal images, from" in text
    assert "has no mask: excluded from the pixel metrics (test/broken/000.png)" in text
    with (out / "measures.csv").open(newline="") as file:
        rows = {row["score"]: row for row in csv.DictReader(file)}
    assert float(rows["mean image"]["pixel_auroc"]) > 0.99
    assert float(rows["mean image"]["pro"]) > 0.95
    assert 0 <= float(rows["error"]["pro"]) <= 1
    assert rows["distance"]["pro"] == rows["distance"]["pixel_auroc"] == ""
    heats = {path.stem: np.array(Image.open(path)) for path in (out / "heat" / "test" / "broken").iterdir()}
    for name, heat in heats.items():
        ring = (heat == CYAN).all(axis=2)
        assert ring.sum() == (0 if name == "000" else 16), name
        if name != "000":
            assert ring[4, 2:7].all()
            assert ring[8, 2:7].all()
    assert not any(
        (np.array(Image.open(path)) == CYAN).all(axis=2).any() for path in (out / "heat" / "test" / "good").iterdir()
    )
    assert main([*score, "--masks", str(root / "ground_truth")]) == 2
    assert "--normal CLASS" in capsys.readouterr().err
    assert main([*score, "--normal", "good", "--masks", str(root / "ground_truth")]) == 0
    assert "masks of 4 of 5" in capsys.readouterr().out
    assert main([*score, "--normal", "good", "--masks", str(root / "train")]) == 2
    assert "has no mask of any of the 5 abnormal images" in capsys.readouterr().err.replace("\n", " ")
    assert main([*score, "--normal", "good", "--split", "test"]) == 0
    capsys.readouterr()
    assert main(["anomaly", "score", detector, str(root / "test"), "--normal", "good"]) == 0
    text = capsys.readouterr().out
    assert "masks of 4 of 5" in text
    assert "no baselines" in text
