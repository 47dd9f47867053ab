"""Wrong command lines of `textgen_generate`: each names field and rule; none is sent or saved."""

from __future__ import annotations

import io
import json
import sys
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest
from django.core.management import CommandError, call_command

from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation, Media
from tests.bad_requests import BAD_REQUESTS, PNG, PROMPT, BadRequest

pytestmark = pytest.mark.django_db(transaction=True)

MEGABYTE = 1024 * 1024
MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"
HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"
UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"
FILES: dict[str, bytes] = {
    "empty": b"",
    "picture.png": PNG,
    "clip.mp4": MP4,
    "photo.heic": HEIC,
    "words.txt": b"hello there",
    "page.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "page.html": b"<!doctype html><script>1</script>",
    "old.bmp": b"BM" + b"\x00" * 60,
    "sound.mp3": b"ID3\x04" + b"\x00" * 60,
    "cut.json": b'{"type": ',
    "list.json": b"[]",
    "text.json": b'"object"',
    "null.json": b"null",
    "latin.json": b'{"title": "\xff"}',
    "deep.json": b'{"a":' * 100_000,
    "deeper-than-allowed.json": b'{"a":' * 80 + b"1" + b"}" * 80,
    "digits.json": b'{"a": ' + b"9" * 5000 + b"}",
    "unfinite.json": b'{"a": NaN}',
}
SIZES = {"large.png": (PNG, 20 * MEGABYTE + 1), "large.mp4": (MP4, 100 * MEGABYTE + 1)}


class Reported(NamedTuple):
    """How a run ended."""

    code: int
    text: str


class Line(NamedTuple):
    """One wrong command line; `@` before a name stands for the folder of the files."""

    id: str
    arguments: list[str]
    reported: str
    """Words for the field, then those of the rule, as one text holds them."""
    rule: str


LINES = [
    Line("config-nothing", ["--config", ""], "--config", "is not JSON"),
    Line("config-cut", ["--config", '{"seed": '], "--config", "is not JSON"),
    Line("config-bare", ["--config", "temperature=1"], "--config", "is not JSON"),
    Line("config-null", ["--config", "null"], "--config", "must be a JSON object"),
    Line("config-twice", ["--config", '{"seed": 1, "seed": 2}'], "--config", "'seed' twice"),
    Line("config-number", ["--config", "7"], "--config", "must be a JSON object"),
    Line("config-deep", ["--config", '{"a":' * 100_000], "--config", "nested"),
    Line("config-digits", ["--config", f'{{"seed": {"9" * 5000}}}'], "--config", "is not JSON"),
    Line("config-nan", ["--config", '{"temperature": NaN}'], "config.temperature:", "not nan"),
    Line("config-infinite", ["--config", '{"top_p": 1e999}'], "config.top_p:", "not inf"),
    Line("config-no-value", ["--config"], "--config", "expected one argument"),
    Line("json-missing", ["--json", "@none.json"], "--json", "is not a file"),
    Line("json-folder", ["--json", "@"], "--json", "is not a file"),
    Line("json-inline", ["--json", '{"type": "object"}'], "--json", "is not a file"),
    Line("json-long-name", ["--json", "n" * 5000], "--json", "File name too long"),
    Line("json-nul-in-name", ["--json", "a\x00b"], "--json", "is not a file"),
    Line("json-empty", ["--json", "@empty"], "--json", "is not JSON"),
    Line("json-cut", ["--json", "@cut.json"], "--json", "is not JSON"),
    Line("json-list", ["--json", "@list.json"], "--json", "must be a JSON object"),
    Line("json-text", ["--json", "@text.json"], "--json", "must be a JSON object"),
    Line("json-null", ["--json", "@null.json"], "--json", "must be a JSON object"),
    Line("json-latin", ["--json", "@latin.json"], "--json", "cannot be read"),
    Line("json-picture", ["--json", "@picture.png"], "--json", "cannot be read"),
    Line("json-deep", ["--json", "@deep.json"], "--json", "nested"),
    Line("json-digits", ["--json", "@digits.json"], "--json", "is not JSON"),
    Line("json-unfinite", ["--json", "@unfinite.json"], "config.response_json_schema.a:", "finite"),
    Line(
        "json-deeper-than-allowed",
        ["--json", "@deeper-than-allowed.json"],
        "config.response_json_schema:",
        "deeper than 24",
    ),
    Line(
        "json-beside-plain-text",
        ["--json", "@deeper-than-allowed.json", "--config", '{"response_mime_type": "a/b"}'],
        "config.response_mime_type:",
        "text/plain or application/json",
    ),
    Line("image-missing", ["--image", "@none.png"], "--image", "is not a file"),
    Line("image-folder", ["--image", "@"], "--image", "is not a file"),
    Line("image-url", ["--image", "https://a.b/c.png"], "--image", "is not a file"),
    Line("image-long-name", ["--image", "n" * 5000], "--image", "File name too long"),
    Line("image-nul-in-name", ["--image", "a\x00b"], "--image", "is not a file"),
    Line("image-empty", ["--image", "@empty"], "messages[0].content[0].data:", "Is empty"),
    Line("image-words", ["--image", "@words.txt"], "content[0].data:", "first bytes"),
    Line("image-svg", ["--image", "@page.svg"], "content[0].data:", "first bytes"),
    Line("image-html", ["--image", "@page.html"], "content[0].data:", "first bytes"),
    Line("image-bmp", ["--image", "@old.bmp"], "content[0].data:", "first bytes"),
    Line("image-video", ["--image", "@clip.mp4"], "messages[0].content[0].", "video/mp4"),
    Line("image-large", ["--image", "@large.png"], "content[0].data:", "20 MB"),
    Line(
        "image-second",
        ["--image", "@picture.png", "--image", "@words.txt"],
        "messages[0].content[1].data:",
        "first bytes",
    ),
    Line("video-missing", ["--video", "@none.mp4"], "--video", "is not a file"),
    Line("video-folder", ["--video", "@"], "--video", "is not a file"),
    Line("video-empty", ["--video", "@empty"], "messages[0].content[0].data:", "Is empty"),
    Line("video-words", ["--video", "@words.txt"], "content[0].data:", "first bytes"),
    Line("video-sound", ["--video", "@sound.mp3"], "content[0].data:", "first bytes"),
    Line("video-image", ["--video", "@picture.png"], "messages[0].content[0].", "image/png"),
    Line("video-heic", ["--video", "@photo.heic"], "content[0].data:", "first bytes of video/"),
    Line("video-large", ["--video", "@large.mp4"], "content[0].data:", "100 MB"),
    Line("account-unknown", ["--account", "other"], "account:", "an account of the settings"),
    Line("account-empty", ["--account", ""], "account:", "an account of the settings"),
    Line("account-nul", ["--account", "a\x00"], "account:", "an account of the settings"),
    Line("two-ways", ["--stream", "--async"], "--async", "not allowed with"),
    Line("stream-and-attach", ["--stream", "--attach", UNKNOWN], "--attach", "not allowed with"),
    Line("attach-nonsense", ["--attach", "latest"], "'latest'", "no generation"),
    Line("attach-unknown", ["--attach", UNKNOWN], UNKNOWN, "no generation"),
    Line("attach-nul", ["--attach", "\x00"], "\\x00", "no generation"),
    Line("after-alone", ["--after", "3"], "--after", "needs --attach"),
    Line("option-unknown", ["--temperature", "1"], "--temperature", "unrecognized arguments"),
    Line("prompts", ["another prompt"], "another prompt", "unrecognized arguments"),
]
PROMPTS = [
    Line("prompt-empty", [""], "The prompt", "is empty"),
    Line("prompt-of-spaces", [" \n\t"], "The prompt", "is empty"),
]
WAYS = [pytest.param([], id="sync"), pytest.param(["--stream"], id="stream"),
        pytest.param(["--async"], id="async")]  # fmt: skip


