"""What the package says to people, and the catalogues that translate it.

`python -m tests.catalogues` adds what is new to each catalogue, marks what is gone, and compiles
them. Needs Babel, and no GNU gettext: Django itself parses its templates.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import django
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.apps import apps
from django.template.loader import get_template
from django.templatetags.i18n import BlockTranslateNode, TranslateNode
from django.utils.translation import override

PACKAGE = Path(__file__).parent.parent / "creatify_textgen"
LANGUAGES = ("ar", "de", "es", "fr")
FUNCTIONS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy"}
VOLATILE_HEADERS = (
    *(b'"POT-Creation-Date', b'"PO-Revision-Date', b'"Generated-By'),
    *(b'"Last-Translator', b'"Language-Team', b'"Report-Msgid-Bugs-To'),
)
ALWAYS = datetime(2026, 1, 1, tzinfo=UTC)
"""Dates and names would change the files with each update."""

Text = str | tuple[str, str]
"""A text, or its singular and plural."""


def path_of(language: str, kind: str = "po") -> Path:
    return PACKAGE / "locale" / language / "LC_MESSAGES" / f"django.{kind}"


def read(language: str) -> Catalog:
    with path_of(language).open("rb") as file:
        return read_po(file, locale=language)


def texts_of_package() -> dict[Text, list[str]]:
    """Return each text with the files that have it, templates and labels of columns included."""
    found: dict[Text, set[str]] = {}
    for text, place in (*_in_modules(), *_in_templates(), *_in_columns()):
        found.setdefault(text, set()).add(place)
    return {text: sorted(places) for text, places in found.items()}


def _in_modules() -> Iterator[tuple[Text, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if "migrations" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and (text := _text_of(node)):
                yield text, path.relative_to(PACKAGE).as_posix()


def _text_of(call: ast.Call) -> Text | None:
    if not isinstance(call.func, ast.Name) or call.func.id not in FUNCTIONS:
        return None
    words = [arg.value for arg in call.args[:2] if isinstance(arg, ast.Constant)]
    if call.func.id.startswith("ngettext"):
        return words[0], words[1]
    return words[0] if words else None


def _in_templates() -> Iterator[tuple[Text, str]]:
    folder = PACKAGE / "templates"
    for path in sorted(folder.rglob("*.html")):
        name = path.relative_to(folder).as_posix()
        nodes = get_template(name).template.nodelist
        for node in nodes.get_nodes_by_type(TranslateNode):
            yield node.filter_expression.var.literal, f"templates/{name}"
        for node in nodes.get_nodes_by_type(BlockTranslateNode):
            singular = node.render_token_list(node.singular)[0]
            plural = node.render_token_list(node.plural)[0] if node.plural else None
            yield (singular, plural) if plural else singular, f"templates/{name}"


def _in_columns() -> Iterator[tuple[Text, str]]:
    with override("en"):
        yield from [(label, "models") for label in _labels()]


def _labels() -> Iterator[str]:
    for model in apps.get_app_config("creatify_textgen").get_models():
        for field in model._meta.get_fields():
            if getattr(field, "verbose_name", None) and field.concrete:
                yield str(field.verbose_name)


def update(language: str) -> Catalog:
    """Return the language's catalogue with exactly the texts of the package, sorted."""
    known = read(language) if path_of(language).exists() else Catalog(locale=language)
    catalog = Catalog(
        locale=language,
        project="creatify_textgen",
        version="1",
        # It begins with the glossary of the language.
        header_comment=known.header_comment,
        charset="utf-8",
        creation_date=ALWAYS,
        fuzzy=False,
    )
    for text, places in sorted(texts_of_package().items(), key=lambda item: str(item[0])):
        message = known.get(text if isinstance(text, str) else text[0])
        empty: str | tuple[str, ...] = "" if isinstance(text, str) else ("",) * known.num_plurals
        translation = message.string if message and message.id == text else empty
        catalog.add(
            text, translation, locations=[(place, None) for place in places], flags=_flags(text)
        )
    return catalog


def _flags(text: Text) -> set[str]:
    shown = text if isinstance(text, str) else text[1]
    return {"python-format"} if "%(" in shown else set()


def save(catalog: Catalog, language: str) -> None:
    path = path_of(language)
    path.parent.mkdir(parents=True, exist_ok=True)
    written = BytesIO()
    write_po(written, catalog, width=100, include_lineno=False)
    head, blank, body = written.getvalue().partition(b"\n\n")
    path.write_bytes(b"".join(_kept(head + b"\n")).rstrip(b"\n") + blank + body)
    with path_of(language, "mo").open("wb") as file:
        write_mo(file, catalog)


def _kept(head: bytes) -> list[bytes]:
    lines = head.splitlines(keepends=True)
    return [line for line in lines if not line.startswith(VOLATILE_HEADERS)]


def untranslated(catalog: Catalog) -> list[Text]:
    """Return what has no translation, or not all forms of its plural."""
    return [
        message.id
        for message in catalog
        if message.id
        and not all([message.string] if isinstance(message.string, str) else message.string)
    ]


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    for language in LANGUAGES:
        catalog = update(language)
        save(catalog, language)
        missing = len(untranslated(catalog))
        sys.stdout.write(f"{language}: {len(catalog)} texts, {missing} to translate\n")


if __name__ == "__main__":
    main()
