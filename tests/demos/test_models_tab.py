"""What weights are taken away as."""

from pathlib import Path
from zipfile import ZipFile

import pytest
import torch
from PIL import Image

import translate
from translate.demos.catalogue import Catalogue
from translate.demos.models_tab import FORMATS, ending_of, write_as

HALF, ONNX = (next(words for words in FORMATS if name in words) for name in ("fp16", "ONNX"))


def test_onnx_for_any_style_is_a_zip_of_two(demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr("translate.demos.catalogue.shipped_weights", dict)
    catalogue = Catalogue([demo.painter.parent / name for name in ("anything", "brushes")])
    some, named = catalogue.offers["anything"], catalogue.offers["brushes"]
    assert [ending_of(offer, words) for offer in (some, named) for words in (HALF, ONNX)] == [
        ".safetensors", ".zip", ".safetensors", ".onnx",
    ]  # fmt: skip
    write_as(some, ONNX, tmp_path / "away.zip")
    with ZipFile(tmp_path / "away.zip") as archive:
        assert sorted(archive.namelist()) == ["anything.encoder.onnx", "anything.onnx"]
        archive.extractall(tmp_path / "away")
    style = Image.linear_gradient("L").convert("RGB")
    paths = tmp_path / "away" / "anything.onnx", some.path
    found, own = (translate.load(path, device="cpu", precision="fp32").reference_code(style) for path in paths)
    torch.testing.assert_close(found, own, atol=1e-3, rtol=1e-3)
