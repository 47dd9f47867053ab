"""The formats the remote takes, told apart by their first bytes. Tables and pure functions.

Why no library does this: docs/adr, "Media are recognized by a table of our own".
"""

from __future__ import annotations

from typing import NamedTuple

from creatify_textgen.models import Media
from creatify_textgen.remote.contract import (
    IMAGE_MIME_TYPES,
    MAX_IMAGE_BYTES,
    MAX_VIDEO_BYTES,
    VIDEO_MIME_TYPES,
)

__all__ = ["HEAD_BYTES", "LIMITS", "MIME_TYPES", "Format", "canonical_mime_type", "sniff"]

HEAD_BYTES = 64
"""How many first bytes `sniff` wants to see."""

LIMITS: dict[str, int] = {Media.Kind.IMAGE: MAX_IMAGE_BYTES, Media.Kind.VIDEO: MAX_VIDEO_BYTES}
"""Decoded bytes by kind (CONTRACT 11, row 15)."""

MIME_TYPES: dict[str, tuple[str, ...]] = {
    Media.Kind.IMAGE: IMAGE_MIME_TYPES,
    Media.Kind.VIDEO: VIDEO_MIME_TYPES,
}
"""What may be declared, by kind (CONTRACT 3.1)."""

_ALIASES = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "video/3gp": "video/3gpp",
    "video/flv": "video/x-flv",
    "video/msvideo": "video/avi",
    "video/vnd.avi": "video/avi",
    "video/x-m4v": "video/mp4",
    "video/x-mpeg": "video/mpeg",
    "video/x-ms-wmv": "video/wmv",
    "video/x-msvideo": "video/avi",
}
_ALIASES.update({name: name for names in MIME_TYPES.values() for name in names})


class Format(NamedTuple):
    """A format as its content tells it."""

    kind: str
    """`image` or `video`."""
    extension: str
    """Of the stored file, without the dot."""
    mime_types: tuple[str, ...]
    """What may be declared for such content; the first is what it is called by itself."""


# MP4, QuickTime and 3GPP are one container whose brand cameras set as they like.
_MP4_FAMILY = ("video/mp4", "video/quicktime", "video/mov", "video/3gpp")
_JPEG = Format("image", "jpg", ("image/jpeg",))
_PNG = Format("image", "png", ("image/png",))
_GIF = Format("image", "gif", ("image/gif",))
_WEBP = Format("image", "webp", ("image/webp",))
_MP4 = Format("video", "mp4", _MP4_FAMILY)
_QUICKTIME = Format("video", "mov", ("video/quicktime", *_MP4_FAMILY))
_3GPP = Format("video", "3gp", ("video/3gpp", *_MP4_FAMILY))
_AVI = Format("video", "avi", ("video/avi",))
_WEBM = Format("video", "webm", ("video/webm",))
_MPEG = Format("video", "mpg", ("video/mpeg", "video/mpg"))
_FLV = Format("video", "flv", ("video/x-flv",))
_WMV = Format("video", "wmv", ("video/wmv",))

# Offset and bytes, all of which must be there; the first row that fits wins.
# Sources: mimesniff.spec.whatwg.org, ISO/IEC 14496-12 (ftyp), Apple's QuickTime File Format.
_SIGNATURES: tuple[tuple[Format, tuple[tuple[int, bytes], ...]], ...] = (
    (_JPEG, ((0, b"\xff\xd8\xff"),)),
    (_PNG, ((0, b"\x89PNG\r\n\x1a\n"),)),
    (_GIF, ((0, b"GIF87a"),)),
    (_GIF, ((0, b"GIF89a"),)),
    (_WEBP, ((0, b"RIFF"), (8, b"WEBP"))),
    (_AVI, ((0, b"RIFF"), (8, b"AVI "))),
    (_FLV, ((0, b"FLV\x01"),)),
    (_WMV, ((0, bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")),)),
    (_MPEG, ((0, b"\x00\x00\x01\xba"),)),
    (_MPEG, ((0, b"\x00\x00\x01\xb3"),)),
    (_QUICKTIME, ((4, b"ftypqt  "),)),
    (_3GPP, ((4, b"ftyp3g"),)),
    (_MP4, ((4, b"ftyp"),)),
    # QuickTime files older than `ftyp` begin with any of these atoms.
    *((_QUICKTIME, ((4, atom),)) for atom in (b"moov", b"mdat", b"wide", b"pnot")),
)
# Brands of the same container that are pictures or sound.
_NO_VIDEO_BRANDS = tuple(
    b"ftyp" + brand
    for brand in (b"hei", b"hev", b"mif1", b"msf1", b"avi", b"jp", b"crx", b"M4A", b"M4B", b"M4P")
)
_MATROSKA = b"\x1a\x45\xdf\xa3"


def sniff(head: bytes) -> Format | None:
    """Return the format that the first `HEAD_BYTES` bytes show, or None where it is not taken."""
    if head.startswith(_MATROSKA):
        return _WEBM if b"webm" in head[:HEAD_BYTES] else None
    if head.startswith(_NO_VIDEO_BRANDS, 4):
        return None
    for format_, marks in _SIGNATURES:
        if all(head.startswith(mark, offset) for offset, mark in marks):
            return format_
    return None


def canonical_mime_type(declared: str) -> str | None:
    """Return the contract's spelling of a MIME type, or None where the remote does not take it.

    Case, parameters (`; codecs=…`) and the usual aliases (`image/jpg`) are forgiven.
    """
    return _ALIASES.get(declared.partition(";")[0].strip().lower())
