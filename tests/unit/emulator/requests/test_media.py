"""What the first bytes of an image say."""

from __future__ import annotations

import pytest

from creatify_textgen.emulator.requests.media import dimensions
from tests.unit.emulator.builders import PNG

GIF = b"GIF89a" + (30).to_bytes(2, "little") + (40).to_bytes(2, "little") + bytes(10)
JPEG = (
    b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc2\x00\x11\x08"
    + (50).to_bytes(2, "big")
    + (60).to_bytes(2, "big")
    + bytes(10)
)


class TestDimensions:
    @pytest.mark.parametrize(
        ("head", "size"),
        [
            (PNG, (10, 20)),
            (GIF, (30, 40)),
            (JPEG, (60, 50)),
            (b"RIFF....WEBP", (0, 0)),
            (PNG[:20], (0, 0)),
            (JPEG[:12], (0, 0)),
            (b"", (0, 0)),
        ],
        ids=["png", "gif", "jpeg", "webp", "short-png", "short-jpeg", "empty"],
    )
    def test_reads_width_and_height(self, head: bytes, size: tuple[int, int]) -> None:
        assert dimensions(head) == size
