"""What an image file says of itself: EXIF and XMP, without the place where it was taken.

Left out are what no longer holds of a translated image (orientation, size, thumbnails), what tells where it was taken
(GPS in EXIF and XMP) and the maker's own notes, which are not documented and may tell it, too.

Sources: Exif 3.0; XMP Specification Part 1 (ISO 16684-1).
"""

from __future__ import annotations

import os
import re
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any
from xml.dom import minidom
from xml.parsers.expat import ExpatError

from PIL import ExifTags, Image

from translate.data.heif import open_heif

XMP = 700
"""The tag of a TIFF."""
_EXIF = ExifTags.IFD.Exif
_OF_THE_IMAGE = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.XResolution,
    ExifTags.Base.YResolution,
    ExifTags.Base.ResolutionUnit,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.HostComputer,
    ExifTags.Base.Rating,
    ExifTags.Base.RatingPercent,
    ExifTags.Base.Copyright,
    ExifTags.Base.XPTitle,
    ExifTags.Base.XPComment,
    ExifTags.Base.XPAuthor,
    ExifTags.Base.XPKeywords,
    ExifTags.Base.XPSubject,
)
"""Tags of the first directory that are kept; in a TIFF, most others describe how its pixels are stored."""
_NOT_OF_THE_CAPTURE = (
    ExifTags.Base.MakerNote,
    ExifTags.Base.ExifImageWidth,
    ExifTags.Base.ExifImageHeight,
    ExifTags.Base.ExifInteroperabilityOffset,
    ExifTags.Base.RelatedSoundFile,
)
"""Tags of the Exif directory that are left out."""
_STANDARD = range(33434, 42241)  # tags of the Exif directory
_LEFT_OUT = re.compile(
    r"gps|^(orientation|imagewidth|imagelength|pixelxdimension|pixelydimension|thumbnails"
    r"|latitude|longitude|(absolute|relative)?altitude)$",
    re.IGNORECASE,
)
"""Local names of properties of XMP that are left out, with all that is in them."""
_DECLARATIONS = re.compile(rb"<!(DOCTYPE|ENTITY)", re.IGNORECASE)  # XMP has none, and bombs are made of them
_PACKET = b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>%s<?xpacket end="w"?>'


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """EXIF and XMP of an image file."""

    image: dict[int, Any]
    """Tags of the first directory of EXIF, which a TIFF has as tags of its own."""
    capture: dict[int, Any]
    """Tags of its Exif directory: exposure, lens, dates."""
    xmp: bytes | None

    @property
    def exif(self) -> Image.Exif:
        """All of EXIF, as Pillow saves it."""
        exif = Image.Exif()
        exif.update(self.image)
        if self.capture:
            exif.get_ifd(_EXIF).update(self.capture)
            exif[_EXIF] = exif.get_ifd(_EXIF)
        return exif


def read_metadata(path: str | os.PathLike[str]) -> Metadata:
    """Read what a file says of itself, as far as it can be read: broken EXIF or XMP is as good as none.

    Args:
        path: A file that `translate.data.images.read_image` reads.
    """
    image: dict[int, Any] = {}
    capture: dict[int, Any] = {}
    xmp = None
    with suppress(Exception), ExitStack() as stack:  # decoders raise nearly everything for a damaged file
        exif = Image.Exif()
        if (heif := open_heif(path)) is not None:
            xmp = heif.image.info.get("xmp")
            exif.load(heif.image.info.get("exif") or b"")
        else:
            opened = stack.enter_context(Image.open(path))
            exif = opened.getexif()
            xmp = opened.info.get("xmp") or exif.get(XMP)
        image = {tag: exif[tag] for tag in _OF_THE_IMAGE if tag in exif}
        own = exif.get_ifd(_EXIF)
        capture = {tag: value for tag, value in own.items() if tag in _STANDARD and tag not in _NOT_OF_THE_CAPTURE}
    return Metadata(image=image, capture=capture, xmp=_cleaned(xmp))


def _cleaned(xmp: bytes | str | None) -> bytes | None:
    """XMP without what is left out; None where there is none, or it is no XML."""
    data = xmp.encode() if isinstance(xmp, str) else xmp
    if not data or _DECLARATIONS.search(data):
        return None
    start, end = data.find(b"<x:xmpmeta"), data.rfind(b">")
    start = start if start >= 0 else data.find(b"<rdf:RDF")
    packet_end = data.find(b"<?xpacket end")
    try:
        tree = minidom.parseString(data[max(start, 0) : packet_end if packet_end > 0 else end + 1].strip(b"\0 \n\r\t"))
    except (ExpatError, ValueError):
        return None
    root = tree.documentElement
    assert root is not None
    _clean(root)
    return _PACKET % root.toxml().encode()


def _clean(element: minidom.Element) -> None:
    for name in [name for name, _ in element.attributes.items() if _LEFT_OUT.search(name.rpartition(":")[2])]:
        element.removeAttribute(name)
    for child in list(element.childNodes):
        if not isinstance(child, minidom.Element):
            continue
        if _LEFT_OUT.search(child.tagName.rpartition(":")[2]):
            element.removeChild(child)
        else:
            _clean(child)
