"""What a stranger may send: bodies, headers, query strings and paths, each with a name.

None of it is a request that should be granted. Pure data; needs no database.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar
from zlib import crc32

from tests.bad_requests import BAD_REFERENCES, BAD_REQUESTS, PNG

__all__ = [
    "BODIES",
    "FORMS",
    "HEADERS",
    "KEYS",
    "METHODS",
    "PATHS",
    "QUERIES",
    "Attack",
    "PAGE_QUERIES",
    "bodies_for",
    "methods_for",
    "queries_for",
]

JSON = "application/json"
HELLO = {"messages": [{"role": "user", "content": "Hello"}]}
REFUSED = b'{"messages": []}'
"""Well formed, and refused whatever else the request says."""
HUGE = "x" * 3_000_000


@dataclass(frozen=True, slots=True)
class Attack:
    """One request."""

    name: str
    method: str = "POST"
    path: str = ""
    body: bytes = field(default=b"", repr=False)
    content_type: str = JSON
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    """As WSGI has them."""


def _nested(opening: str, closing: str, depth: int, inside: str = "1") -> bytes:
    return (opening * depth + inside + closing * depth).encode()


def _message(content: str) -> bytes:
    return b'{"messages": [{"role": "user", "content": ' + content.encode() + b"}]}"


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "a space": b" ",
    "null": b"null",
    "true": b"true",
    "zero": b"0",
    "minus": b"-",
    "a text": b'"text"',
    "an array": b"[]",
    "an array of requests": json.dumps([HELLO]).encode(),
    "no field": b"{}",
    "no messages": b'{"model_name": "gemini-2.5-flash"}',
    "cut": b'{"messages": [{"role": "user", "cont',
    "cut in an escape": b'{"messages": "\\u00',
    "cut in UTF-8": '{"messages": "é'.encode()[:-1],
    "trailing comma": b'{"messages": [],}',
    "two values": b"{} {}",
    "single quotes": b"{'messages': []}",
    "a comment": b'{"messages": [] /* */}',
    "NUL": b"\x00",
    "NUL inside": b'{"messages": "\x00"}',
    "control characters": bytes(range(1, 32)),
    "not UTF-8": b"\xff\xfe\xfa",
    "Latin-1": '{"messages": "é"}'.encode("latin-1"),
    "UTF-16": json.dumps(HELLO).encode("utf-16"),
    "UTF-32": json.dumps(HELLO).encode("utf-32"),
    "UTF-7": b"+AHs-+ACI-",
    "overlong UTF-8": b'{"messages": "\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"messages": "\xed\xa0\x80"}',
    "a BOM and nothing": b"\xef\xbb\xbf",
    "two BOMs": b"\xef\xbb\xbf\xef\xbb\xbf{}",
    "NaN": b'{"messages": NaN}',
    "Infinity": b'{"messages": [], "config": {"temperature": Infinity}}',
    "minus Infinity": b'{"messages": [], "config": {"temperature": -Infinity}}',
    "1e999": b'{"messages": [], "config": {"temperature": 1e999}}',
    "a long number": b'{"messages": [], "config": {"seed": ' + b"9" * 5000 + b"}}",
    "a longer number": b'{"messages": ' + b"9" * 500_000 + b"}",
    "a long fraction": b'{"messages": [], "config": {"top_p": 0.' + b"1" * 100_000 + b"}}",
    "a leading zero": b'{"messages": 01}',
    "duplicate keys": b'{"messages": [], "messages": [{"role": "user", "content": "Hello"}]}',
    "duplicate keys inside": _message('{"a": 1, "a": 2}'),
    "an empty key": b'{"": 1, "messages": []}',
    "a NUL key": b'{"\\u0000": 1, "messages": []}',
    "a surrogate key": b'{"\\ud800": 1, "messages": []}',
    "a proto key": b'{"__proto__": {"is_staff": true}, "messages": []}',
    "a dunder key": b'{"__class__": "x", "messages": []}',
    "an owner": b'{"owner": 1, "messages": [{"role": "user", "content": "Hello"}]}',
    "a status": b'{"status": "done", "messages": [{"role": "user", "content": "Hello"}]}',
    "an id": b'{"id": "1", "messages": [{"role": "user", "content": "Hello"}]}',
    "another account": b'{"account": "other", "messages": [{"role": "user", "content": "Hello"}]}',
    "a webhook": b'{"webhook_url": "http://x/", "messages": [{"role": "user", "content": "Hi"}]}',
    "deep arrays": _nested("[", "]", 100_000),
    "deep arrays, open": b"[" * 200_000,
    "deep objects": _nested('{"a":', "}", 100_000),
    "deep objects, open": b'{"a":' * 100_000,
    "just too deep": _nested("[", "]", 201),
    "deep and mixed": _nested('[{"a":', "}]", 50_000),
    "deep messages": _message(_nested("[", "]", 150).decode()),
    "deep metadata": b'{"messages": [], "metadata": ' + _nested('{"a":', "}", 150) + b"}",
    "a huge text": json.dumps({"messages": HUGE, "x": 1}).encode(),
    "a huge key": json.dumps({HUGE: 1}).encode(),
    "many keys": json.dumps({f"key {n}": n for n in range(20_000)}).encode(),
    "many messages": json.dumps({"messages": [{"role": "x"}] * 20_000}).encode(),
    "many empty texts": json.dumps({"messages": [""] * 100_000}).encode(),
    "many brackets": b"[" + b"[]," * 100_000 + b"[]]",
    "text that hashes alike": json.dumps({str(n): n for n in range(50_000)}).encode(),
    "a role too many": _message('"Hello", "role": "system"'),
    "content a number": _message("1"),
    "content false": _message("false"),
    "content an object": _message("{}"),
    "a part that is null": _message("[null]"),
    "a part without a type": _message("[{}]"),
    "a part of a wrong type": _message('[{"type": {"a": 1}}]'),
    "a part of two types": _message('[{"type": ["image", "text"]}]'),
    "an image from a URL": _message('[{"type": "image", "url": "http://127.0.0.1:1/"}]'),
    "an image from a file": _message('[{"type": "image", "data": "file:///etc/passwd"}]'),
    "an image by path": _message('[{"type": "image", "media": "../../etc/passwd"}]'),
    "an image by no id": _message('[{"type": "image", "media": {"a": 1}}]'),
    "an image by a wrong id": _message(
        '[{"type": "image", "media": "00000000-0000-0000-0000-000000000000"}]'
    ),
    "an image that is none": _message(
        '[{"type": "image", "mime_type": "image/png", "data": "AAAA"}]'
    ),
    "an image that is HTML": _message(
        '[{"type": "image", "mime_type": "text/html", "data": "PGI+"}]'
    ),
    "base64 that is none": _message('[{"type": "image", "mime_type": "image/png", "data": "%%"}]'),
    "base64 cut": _message('[{"type": "image", "mime_type": "image/png", "data": "iVBOR"}]'),
    "base64 with lines": _message(
        '[{"type": "image", "mime_type": "image/png", "data": "\\n\\n"}]'
    ),
    "base64 a number": _message('[{"type": "image", "mime_type": "image/png", "data": 7}]'),
    "a MIME type of two lines": _message(
        '[{"type": "image", "mime_type": "image/png\\r\\nX: y", "data": "AAAA"}]'
    ),
    "sync a text": b'{"sync": "yes", "messages": [{"role": "user", "content": "Hello"}]}',
    "sync a number": b'{"sync": 1, "messages": [{"role": "user", "content": "Hello"}]}',
    "sync null": b'{"sync": null, "messages": []}',
    "an XML entity": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>',
    "a form": b"messages=Hello&sync=true",
    "a pickle": b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.",
    "gzip": bytes.fromhex("1f8b0800000000000003ab5600003e7a2b0d02000000"),
    "a template": b'{"messages": "{{ settings.SECRET_KEY }} {% debug %} ${7*7} %s %n", "x": 1}',
    "SQL": b'{"messages": "\'; DROP TABLE creatify_textgen_generation; --", "x": 1}',
}
"""Of a request that must not be granted, posted as JSON."""

for _case in (*BAD_REQUESTS, *BAD_REFERENCES):
    BODIES[f"wrong: {_case.id}"] = json.dumps(_case.body).encode()


def _multipart(disposition: str, content: bytes = PNG, mime_type: str = "image/png") -> bytes:
    head = f"--b\r\nContent-Disposition: {disposition}\r\nContent-Type: {mime_type}\r\n\r\n"
    return head.encode("utf-8", "surrogateescape") + content + b"\r\n--b--\r\n"


FILE = 'form-data; name="file"; filename="a.png"'
FORMS: dict[str, tuple[str, bytes]] = {
    "no boundary": ("multipart/form-data", _multipart(FILE)),
    "an empty boundary": ("multipart/form-data; boundary=", _multipart(FILE)),
    "a boundary of quotes": ('multipart/form-data; boundary="', _multipart(FILE)),
    "another boundary": ("multipart/form-data; boundary=c", _multipart(FILE)),
    "a long boundary": (f"multipart/form-data; boundary={'b' * 300}", _multipart(FILE)),
    "a boundary not ASCII": ("multipart/form-data; boundary=é", _multipart(FILE)),
    "nothing": ("multipart/form-data; boundary=b", b""),
    "no end": ("multipart/form-data; boundary=b", _multipart(FILE)[:-10]),
    "no head": ("multipart/form-data; boundary=b", b"--b\r\n\r\n" + PNG + b"\r\n--b--\r\n"),
    "another field": (
        "multipart/form-data; boundary=b",
        _multipart('form-data; name="files"; filename="a.png"'),
    ),
    "a field that is no file": (
        "multipart/form-data; boundary=b",
        _multipart('form-data; name="file"'),
    ),
    "a file without a name": (
        "multipart/form-data; boundary=b",
        _multipart('form-data; name="file"; filename=""'),
    ),
    "an empty file": ("multipart/form-data; boundary=b", _multipart(FILE, b"")),
    "HTML": ("multipart/form-data; boundary=b", _multipart(FILE, b"<script>alert(1)</script>")),
    "SVG": ("multipart/form-data; boundary=b", _multipart(FILE, b"<svg/>", "image/svg+xml")),
    "a type of another kind": (
        "multipart/form-data; boundary=b",
        _multipart(FILE, PNG, "video/mp4"),
    ),
    "a type of no kind": ("multipart/form-data; boundary=b", _multipart(FILE, PNG, "x" * 5000)),
    "only the first bytes": ("multipart/form-data; boundary=b", _multipart(FILE, PNG[:4])),
    "many fields": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * 1500 + b"--b--\r\n",
    ),
    "many files": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\n1\r\n' * 150
        + b"--b--\r\n",
    ),
    "a large field": (
        "multipart/form-data; boundary=b",
        _multipart('form-data; name="a"', HUGE.encode(), "text/plain"),
    ),
    "base64 that is none": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n!!!\r\n--b--\r\n",
    ),
    "JSON": (JSON, b"{}"),
    "raw": ("image/png", PNG),
}
"""Uploads that must not be kept."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "get", "")

