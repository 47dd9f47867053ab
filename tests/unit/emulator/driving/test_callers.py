"""Which requests come from elsewhere."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from creatify_textgen.emulator.driving.application import base_url
from creatify_textgen.emulator.driving.callers import foreign_reason, is_json
from creatify_textgen.emulator.http.exchange import Head


def head_with(**headers: str) -> Head:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Head("GET", "/", "", named, keep_alive=True)


class TestForeignReason:
    @pytest.mark.parametrize(
        "host", ["127.0.0.1:8900", "127.9.9.9", "localhost:1", "app.localhost", "[::1]:8900"]
    )
    def test_is_empty_for_names_of_this_machine(self, host: str) -> None:
        assert foreign_reason(head_with(host=host), bound="127.0.0.1") == ""

    @pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "[", "10.0.0.1"])
    @pytest.mark.parametrize("bound", ["127.0.0.1", "localhost", "::1"])
    def test_names_another_host(self, host: str, bound: str) -> None:
        assert host in foreign_reason(head_with(host=host), bound=bound)

    def test_leaves_the_name_open_if_other_machines_may_call(self) -> None:
        assert foreign_reason(head_with(host="emulator:8900"), bound="0.0.0.0") == ""

    def test_is_empty_without_a_host(self) -> None:
        assert foreign_reason(head_with(), bound="127.0.0.1") == ""

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "file://", "http://["])
    @pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0"])
    def test_names_the_page_of_another_site(self, origin: str, bound: str) -> None:
        head = head_with(host="127.0.0.1:8900", origin=origin)
        assert repr(origin) in foreign_reason(head, bound=bound)

    @pytest.mark.parametrize(
        ("origin", "bound"),
        [("http://localhost:3000", "127.0.0.1"), ("http://192.0.2.7:8900", "192.0.2.7")],
        ids=["loopback", "bound"],
    )
    def test_is_empty_for_pages_of_this_machine(self, origin: str, bound: str) -> None:
        assert foreign_reason(head_with(origin=origin), bound=bound) == ""


class TestIsJson:
    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            ("application/json", True),
            ("Application/JSON; charset=utf-8", True),
            ("text/plain", False),
            ("application/x-www-form-urlencoded", False),
            ("", False),
        ],
    )
    def test_reads_the_content_type(self, kind: str, expected: bool) -> None:
        assert is_json(head_with(content_type=kind)) is expected


class TestBaseUrl:
    @pytest.mark.parametrize(
        ("host", "url"),
        [("127.0.0.1", "http://127.0.0.1:8900"), ("::1", "http://[::1]:8900")],
    )
    def test_can_be_called_by_what_it_names(self, host: str, url: str) -> None:
        assert base_url(host, port=8900) == url
        assert urlsplit(url).hostname == host
