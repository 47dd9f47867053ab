"""A generation's content as blocks: what a citation may link to."""

from __future__ import annotations

from typing import Any

import pytest

from creatify_textgen.admin.conversation import Citation, read_conversation
from creatify_textgen.models import GenerationContent


def citation_of(uri: Any) -> Citation:
    content = GenerationContent(messages=[], citations=[{"title": "A page", "uri": uri}])
    (citation,) = read_conversation(content, media={}).citations
    return citation


class TestCitation:
    @pytest.mark.parametrize(
        "uri",
        [
            "https://example.com/",
            "http://example.com:8080/a?b=c#d",
            "https://[2001:db8::1]/",
            "https://example.com/\u05e9\u05dc\u05d5\u05dd",
        ],
    )
    def test_links_to_a_web_address(self, uri: str) -> None:
        assert citation_of(uri).link == uri

    @pytest.mark.parametrize(
        ("uri", "shown"),
        [
            ("https://\u0430\u0440\u0440\u04cf\u0435.com/", "https://xn--80ak6aa92e.com/"),
            ("https://m\u00fcnchen.de:8443/x", "https://xn--mnchen-3ya.de:8443/x"),
        ],
    )
    def test_shows_a_host_as_what_it_is(self, uri: str, shown: str) -> None:
        citation = citation_of(uri)
        assert (citation.uri, citation.link) == (shown, shown)

    @pytest.mark.parametrize(
        "uri",
        [
            "javascript:alert(1)",
            "data:text/html,x",
            "//example.com/",
            "https:///path",
            "https://apple.com@example.com/",
            "https://apple.com:x@example.com/",
            "https://example.com:port/",
            "https://[::1/",
            "https://example.com/\u202egnp.exe",
            "https://exa\u200bmple.com/",
            "https://" + "a" * 64 + ".com/",
            "https://example.com/" + "x" * 2_000,
            None,
            7,
        ],
    )
    def test_leaves_anything_else_as_text(self, uri: Any) -> None:
        citation = citation_of(uri)
        assert citation.link == ""
        assert "\u202e" not in citation.uri
