"""EXIF and XMP are kept, and never where a photo was taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image

from translate.data.images import Picture, read_image, write_image
from translate.data.metadata import Metadata, read_metadata
from translate.inference.scans import write_scan

XMP = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:drone="http://drone/"
 exif:GPSLatitude="48,51.5N" tiff:Orientation="6" xmp:Rating="4"
 drone:AbsoluteAltitude="+12.5" drone:GpsLongitude="2.3">
<exif:GPSLongitude>2,17.6E</exif:GPSLongitude><tiff:ImageWidth>8</tiff:ImageWidth>
<xmp:Thumbnails><rdf:Alt><rdf:li>AAAA</rdf:li></rdf:Alt></xmp:Thumbnails>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">M\xc3\xbchle</rdf:li></rdf:Alt></dc:title>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""
PIXELS = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A JPEG with all that a camera writes, stored turned."""
    exif = Image.Exif()
    exif.update(
        {271: "Maker", 272: "Model 1", 315: "A. Person", 274: 6, 282: 300.0, 283: 300.0, 296: 2, 33432: "(c) A."}
    )
    exif.get_ifd(ExifTags.IFD.Exif).update(
        {33434: (1, 250), 33437: 2.8, 34855: 400, 36867: "2024:05:06 07:08:09", 37500: b"secret place", 40962: 8}
    )
    exif[ExifTags.IFD.Exif] = exif.get_ifd(ExifTags.IFD.Exif)
    exif[ExifTags.IFD.GPSInfo] = {1: "N", 2: (48.0, 51.0, 30.0), 3: "E", 4: (2.0, 17.0, 36.0)}
    Image.fromarray(PIXELS).save(tmp_path / "photo.jpg", exif=exif, xmp=XMP)
    return tmp_path / "photo.jpg"


def test_what_is_read(photo: Path) -> None:
    found = read_metadata(photo)
    assert found.image[271] == "Maker"
    assert found.capture[36867] == "2024:05:06 07:08:09"
    assert float(found.capture[33437]) == 2.8
    assert not {274, 34853, 37500, 40962} & {*found.image, *found.capture}
    assert found.xmp is not None
    assert "Mühle".encode() in found.xmp
    assert b'Rating="4"' in found.xmp
    for gone in (b"GPS", b"Gps", b"Orientation", b"Altitude", b"ImageWidth", b"Thumbnails", b"2,17.6E"):
        assert gone not in found.xmp, gone


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".avif", ".tif"])
@pytest.mark.parametrize(
    ("channels", "dtype"), [(1, np.uint8), (3, np.uint8), (4, np.uint8), (1, np.uint16), (3, np.uint16)]
)
def test_each_format_keeps_it(photo: Path, suffix: str, channels: int, dtype: type) -> None:
    pixels = np.arange(6 * 8 * channels, dtype=dtype).reshape(6, 8, channels) + 1
    target = photo.with_name(f"made{suffix}")
    write_image(target, Picture(pixels=pixels), metadata=read_metadata(photo))
    with Image.open(target) as image:
        exif = image.getexif()
        assert (exif[271], exif[272], exif[315], exif[33432]) == ("Maker", "Model 1", "A. Person", "(c) A.")
        assert float(exif[282]) == 300
        capture = exif.get_ifd(ExifTags.IFD.Exif)
        assert capture[36867] == "2024:05:06 07:08:09"
        assert capture[34855] == 400
        assert float(capture[33437]) == pytest.approx(2.8)
        assert not exif.get_ifd(ExifTags.IFD.GPSInfo)
        assert exif.get(274, 1) == 1
    assert read_metadata(target).xmp == read_metadata(photo).xmp
    assert b"secret" not in target.read_bytes()
    if suffix in (".png", ".tif"):
        assert np.array_equal(read_image(target).pixels, pixels)


def test_a_tiff_by_rows_keeps_it(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = photo.with_name("made.tif")
    write_scan(target, [Picture(pixels=PIXELS)], height=6, metadata=read_metadata(photo))
    assert read_metadata(target).capture[34855] == 400
    with tifffile.TiffFile(target) as file:  # another reader of Exif directories
        tags = file.pages.first.tags
        assert tags[34665].value["ISOSpeedRatings"] == 400
        assert tags[271].value == "Maker"
    monkeypatch.setattr("translate.inference.scans._CLASSIC_BYTES", 1)
    write_scan(target, [Picture(pixels=PIXELS)], height=6, metadata=read_metadata(photo))
    assert read_metadata(target).image[271] == "Maker"
    assert np.array_equal(read_image(target).pixels, PIXELS)


def test_a_tiff_gives_what_it_says_and_not_how_it_is_stored(tmp_path: Path) -> None:
    tags = [(315, "s", 0, "A. Person", True), (274, "H", 1, 3, True)]
    tifffile.imwrite(tmp_path / "scan.tif", PIXELS, photometric="rgb", rowsperstrip=2, extratags=tags, metadata=None)
    found = read_metadata(tmp_path / "scan.tif")
    assert found.image[315] == "A. Person"
    assert not {256, 257, 258, 259, 262, 273, 274, 277, 278, 279} & set(found.image)


@pytest.mark.parametrize(
    "xmp", [b"<x:xmpmeta", b"", b'<!DOCTYPE a [<!ENTITY b "c">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&b;</x:xmpmeta>']
)
def test_broken_xmp_is_left_out(tmp_path: Path, xmp: bytes) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "photo.jpg", xmp=xmp)
    assert read_metadata(tmp_path / "photo.jpg") == Metadata(image={}, capture={}, xmp=None)


def test_broken_exif_and_none(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "broken.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12")
    Image.fromarray(PIXELS).save(tmp_path / "none.png")
    np.save(tmp_path / "array.npy", PIXELS)
    for name in ("broken.jpg", "none.png", "array.npy", "missing.jpg"):
        found = read_metadata(tmp_path / name)
        assert (found.image, found.capture, found.xmp) == ({}, {}, None), name
        write_image(tmp_path / "made.tif", Picture(pixels=PIXELS), metadata=found)
        assert np.array_equal(read_image(tmp_path / "made.tif").pixels, PIXELS)
