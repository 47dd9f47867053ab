"""Recognizes the formats that the remote accepts, by their first bytes. Tables and pure functions.

Why no library does this: docs/adr/0002-media-formats.md.
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
"""How many of the first bytes `sniff` needs."""

LIMITS: dict[str, int] = {Media.Kind.IMAGE: MAX_IMAGE_BYTES, Media.Kind.VIDEO: MAX_VIDEO_BYTES}
"""The most decoded bytes, by kind (contract, section 11, row 15)."""

MIME_TYPES: dict[str, tuple[str, ...]] = {
    Media.Kind.IMAGE: IMAGE_MIME_TYPES,
    Media.Kind.VIDEO: VIDEO_MIME_TYPES,
}
"""The MIME types that may be declared, by kind (contract, section 3.1)."""

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
    """A file format, as the content shows it."""

    kind: str
    """`image` or `video`."""
    extension: str
    """Of the stored file, without the dot."""
    mime_types: tuple[str, ...]
    """The types that may be declared for this content; the first is used if none is declared."""


# MP4, QuickTime and 3GPP are one container, and cameras do not agree on its brand.
_MP4_FAMILY = ("video/mp4", "video/quicktime", "video/mov", "video/3gpp")
_JPEG = Format("image", "jpg", ("image/jpeg",))
_PNG = Format("image", "png", ("image/png",))
_GIF = Format("image", "gif", ("image/gif",))
_WEBP = Format("image", "webp", ("image/webp",))
_MP4 = Format("video", "mp4", _MP4_FAMILY)
_QUICKTIME = Format("video", "mov", ("video/quicktime", *_MP4_FAMILY))
_3GPP = Format("video", "3gp", ("video/3gpp", *_MP4_FAMILY))
_CONTAINERS = (_MP4, _QUICKTIME, _3GPP)
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
)
# QuickTime files older than `ftyp` begin with any of these atoms; those of the second line are
# padding, which may stand before an `ftyp` too.
_QUICKTIME_ATOMS = (b"moov", b"mdat", b"pnot")
_PADDING_ATOMS = (b"free", b"skip", b"wide", b"junk", b"uuid")
# Brands of the same container that are pictures or sound.
_NO_VIDEO_BRANDS = tuple(
    b"ftyp" + brand
    for brand in (
        *(b"hei", b"hev", b"mif1", b"msf1", b"miaf", b"avi", b"avci", b"avcs", b"jp", b"crx"),
        *(b"M4A", b"M4B", b"M4P", b"F4A", b"F4B"),
    )
)
_MATROSKA = b"\x1a\x45\xdf\xa3"


def sniff(head: bytes) -> Format | None:
    """Return the format that the first `HEAD_BYTES` bytes show, or None if it is not accepted."""
    if head.startswith(_MATROSKA):
        return _WEBM if b"webm" in head[:HEAD_BYTES] else None
    inner, is_padded = _without_padding(head)
    if inner.startswith(_NO_VIDEO_BRANDS, 4):
        return None
    for format_, marks in _SIGNATURES:
        if all(inner.startswith(mark, offset) for offset, mark in marks):
            return format_ if not is_padded or format_ in _CONTAINERS else None
    if is_padded or (inner.startswith(_QUICKTIME_ATOMS, 4) and _atom_size(inner) is not None):
        return _QUICKTIME
    return None


def _without_padding(head: bytes) -> tuple[bytes, bool]:
    """Return what stands behind the atoms that only fill space, and whether there were any."""
    is_padded = False
    while head.startswith(_PADDING_ATOMS, 4) and (size := _atom_size(head)) is not None:
        is_padded = True
        head = head[size:] if size else b""
    return head, is_padded


def _atom_size(head: bytes) -> int | None:
    """Return the size of the first atom, 0 for one to the end; None for an impossible size.

    Without this "Get free …" in a text would be a film.
    """
    size = int.from_bytes(head[:4], "big")
    if size == 1:
        size = int.from_bytes(head[8:16], "big")
    return size if not size or 8 <= size <= MAX_VIDEO_BYTES else None


def canonical_mime_type(declared: str) -> str | None:
    """Return the contract's spelling of a MIME type, or None if the remote does not accept it.

    Case and parameters (`; codecs=…`) are ignored. Usual aliases such as `image/jpg` are accepted.
    """
    return _ALIASES.get(declared.partition(";")[0].strip().lower())
