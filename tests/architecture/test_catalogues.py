"""The catalogues hold what the package says, all of it, translated, with the same placeholders.

After a change of a text, `make messages` updates them; the translation is written by hand.
"""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterable

import pytest
from babel.messages.catalog import Message

from tests.architecture.source import package_modules
from tests.catalogues import LANGUAGES, path_of, read, texts_of_package, untranslated

PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[sd]|\{\w*\}|</?\w+")
FORMS_WITHOUT_NUMBER = {"%(counter)s", "%(count)d", "%(count)s", "%d"}
"""A form that stands for one number only, as in "The original cost …", need not repeat it."""

every_language = pytest.mark.parametrize("language", LANGUAGES)


def as_texts(value: object) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())  # type: ignore[call-overload]


def placeholders(text: str) -> list[str]:
    return sorted(PLACEHOLDER.findall(text))


def without_number(found: Iterable[str]) -> list[str]:
    return [one for one in found if one not in FORMS_WITHOUT_NUMBER]


def differs(message: Message) -> bool:
    texts, forms = as_texts(message.id), as_texts(message.string)
    if len(texts) == 1:
        return placeholders(texts[0]) != placeholders(forms[0])
    whole = placeholders(texts[1])
    last = placeholders(forms[-1]) != whole
    return last or any(without_number(placeholders(f)) != without_number(whole) for f in forms)


FOR_PEOPLE = {
    "AuthenticationFailed",
    "NotFound",
    "PermissionDenied",
    "PolicyRefusal",
    "TransitionError",
}
"""Errors that users of a site can cause. Those about the form of a request stay in English."""
PIECE = re.compile(r"(?:is|are|was|were|and|or|but) .+\.")


def is_plain(call: ast.AST) -> bool:
    """Whether it makes an error for people from a text that is in no catalogue."""
    is_error = isinstance(call, ast.Call) and getattr(call.func, "id", "") in FOR_PEOPLE
    return is_error and bool(call.args) and isinstance(call.args[0], ast.Constant | ast.JoinedStr)


class TestText:
    def test_of_an_error_for_people_can_be_translated(self) -> None:
        found = [
            f"{module.name}:{node.lineno}"
            for module in package_modules()
            for node in ast.walk(module.tree)
            if is_plain(node)
        ]
        assert found == []

    def test_is_a_whole_sentence(self) -> None:
        """Other languages put its pieces in another order."""
        texts = texts_of_package()
        assert [text for text in texts if PIECE.match(as_texts(text)[0])] == []


@every_language
class TestCatalogue:
    def test_has_the_texts_of_the_package(self, language: str) -> None:
        written = {message.id for message in read(language) if message.id}
        found = set(texts_of_package())
        assert (written - found, found - written) == (set(), set()), "run `make messages`"

    def test_translates_each(self, language: str) -> None:
        assert untranslated(read(language)) == []

    def test_is_sure_of_each(self, language: str) -> None:
        assert [message.id for message in read(language) if message.id and message.fuzzy] == []

    def test_keeps_the_placeholders(self, language: str) -> None:
        assert [m.id for m in read(language) if m.id and differs(m)] == []

    def test_is_compiled(self, language: str) -> None:
        with path_of(language, "mo").open("rb") as file:
            compiled = gettext.GNUTranslations(file)
        catalog = read(language)
        for message in catalog:
            if not message.id:
                continue
            texts, forms = as_texts(message.id), as_texts(message.string)
            if len(texts) == 1:
                assert compiled.gettext(texts[0]) == forms[0], "run `make messages`"
            else:
                shown = {compiled.ngettext(*texts, number) for number in range(200)}
                assert shown <= set(forms), "run `make messages`"

    def test_begins_with_its_glossary(self, language: str) -> None:
        assert "# generation: " in read(language).header_comment


class TestArabic:
    def test_has_six_forms(self) -> None:
        messages = [m for m in read("ar") if isinstance(m.id, tuple)]
        assert messages
        assert {len(m.string) for m in messages} == {6}