HEADERS: dict[str, dict[str, str]] = {
    "no content type": {"CONTENT_TYPE": ""},
    **{
        f"content type {text[:40]!r}": {"CONTENT_TYPE": text}
        for text in (
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "multipart/form-data; boundary=b",
            "application/json; charset=utf-16",
            "application/json; charset=nonsense",
            "application/json; charset=",
            "application/json;;;=;",
            "APPLICATION/JSON",
            "application/json, text/plain",
            "a/b/c",
            "/",
            ";",
            "\xff\xfe",
            "x" * 10_000,
        )
    },
    **{
        f"accept {text[:40]!r}": {"HTTP_ACCEPT": text}
        for text in (
            "",
            "text/html",
            "image/*",
            "*/*;q=nan",
            "application/json;version=999",
            "a/b;" * 2000,
            ",,,,",
            "\xff",
        )
    },
    **{
        f"{name} {text[:30]!r} {len(text)}": {name: text}
        for name, texts in {
            "CONTENT_LENGTH": (
                "-1",
                "abc",
                "1e3",
                "\xd9\xa3",
                "\xb2",
                "9" * 5000,
                " ",
                "99999999999999999999",
                "0x10",
            ),
            "HTTP_COOKIE": (
                "sessionid=x",
                "sessionid=" + "x" * 5000,
                "sessionid=\x00",
                "sessionid=../../etc/passwd",
                "=;=;=",
                "csrftoken=\xff; messages=[[",
                "messages=" + "%5B" * 500,
                ";" * 5000,
            ),
            "HTTP_AUTHORIZATION": (
                "Basic",
                "Basic !!!",
                "Basic Og==",
                "Basic \xff",
                "Bearer x",
                "Token \x00",
                "x" * 10_000,
            ),
            "HTTP_LAST_EVENT_ID": (
                "end",
                "x",
                "-1",
                "1e9",
                "0",
                "99999999999999999999999999",
                "1:2:3",
                "\x00",
                "\xff",
                "\xd9\xa3",
                "9" * 10_000,
            ),
            "HTTP_RANGE": (
                "bytes=0-",
                "bytes=-0",
                "bytes=5-1",
                "bytes=" + "0-1," * 2000,
                "bytes=99999999999999999999999-",
                "lines=1",
                "bytes=\xff",
            ),
            "HTTP_HOST": ("", "a b", "[::1", "x" * 300, "evil.example:99999", "\xff"),
            "HTTP_TRANSFER_ENCODING": ("chunked", "gzip, chunked", "nonsense"),
            "HTTP_CONTENT_ENCODING": ("gzip", "br", "nonsense"),
            "HTTP_EXPECT": ("100-continue", "nonsense"),
            "HTTP_X_HTTP_METHOD_OVERRIDE": ("DELETE", "PUT"),
            "HTTP_X_FORWARDED_FOR": ("127.0.0.1, x" * 500, "\x00"),
            "HTTP_X_FORWARDED_HOST": ("evil.example", "a b"),
            "HTTP_X_CSRFTOKEN": ("x", "x" * 64, "\xff"),
            "HTTP_ACCEPT_LANGUAGE": ("xx-" * 2000, "de;q=nan", "*", "../../x", "\x00"),
            "HTTP_IF_NONE_MATCH": ('"', "*", "W/" * 1000),
            "HTTP_IF_MODIFIED_SINCE": ("yesterday", "Sun, 99 Nov 99999 99:99:99 GMT", "\xff"),
            "HTTP_ORIGIN": ("null", "http://evil.example", "http://[", "\xff"),
            "HTTP_REFERER": ("http://[", "\xff", "x" * 10_000),
            "HTTP_USER_AGENT": ("", "\xff", "() { :; }; echo", "x" * 10_000),
        }.items()
        for text in texts
    },
}
"""Beside a body that is refused, or none."""

