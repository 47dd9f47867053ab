"""The reference names every public name, and prints the signatures of `chat` as they are."""

from __future__ import annotations

import importlib
import inspect
import re
import typing
from collections.abc import Callable
from typing import Any

import pytest

from creatify_textgen import chat
from creatify_textgen.chat.running import RunOptions
from creatify_textgen.types import TurnOptions
from tests.architecture.source import ROOT

FOLDER = ROOT / "docs" / "reference"
ROOMS = ["chat", "emulator", "exceptions", "services", "signals", "testing"]
CODE = re.compile(r"`([^`\n]+)`")
CALL = re.compile(r"^\| `([\w.]+)(\(.*?\))` \|", re.MULTILINE)


def named() -> set[str]:
    """Return every word that stands in code somewhere in the reference."""
    pages = [page.read_text(encoding="utf-8") for page in FOLDER.glob("*.md")]
    return {word for page in pages for code in CODE.findall(page) for word in _words(code)}


def _words(code: str) -> list[str]:
    return re.findall(r"\w+", code)


def printed_calls() -> dict[str, str]:
    """Return the signature of each call in the tables of the page about `chat`."""
    return dict(CALL.findall((FOLDER / "chat.md").read_text(encoding="utf-8")))


def real_signature(function: Callable[..., Any]) -> str:
    parameters = inspect.signature(function).parameters.values()
    plain = [
        each.replace(annotation=inspect.Parameter.empty)
        for each in parameters
        if each.name != "self"
    ]
    return str(inspect.Signature(plain)).replace("'", '"')


@pytest.mark.parametrize("room", ROOMS)
def test_names_every_public_name(room: str) -> None:
    module = importlib.import_module(f"creatify_textgen.{room}")
    assert set(module.__all__) - named() == set()


class TestChat:
    def test_prints_signatures_as_they_are(self) -> None:
        wrong = {}
        for name, printed in printed_calls().items():
            owner = chat if hasattr(chat, name.split(".")[0]) else chat.Conversation
            function = owner
            for step in name.split("."):
                function = getattr(function, step)
            if (real := real_signature(typing.cast("Any", function))) != printed:
                wrong[name] = real
        assert wrong == {}

    def test_prints_every_function(self) -> None:
        functions = {name for name in chat.__all__ if inspect.isfunction(getattr(chat, name))}
        # The page says of these that they do the same as their twins.
        assert functions - printed_calls().keys() == {"arun", "asubmit_run"}

    @pytest.mark.parametrize("options", [TurnOptions, RunOptions])
    def test_names_every_option(self, options: Any) -> None:
        page = (FOLDER / "chat.md").read_text(encoding="utf-8")
        rows = [row for row in page.splitlines() if row.startswith("| `options` |")]
        assert any(set(options.__annotations__) <= set(_words(row)) for row in rows)
