"""HTTP framing: heads and bodies, cut anywhere."""

from __future__ import annotations

import pytest

from creatify_textgen.emulator.http.framing import (
    ChunkedDecoder,
    FramingError,
    LengthDecoder,
    decoder_for,
    frame_chunk,
    parse_head,
    render_head,
)

CHUNKED = b"4;ext=1\r\nWiki\r\n6\r\npedia \r\n0\r\nTrailer: x\r\n\r\nGET"


class TestParseHead:
    def test_reads_the_line_and_the_headers(self) -> None:
        head = parse_head(b"POST /path/?a=1 HTTP/1.1\r\nHost: x\r\nX-Api-Id:  me ")
        assert (head.method, head.path, head.query) == ("POST", "/path/", "a=1")
        assert head.headers == {"host": "x", "x-api-id": "me"}

    @pytest.mark.parametrize(
        ("version", "connection", "kept"),
        [
            ("HTTP/1.1", "", True),
            ("HTTP/1.1", "close", False),
            ("HTTP/1.0", "", False),
            ("HTTP/1.0", "keep-alive", True),
        ],
    )
    def test_knows_whether_the_connection_stays(
        self, version: str, connection: str, *, kept: bool
    ) -> None:
        head = parse_head(f"GET / {version}\r\nConnection: {connection}".encode())
        assert head.keep_alive is kept

    @pytest.mark.parametrize(
        "head",
        [
            b"GET /",
            b"GET / SPDY/3",
            b"GET / HTTP/1.1\r\nno colon",
            b"GET / HTTP/1.1\r\n: x",
            b"GET / HTTP/1.1\r\nName : x",
            b"GET / HTTP/1.1\r\nHost: a\nSet-Cookie: b",
        ],
    )
    def test_refuses_what_is_not_http(self, head: bytes) -> None:
        with pytest.raises(FramingError):
            parse_head(head)


class TestDecoderFor:
    def test_finds_no_body_without_a_length(self) -> None:
        assert decoder_for({}) is None

    def test_finds_the_announced_kind(self) -> None:
        assert isinstance(decoder_for({"content-length": "3"}), LengthDecoder)
        assert isinstance(decoder_for({"transfer-encoding": "chunked"}), ChunkedDecoder)

    @pytest.mark.parametrize(
        "headers",
        [
            {"content-length": "-1"},
            {"content-length": "٣"},
            {"content-length": "x"},
            pytest.param({"content-length": "9" * 5000}, id="thousands of digits"),
            {"transfer-encoding": "gzip"},
            {"transfer-encoding": "chunked", "content-length": "3"},
        ],
        ids=str,
    )
    def test_refuses_ambiguity(self, headers: dict[str, str]) -> None:
        with pytest.raises(FramingError):
            decoder_for(headers)


class TestLengthDecoder:
    def test_leaves_what_follows_the_body(self) -> None:
        decoder = LengthDecoder(3)
        assert decoder.decode(b"abcGET") == ([b"abc"], b"GET")
        assert decoder.complete


class TestChunkedDecoder:
    @pytest.mark.parametrize("split", range(len(CHUNKED)))
    def test_reads_a_body_cut_anywhere(self, split: int) -> None:
        decoder = ChunkedDecoder()
        first, left = decoder.decode(CHUNKED[:split])
        if decoder.complete:
            following = left + CHUNKED[split:]
            second: list[bytes] = []
        else:
            second, following = decoder.decode(CHUNKED[split:])
        assert b"".join(first + second) == b"Wikipedia "
        assert decoder.complete
        assert following == b"GET"

    @pytest.mark.parametrize(
        "body", [b"zz\r\n", b"-1\r\n", b"0x1\r\n", b"1_0\r\n", b"1\r\nab\r\n", b"1" * 5000]
    )
    def test_refuses_what_is_not_chunked(self, body: bytes) -> None:
        with pytest.raises(FramingError):
            ChunkedDecoder().decode(body)


class TestRender:
    def test_announces_a_length_or_chunks(self) -> None:
        whole = render_head(201, content_type="a/b", headers={"X": "y"}, length=3, close=True)
        assert whole.startswith(b"HTTP/1.1 201 Created\r\n")
        assert b"Content-Length: 3\r\nX: y\r\nConnection: close\r\n\r\n" in whole
        parts = render_head(200, content_type="a/b", headers={}, length=None, close=False)
        assert b"Transfer-Encoding: chunked" in parts

    def test_frames_a_chunk(self) -> None:
        assert frame_chunk(b"x" * 16) == b"10\r\n" + b"x" * 16 + b"\r\n"