KEYS = ("", "\t", "x" * 256, "x" * 100_000, "a\x00b", "a\x7f", "\x85", "\xad")
"""Idempotency-Keys that are none, beside a request that would be granted."""

_ODD = (
    "",
    "%00",
    "%FF",
    "x",
    "-1",
    "0",
    "1e9",
    "9" * 40,
    "[]",
    "%0A",
    "%D9%A3",
    "None",
    "'",
    "%25s",
)
_NAMES = (
    "status",
    "mode",
    "model_name",
    "created_after",
    "owner",
    "search",
    "ordering",
    "cursor",
    "page_size",
    "format",
    "since",
    "all",
    "after",
    "ticket",
)
_PAGE_NAMES = (
    "q",
    "p",
    "o",
    "e",
    "_facets",
    "_to_field",
    "created_at__year",
    "created_at__gte",
    "status__exact",
    "owner__password__startswith",
    "content__messages__icontains",
    "media__id__exact",
    "account",
    "period",
    "day__month",
)


def _queries(names: tuple[str, ...]) -> dict[str, str]:
    return {f"{name}={text}": f"{name}={text}" for name in names for text in _ODD}


QUERIES: dict[str, str] = {
    **_queries(_NAMES),
    "two of each": "&".join(f"{name}=1&{name}=2" for name in (*_NAMES, *_PAGE_NAMES)),
    "no name": "=&&==&",
    "many": "&".join(f"a{number}=1" for number in range(1500)),
    "long": "search=" + "x" * 20_000,
    "a spoiled cursor": "cursor=cD0yMDI2LTEx",
    "a cursor with a NUL": "cursor=cD0lMDA%3D",
    "a cursor far off": "cursor=bz05OTk5OTk5OTk5OTk5OTk5OTk5",
    "year 0": "created_after=0000-01-01T00:00:00Z",
    "year 9999": "created_before=9999-12-31T23:59:59-23:59",
    "year 1": "created_after=0001-01-01T00:00:00%2B23:59",
    "a day that is none": "since=2026-02-30",
    "not UTF-8": "search=%C3%28",
    "a surrogate": "search=%ED%A0%80",
    "broken escapes": "search=%%%G1%",
}
"""Of a page or a list."""
PAGE_QUERIES: dict[str, str] = _queries(_PAGE_NAMES)
"""Of a page of the admin."""