def from_table() -> list[tuple[BadRequest, list[str]]]:
    """Return each wrong request that a command line can say, with its arguments."""
    said = [(case, _arguments(case)) for case in BAD_REQUESTS if isinstance(case.body, dict)]
    return [(case, arguments) for case, arguments in said if arguments]


def _arguments(case: BadRequest) -> list[str]:
    root = case.field.split(".")[0]
    value = case.body.get(root)
    if root == "model_name" and isinstance(value, str):
        return ["--model", value]
    if root == "system_instruction" and isinstance(value, str):
        return ["--system", value]
    return ["--config", json.dumps(value)] if root == "config" else []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    for name, (content, size) in SIZES.items():
        with (tmp_path / name).open("wb") as file:
            file.write(content)
            file.truncate(size)
    return tmp_path


def run(*arguments: str) -> Reported:
    out, error = StringIO(), StringIO()
    try:
        call_command("textgen_generate", *arguments, stdout=out, stderr=error)
    except CommandError as refused:
        return Reported(refused.returncode, str(refused))
    except SystemExit as leaving:
        return Reported(int(str(leaving.code)), error.getvalue())
    return Reported(0, out.getvalue())


def assert_untouched(remote: Emulator) -> None:
    assert not remote.requests
    assert not Generation.objects.exists()
    assert not Media.objects.exists()


class TestTable:
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize(
        ("case", "arguments"), [pytest.param(*found, id=found[0].id) for found in from_table()]
    )
    def test_is_told_by_field_and_rule(
        self, remote: Emulator, case: BadRequest, arguments: list[str], way: list[str]
    ) -> None:
        code, text = run(PROMPT, *arguments, *way)
        if case.field == "config":
            assert "--config: must be a JSON object" in text
        else:
            [line] = [line for line in text.splitlines() if line.startswith(f"{case.field}:")]
            assert case.rule in line
        assert code in {1, 2} or "argument --config" in text
        assert PROMPT not in text
        assert_untouched(remote)

    def test_gives_many(self) -> None:
        assert len(from_table()) > 30


class TestCommandLine:
    @pytest.mark.parametrize("line", [pytest.param(line, id=line.id) for line in LINES])
    def test_is_told_by_field_and_rule(self, remote: Emulator, folder: Path, line: Line) -> None:
        reported = run(PROMPT, *_in(folder, line.arguments))
        assert reported.code in {1, 2}
        assert line.reported in reported.text
        assert line.rule in reported.text
        assert PROMPT not in reported.text
        assert_untouched(remote)

    @pytest.mark.parametrize("line", [pytest.param(line, id=line.id) for line in PROMPTS])
    def test_names_the_prompt(self, remote: Emulator, line: Line) -> None:
        reported = run(*line.arguments)
        assert reported.code == 2
        assert line.reported in reported.text
        assert line.rule in reported.text
        assert_untouched(remote)


class TestStandardInput:
    @pytest.mark.parametrize(
        ("piped", "rule"), [(b"", "empty"), (b"\xff\xfe\x00", "UTF-8")], ids=["empty", "latin"]
    )
    def test_is_refused_by_name(
        self, remote: Emulator, monkeypatch: pytest.MonkeyPatch, piped: bytes, rule: str
    ) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(piped), encoding="utf-8"))
        reported = run()
        assert reported.code in {1, 2}
        assert rule in reported.text
        assert_untouched(remote)


def _in(folder: Path, arguments: list[str]) -> list[str]:
    return [
        str(folder / argument[1:]) if argument.startswith("@") else argument
        for argument in arguments
    ]
