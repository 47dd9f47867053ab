"""The proxy of docs/how-to/production.md lets through what the site takes, and no more."""

from __future__ import annotations

import re

from django.conf.global_settings import DATA_UPLOAD_MAX_MEMORY_SIZE

from creatify_textgen.http.parsers import MAX_UPLOAD_BYTES, MULTIPART_ROOM
from creatify_textgen.webhooks.views import MAX_BODY_BYTES
from tests.architecture.source import ROOT

PAGE = (ROOT / "docs/how-to/production.md").read_text(encoding="utf-8")
MEGABYTE = 1024 * 1024


def limit_of(place: str) -> int:
    """Return the bytes that the proxy lets through below a path; "" is the whole site."""
    block = re.search(rf"location [=~]* ?{place}.*?\}}", PAGE, re.DOTALL) if place else None
    text = block[0] if block else PAGE
    found = re.search(r"client_max_body_size (\d+)m;", text)
    assert found
    return int(found[1]) * MEGABYTE


class TestProxy:
    def test_limits_bodies_by_path(self) -> None:
        assert limit_of("/textgen/webhooks/") == MAX_BODY_BYTES
        assert MAX_UPLOAD_BYTES + MULTIPART_ROOM < limit_of("/textgen/media/") <= 110 * MEGABYTE
        assert DATA_UPLOAD_MAX_MEMORY_SIZE < limit_of("") <= 3 * MEGABYTE

    def test_is_trusted_where_it_handles_tls(self) -> None:
        assert "DJANGO_BEHIND_TLS=1" in PAGE
        assert "proxy_set_header X-Forwarded-Proto $scheme;" in PAGE