_ID = "01a20000-0000-7000-8000-000000000000"
PATHS: tuple[str, ...] = tuple(
    f"{root}{rest}"
    for root in ("generations/", "media/", "webhooks/", "generations/stream/", "credits/")
    for rest in (
        "../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e/",
        "%00/",
        "%FF%FE/",
        "//",
        "1/",
        "None/",
        f"{_ID}",
        f"{_ID.upper()}/",
        f"{_ID.replace('-', '')}/",
        f"{{{_ID}}}/",
        f"{_ID}/",
        f"{_ID}%0a/",
        f"{_ID}/{'a' * 32}/",
        f"{_ID}/{'a' * 32}/x/",
        f"{_ID}/%00/",
        f"{_ID}/é/",
        f"{_ID}/{'x' * 3000}/",
        f"{_ID}/stream/",
        f"{_ID}/ticket/",
        f"{_ID}/refresh/",
        f"{_ID}/delete/",
        "?" * 50,
        "x" * 5000 + "/",
    )
)


T = TypeVar("T")
SHARE = int(os.environ.get("ABUSE_SHARE", "4"))
"""One of so many attacks is sent to each URL; `make properties` sends all."""


def share_of(attacks: Iterable[T], path: str) -> Iterator[T]:
    """Yield this path's share of the attacks; the same in each run, though ids differ."""
    number = crc32(re.sub(r"[0-9a-f-]{36}", "", path).encode())
    return islice(attacks, number % SHARE, None, SHARE)


def bodies_for(path: str) -> Iterator[Attack]:
    """Yield what is sent to a URL that takes bodies."""
    return share_of(_bodies_for(path), path)


def _bodies_for(path: str) -> Iterator[Attack]:
    for name, body in BODIES.items():
        yield Attack(f"body: {name}", path=path, body=body)
    for name, (content_type, body) in FORMS.items():
        yield Attack(f"form: {name}", path=path, body=body, content_type=content_type)
    for name, headers in HEADERS.items():
        yield Attack(f"header: {name}", path=path, body=REFUSED, headers=headers)


def queries_for(path: str, queries: Mapping[str, str]) -> Iterator[Attack]:
    """Yield what is sent to a URL that is looked at."""
    return share_of(_queries_for(path, queries), path)


def _queries_for(path: str, queries: Mapping[str, str]) -> Iterator[Attack]:
    for name, headers in HEADERS.items():
        yield Attack(f"header: {name} (GET)", "GET", path, headers=headers, content_type="")
    for name, query in queries.items():
        yield Attack(f"query: {name}", "GET", path, query=query, content_type="")


def methods_for(path: str) -> Iterator[Attack]:
    for method in METHODS:
        yield Attack(f"method: {method}", method, path, REFUSED)
