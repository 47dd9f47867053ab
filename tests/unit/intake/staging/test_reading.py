"""From every kind of source to a measured temporary file. No database, no storage."""

from __future__ import annotations

import base64
import hashlib
import io
import logging
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from hypothesis import given
from hypothesis import strategies as st

from creatify_textgen.exceptions import RequestError, TextgenError
from creatify_textgen.intake.staging import stage
from creatify_textgen.intake.staging.base64_text import decode_blocks
from tests.bad_requests import PNG, PNG_TEXT

MIB = 1024 * 1024
MP4_HEAD = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"


def image_of(size: int) -> bytes:
    return PNG + bytes(size - len(PNG))


def errors_of(source: Any, **declared: Any) -> dict[str, list[str]]:
    with pytest.raises(RequestError) as caught:
        stage(source, **declared)
    return caught.value.errors


class TestSources:
    @pytest.mark.parametrize(
        "wrap",
        [
            pytest.param(bytes, id="bytes"),
            pytest.param(bytearray, id="bytearray"),
            pytest.param(memoryview, id="memoryview"),
            pytest.param(lambda content: memoryview(b"".join(bytes((b, 0)) for b in content))[::2],
                         id="memoryview-with-gaps"),
            pytest.param(ContentFile, id="django-file"),
            pytest.param(lambda content: SimpleUploadedFile("a.png", content), id="upload"),
            pytest.param(io.BytesIO, id="stream"),
            pytest.param(lambda content: base64.b64encode(content).decode(), id="base64"),
            pytest.param(lambda content: base64.encodebytes(content).decode(), id="base64-lines"),
            pytest.param(
                lambda content: "data:image/png;base64," + base64.b64encode(content).decode(),
                id="data-url",
            ),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("size", [len(PNG), MIB - 1, MIB, 2 * MIB + 1])
    def test_reads_to_the_end(self, wrap: Callable[[bytes], Any], size: int) -> None:
        content = image_of(size)
        staged = stage(wrap(content), kind="image", mime_type="image/png")
        assert staged.size == size
        assert staged.sha256 == hashlib.sha256(content).hexdigest()
        staged.file.seek(0)
        assert staged.file.read() == content
        staged.close()

    def test_reads_a_path(self, tmp_path: Path) -> None:
        (tmp_path / "image.png").write_bytes(PNG)
        staged = stage(tmp_path / "image.png")
        assert (staged.mime_type, staged.format.kind) == ("image/png", "image")
        staged.close()

    def test_reads_a_file_again_from_its_beginning(self) -> None:
        file = ContentFile(PNG)
        for _ in range(2):
            stage(file).close()

    def test_leaves_the_caller_s_file_open(self) -> None:
        file = io.BytesIO(PNG)
        stage(file).close()
        assert not file.closed

    def test_takes_the_type_of_a_data_url(self) -> None:
        staged = stage(f"data:image/png;charset=x;base64,{PNG_TEXT}")
        assert staged.mime_type == "image/png"
        staged.close()

    def test_keeps_the_declared_type_within_a_family(self) -> None:
        staged = stage(MP4_HEAD, kind="video", mime_type="video/mov")
        assert (staged.mime_type, staged.format.extension) == ("video/mov", "mp4")
        staged.close()


class TestRefusals:
    @pytest.mark.parametrize(
        ("source", "rule"),
        [
            pytest.param(Path("/nowhere/at-all.png"), "the path of a file", id="missing"),
            pytest.param(Path("/dev/zero"), "the path of a file", id="device"),
            pytest.param(Path("/"), "the path of a file", id="folder"),
            pytest.param(Path("/a\x00b"), "the path of a file", id="nul"),
            pytest.param(io.StringIO("text"), "binary mode", id="text-stream"),
            pytest.param(b"", "Is empty", id="empty"),
            pytest.param(b"GIF", "first bytes", id="too-short"),
            pytest.param(None, "Must be", id="none"),
            pytest.param(3, "Must be", id="number"),
            pytest.param(memoryview(PNG)[:0], "Is empty", id="empty-view"),
        ],
    )
    def test_names_the_rule(self, source: Any, rule: str) -> None:
        assert rule in errors_of(source)["data"][0]

    def test_refuses_a_closed_file(self) -> None:
        file = io.BytesIO(PNG)
        file.close()
        assert "Could not be read" in errors_of(file)["data"][0]

    def test_refuses_a_file_that_breaks_while_it_is_read(self) -> None:
        class Broken(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                raise OSError("/secret/path is gone")

        errors = errors_of(Broken(PNG))
        assert errors == {"data": ["Could not be read (OSError)."]}

    @pytest.mark.parametrize(
        ("kind", "limit", "head"), [("image", 20, PNG), ("video", 100, MP4_HEAD)]
    )
    def test_refuses_one_byte_above_the_limit(self, kind: str, limit: int, head: bytes) -> None:
        content = head + bytes(limit * MIB - len(head) + 1)
        assert f"larger than {limit} MB" in errors_of(content, kind=kind)["data"][0]
        stage(memoryview(content)[:-1], kind=kind).close()

    def test_applies_the_limit_of_what_it_is(self) -> None:
        assert "larger than 20 MB" in errors_of(image_of(20 * MIB + 1))["data"][0]

    def test_stops_reading_at_the_limit(self) -> None:
        class Endless(io.RawIOBase):
            taken = 0

            def read(self, size: int = -1) -> bytes:
                self.taken += size
                return bytes(size)

        source = Endless()
        assert "larger than" in errors_of(source, kind="image")["data"][0]
        assert source.taken <= 21 * MIB

    def test_warns_where_only_the_base64_is_above_the_limit(self, caplog: Any) -> None:
        with caplog.at_level(logging.WARNING, "creatify_textgen"):
            stage(image_of(19 * MIB), kind="image").close()
        assert "as base64" in caplog.text

    @pytest.mark.parametrize(
        ("source", "words"),
        [("https://example.com/a.png", "Is an address"), ("photos/a.png", "pathlib.Path")],
    )
    @pytest.mark.parametrize("declared", [{}, {"mime_type": "image/png"}], ids=["bare", "typed"])
    def test_says_what_to_pass_for_an_address_or_a_path(
        self, source: str, words: str, declared: dict[str, str]
    ) -> None:
        [message] = errors_of(source, **declared)["data"]
        assert words in message

    def test_says_so_where_the_disk_is_full(self, monkeypatch: Any) -> None:
        def full(*_: Any) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("tempfile.SpooledTemporaryFile.write", full)
        with pytest.raises(TextgenError) as caught:
            stage(PNG)
        assert caught.value.code == "media_storage_failed"
        assert not isinstance(caught.value, RequestError)


class TestMemory:
    def test_holds_a_few_blocks_beside_the_text(self) -> None:
        text = base64.b64encode(MP4_HEAD + bytes(40 * MIB)).decode()
        tracemalloc.start()
        stage(text, kind="video", mime_type="video/mp4").close()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 * MIB


class TestBase64:
    @given(st.binary(max_size=200), st.data())
    def test_reads_what_was_encoded_with_spaces_anywhere(self, content: bytes, data: Any) -> None:
        text = base64.b64encode(content).decode()
        for position in data.draw(st.lists(st.integers(0, len(text)), max_size=5)):
            text = (
                text[:position] + data.draw(st.sampled_from([" ", "\n", "\r\n"])) + text[position:]
            )
        assert b"".join(decode_blocks(text)) == content

    @given(st.text(max_size=50))
    def test_raises_nothing_but_its_own(self, text: str) -> None:
        try:
            decoded = b"".join(decode_blocks(text))
        except RequestError:
            return
        assert base64.b64encode(decoded).decode() == "".join(text.split())

    def test_refuses_what_follows_the_padding_in_a_later_block(self, monkeypatch: Any) -> None:
        monkeypatch.setattr("creatify_textgen.intake.staging.base64_text.BLOCK_CHARACTERS", 4)
        with pytest.raises(RequestError, match="follows its padding"):
            list(decode_blocks("QQ==QQ=="))
