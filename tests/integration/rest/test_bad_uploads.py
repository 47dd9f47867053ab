"""Wrong uploads to POST media/: each refused by name, no row and no file left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from rest_framework.test import APIClient

from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Media
from tests.bad_requests import PNG

URL = "/textgen/media/"
MEGABYTE = 1024 * 1024
FORM = "multipart/form-data; boundary=b"
MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + b"\x00" * 40
BMP = b"BM" + b"\x00" * 40
PDF = b"%PDF-1.7\n" + b"\x00" * 40
ZIP = b"PK\x03\x04" + b"\x00" * 40
ELF = b"\x7fELF" + b"\x00" * 40
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'/>"


class Upload(NamedTuple):
    """One wrong file in a form that is right."""

    id: str
    content: bytes
    mime_type: str
    field: str
    rule: str


class Form(NamedTuple):
    """One wrong form, to the byte."""

    id: str
    body: bytes
    content_type: str
    status: int
    rule: str
    headers: dict[str, str] = {}


FILES = [
    Upload("nothing", b"", "image/png", "file", "Is empty"),
    Upload("nothing-untyped", b"", "application/octet-stream", "file", "Is empty"),
    Upload("spaces", b" \n ", "image/png", "file", "first bytes"),
    Upload("nul", b"\x00" * 64, "image/png", "file", "first bytes"),
    Upload("one-byte", PNG[:1], "image/png", "file", "first bytes"),
    Upload("cut-signature", PNG[:7], "image/png", "file", "first bytes"),
    Upload("cut-mp4", MP4[:7], "video/mp4", "file", "first bytes"),
    Upload("shifted", b" " + PNG, "image/png", "file", "first bytes"),
    Upload("base64", b"iVBORw0KGgoAAAANSUhEUgAA", "image/png", "file", "first bytes"),
    Upload("html", b"<!doctype html><script>1</script>", "image/png", "file", "first bytes"),
    Upload("html-untyped", b"<html>", "", "file", "first bytes"),
    Upload("bmp", BMP, "image/png", "file", "first bytes"),
    Upload("pdf", PDF, "image/jpeg", "file", "first bytes"),
    Upload("zip", ZIP, "video/mp4", "file", "first bytes"),
    Upload("program", ELF, "application/octet-stream", "file", "first bytes"),
    Upload("json", b'{"type": "image"}', "image/png", "file", "first bytes"),
    Upload("says-jpeg", PNG, "image/jpeg", "mime_type", "the content is image/png"),
    Upload("says-png", JPEG, "image/png", "mime_type", "the content is image/jpeg"),
    Upload("says-webp", PNG, "image/webp", "mime_type", "the content is image/png"),
    Upload("says-video", PNG, "video/mp4", "mime_type", "image/png"),
    Upload("says-image", MP4, "image/png", "mime_type", "video/mp4"),
    Upload("bmp-as-bmp", BMP, "image/bmp", "mime_type", "one of"),
    Upload("svg-as-svg", SVG, "image/svg+xml", "mime_type", "one of"),
    Upload("pdf-as-pdf", PDF, "application/pdf", "mime_type", "one of"),
    Upload("text-as-text", b"hello", "text/plain", "mime_type", "one of"),
    Upload("sound", b"ID3\x04" + b"\x00" * 40, "audio/mpeg", "mime_type", "one of"),
    Upload("nonsense", PNG, "nonsense", "mime_type", "one of"),
    Upload("any-image", PNG, "image/*", "mime_type", "one of"),
    Upload("large-image", PNG + b"\x00" * 20 * MEGABYTE, "image/png", "file", "20 MB"),
]


def form(head: str, *, content: bytes = PNG, end: bytes = b"\r\n--b--\r\n") -> bytes:
    """Return a form of one part with this head."""
    return b"--b\r\n" + head.encode("utf-8", "surrogateescape") + b"\r\n\r\n" + content + end


def disposition(rest: str) -> str:
    return f"Content-Disposition: form-data{rest}"


LENGTH = "CONTENT_LENGTH"
FORMS = [
    Form("json", b"{}", "application/json", 415, "application/json"),
    Form("bare-image", PNG, "image/png", 415, "image/png"),
    Form("urlencoded", b"file=x", "application/x-www-form-urlencoded", 415, "urlencoded"),
    Form("untyped", PNG, "", 415, ""),
    Form("no-boundary", b"x", "multipart/form-data", 400, "boundary"),
    Form("empty-boundary", b"x", "multipart/form-data; boundary=", 400, "boundary"),
    Form("long-boundary", b"x", f"multipart/form-data; boundary={'b' * 300}", 400, "boundary"),
    Form("boundary-not-ascii", b"x", "multipart/form-data; boundary=\u00fc", 400, ""),
    Form("other-boundary", form(disposition('; name="file"')), f"{FORM}c", 400, "file"),
    Form("no-form", b"x", FORM, 400, "file"),
    Form("nothing", b"", FORM, 400, "file"),
    Form("end-alone", b"--b--\r\n", FORM, 400, "file"),
    Form("head-cut", b"--b\r\nContent-Disp", FORM, 400, "file"),
    Form("headless", b"--b\r\n\r\n" + PNG + b"\r\n--b--\r\n", FORM, 400, "file"),
    Form("nameless", form(disposition('; filename="a.png"')), FORM, 400, "file"),
    Form("field-not-file", form(disposition('; name="file"'), content=b"x"), FORM, 400, "file"),
    Form("empty-name", form(disposition('; name=""; filename="a.png"')), FORM, 400, "file"),
    Form("other-name", form(disposition('; name="image"; filename="a.png"')), FORM, 400, "file"),
    Form("other-case", form(disposition('; name="File"; filename="a.png"')), FORM, 400, "file"),
    Form("list-name", form(disposition('; name="file[]"; filename="a.png"')), FORM, 400, "file"),
    Form("nul-in-name", form(disposition('; name="fi\x00le"; filename="a"')), FORM, 400, "file"),
    Form("surrogate-name", form(disposition('; name="\udcff"; filename="a"')), FORM, 400, "file"),
    Form("no-filename", form(disposition('; name="file"; filename=""')), FORM, 400, "file"),
    Form(
        "wrong-base64",
        form(
            disposition('; name="file"; filename="a.png"')
            + "\r\nContent-Transfer-Encoding: base64",
            content=b"!" * 7,
        ),
        FORM,
        400,
        "",
    ),
    Form("too-long", b"x", FORM, 413, "100 MB", {LENGTH: str(200 * MEGABYTE)}),
    Form("far-too-long", b"x", FORM, 413, "100 MB", {LENGTH: "9" * 30}),
    Form("negative-length", b"x", FORM, 400, "", {LENGTH: "-1"}),
    Form("no-number-for-length", b"x", FORM, 400, "", {LENGTH: "many"}),
    Form("many-fields", b"".join(form(disposition('; name="f"'), content=b"", end=b"\r\n")
         for _ in range(1200)) + b"--b--\r\n", FORM, 400, "NUMBER_FIELDS"),
    Form("many-files", b"".join(form(disposition(f'; name="f{n}"; filename="a"'), end=b"\r\n")
         for n in range(120)) + b"--b--\r\n", FORM, 400, "NUMBER_FILES"),
]  # fmt: skip
NAMES = [
    *("\x00", "a\x00.png", "../../etc/passwd", "/etc/passwd", "..\\..\\a.png", "a" * 3000),
    *("\udcff.png", "a\u202egnp.exe", "con.png", "<script>.png", "%00.png", "..", "."),
]


@pytest.fixture(autouse=True)
def _storage(settings: Any, tmp_path: Path) -> None:
    backend = "django.core.files.storage.FileSystemStorage"
    default = {"BACKEND": backend, "OPTIONS": {"location": str(tmp_path)}}
    settings.STORAGES = {**settings.STORAGES, "default": default}


def post(api: APIClient, body: Any, content_type: str = FORM, **headers: Any) -> Any:
    return api.generic("POST", URL, body, content_type, **headers)


def assert_untouched(remote: Emulator, folder: Path) -> None:
    assert not Media.objects.exists()
    assert not [path for path in folder.rglob("*") if path.is_file()]
    assert not remote.requests


class TestFile:
    @pytest.mark.parametrize("upload", [pytest.param(case, id=case.id) for case in FILES])
    def test_is_refused_by_field_and_rule(
        self, api: APIClient, remote: Emulator, tmp_path: Path, upload: Upload
    ) -> None:
        head = disposition('; name="file"; filename="a.png"')
        body = form(f"{head}\r\nContent-Type: {upload.mime_type}", content=upload.content)
        response = post(api, body)
        assert response.status_code == 400
        assert upload.rule in " ".join(response.json()["errors"][upload.field])
        assert_untouched(remote, tmp_path)

    def test_is_refused_too_where_a_right_one_follows_under_another_name(
        self, api: APIClient, remote: Emulator, tmp_path: Path
    ) -> None:
        wrong = form(disposition('; name="file"; filename="a"'), content=BMP, end=b"\r\n")
        right = form(disposition('; name="second"; filename="a.png"'))
        assert post(api, wrong + right).status_code == 400
        assert_untouched(remote, tmp_path)

    @pytest.mark.parametrize("name", NAMES, ids=[f"name-{n}" for n in range(len(NAMES))])
    def test_has_a_name_that_decides_nothing(
        self, api: APIClient, remote: Emulator, tmp_path: Path, name: str
    ) -> None:
        response = post(api, form(disposition(f'; name="file"; filename="{name}"')))
        assert response.status_code in {201, 400}
        assert (
            len([path for path in tmp_path.rglob("*") if path.is_file()]) == Media.objects.count()
        )
        assert Media.objects.count() == (response.status_code == 201)
        assert all(name not in media.path for media in Media.objects.all() if len(name) > 2)


class TestForm:
    @pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in FORMS])
    def test_is_refused_by_name(
        self, api: APIClient, remote: Emulator, tmp_path: Path, case: Form
    ) -> None:
        response = post(api, case.body, case.content_type, **case.headers)
        assert response.status_code == case.status
        assert case.rule in response.json()["error"]
        assert response.json()["code"]
        assert_untouched(remote, tmp_path)
