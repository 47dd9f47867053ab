"""Formats by their first bytes, and the spellings of MIME types."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creatify_textgen.intake.staging import canonical_mime_type, sniff

EBML = (
    b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08\x42\x82"
)
HEADS = [
    ("image/jpeg", b"\xff\xd8\xff\xe0\x00\x10JFIF"),
    ("image/jpeg", b"\xff\xd8\xff\xe1\x00\x10Exif"),
    ("image/png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"),
    ("image/gif", b"GIF87a\x01\x00"),
    ("image/gif", b"GIF89a\x01\x00"),
    ("image/webp", b"RIFF\x24\x00\x00\x00WEBPVP8 "),
    ("image/webp", b"RIFF\x24\x00\x00\x00WEBPVP8X"),
    ("video/mp4", b"\x00\x00\x00\x20ftypisom"),
    ("video/mp4", b"\x00\x00\x00\x14ftypmp41\x20\x13\x10\x18mp41"),
    ("video/mp4", b"\x00\x00\x00\x1cftypM4V "),
    ("video/quicktime", b"\x00\x00\x00\x18ftypqt  \x20\x07\x09\x00"),
    ("video/quicktime", b"\x00\x00\x00\x08wide\x00\x00\x10\x00mdat"),
    ("video/quicktime", b"\x00\x00\x10\x00moov\x00\x00\x00\x6cmvhd"),
    ("video/quicktime", b"\x00\x00\x00\x00mdat\x00\x00"),
    ("video/quicktime", b"\x00\x00\x00\x01mdat\x00\x00\x00\x00\x06\x00\x00\x00"),
    ("video/quicktime", b"\x00\x00\x00\x08free\x00\x00\x10\x00moov"),
    ("video/quicktime", b"\x00\x00\x10\x00skip\x00\x00\x00\x00"),
    ("video/quicktime", b"\x00\x00\x00\x08skip\x00\x00\x00\x08wide\x00\x00\x10\x00mdat"),
    ("video/quicktime", b"\x00\x00\x10\x00junk\x00\x00\x00\x00"),
    ("video/mp4", b"\x00\x00\x00\x08free\x00\x00\x00\x1cftypisom"),
    ("video/3gpp", b"\x00\x00\x00\x18ftyp3gp5"),
    ("video/avi", b"RIFF\x24\x00\x00\x00AVI LIST"),
    ("video/webm", EBML + b"\x84webm\x42\x87\x81\x04"),
    ("video/mpeg", b"\x00\x00\x01\xba\x44\x00\x04\x00"),
    ("video/mpeg", b"\x00\x00\x01\xb3\x16\x00\xf0\x15"),
    ("video/x-flv", b"FLV\x01\x05\x00\x00\x00\x09"),
    ("video/wmv", bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + b"\x00"),
]
OTHERS = [
    b"",
    b"\xff\xd8",
    b"%PDF-1.7",
    b"<svg xmlns='http://www.w3.org/2000/svg'>",
    b"<!DOCTYPE html>",
    b"PK\x03\x04",
    b"BM\x36\x00",
    b"II*\x00",
    b"ID3\x04",
    b"RIFF\x24\x00\x00\x00WAVEfmt ",
    b"OggS\x00",
    EBML + b"\x88matroska\x42\x87",
    b"\x00\x00\x00\x18ftypheic",
    b"\x00\x00\x00\x1cftypavif",
    b"\x00\x00\x00\x1cftypmif1",
    b"\x00\x00\x00\x1cftypM4A ",
    b"\x00\x00\x00\x1cftypavci",
    b"\x00\x00\x00\x08free\x00\x00\x00\x1cftypheic",
    b"\x00\x00\x00\x08free\x89PNG\r\n\x1a\n",
    b"Get free books here",
    b"I'm moovin' out",
    b"\x00\x00\x00\x04free",
    b"\x7fELF",
    b" \x89PNG\r\n\x1a\n",
]


class TestSniff:
    @pytest.mark.parametrize(("mime_type", "head"), HEADS)
    def test_knows_the_formats_of_the_contract(self, mime_type: str, head: bytes) -> None:
        found = sniff(head)
        assert found is not None
        assert found.mime_types[0] == mime_type
        assert found.kind == mime_type.partition("/")[0]

    @pytest.mark.parametrize("head", OTHERS)
    def test_knows_no_other(self, head: bytes) -> None:
        assert sniff(head) is None

    @given(st.binary(max_size=64))
    def test_never_raises(self, head: bytes) -> None:
        sniff(head)


class TestCanonicalMimeType:
    @pytest.mark.parametrize(
        ("declared", "canonical"),
        [
            ("image/png", "image/png"),
            ("IMAGE/JPG", "image/jpeg"),
            (' video/webm; codecs="vp9"', "video/webm"),
            ("video/x-msvideo", "video/avi"),
            ("video/mov", "video/mov"),
            ("video/quicktime", "video/quicktime"),
        ],
    )
    def test_forgives_spelling(self, declared: str, canonical: str) -> None:
        assert canonical_mime_type(declared) == canonical

    @pytest.mark.parametrize("declared", ["", "image", "image/*", "image/svg+xml", "text/html"])
    def test_knows_no_other(self, declared: str) -> None:
        assert canonical_mime_type(declared) is None
