"""A function's declaration from its signature, hints and docstring."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache, partial
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field

from creatify_textgen.chat import declare, inlined
from creatify_textgen.chat.toolbox import Toolbox
from creatify_textgen.exceptions import RequestError
from creatify_textgen.intake.reading import Reader
from creatify_textgen.intake.tools import read_tools


class Place(BaseModel):
    city: str
    country: str | None = None


class Folder(BaseModel):
    folders: list[Folder] = []


def get_weather(
    place: Place, unit: Literal["c", "f"] = "c", *, days: Annotated[int, Field(ge=1)] = 1
) -> str:
    """Return the weather of a place.

    Also for the coming days.

    Args:
        place: Where, a city and
            its country.
        unit (str): Of the temperatures.

    Returns:
        One line: sun or rain.
    """
    return f"{place.city} {unit} {days}"


def sphinx(city: str, note: str | None = None) -> None:
    """Note a city.

    :param city: Its name,
        as people write it.
    :param str note: Anything.
    :returns: nothing.
    """


def plain() -> None:
    """Do it."""


class TestDeclare:
    def test_describes_the_function(self) -> None:
        declaration = declare(get_weather)
        assert declaration["name"] == "get_weather"
        assert declaration["description"] == (
            "Return the weather of a place.\n\nAlso for the coming days."
        )

    def test_describes_the_arguments_in_words_that_gemini_takes(self) -> None:
        assert declare(get_weather)["parameters"] == {
            "type": "object",
            "properties": {
                "place": {
                    "type": "object",
                    "properties": {
                        "city": {"type": "string"},
                        "country": {"type": "string", "nullable": True},
                    },
                    "required": ["city"],
                    "description": "Where, a city and its country.",
                },
                "unit": {
                    "type": "string",
                    "enum": ["c", "f"],
                    "description": "Of the temperatures.",
                },
                "days": {"type": "integer", "minimum": 1},
            },
            "required": ["place"],
        }

    def test_reads_fields_of_docstrings(self) -> None:
        declaration = declare(sphinx)
        properties = declaration["parameters"]["properties"]
        assert declaration["description"] == "Note a city."
        assert properties["city"]["description"] == "Its name, as people write it."
        assert properties["note"] == {
            "type": "string",
            "nullable": True,
            "description": "Anything.",
        }

    def test_prefers_the_words_of_the_hint(self) -> None:
        def find(city: Annotated[str, Field(description="In the hint")]) -> None:
            """Find.

            Args:
                city: In the docstring
            """

        found = declare(find)["parameters"]["properties"]["city"]["description"]
        assert found == "In the hint"

    def test_has_no_parameters_without_arguments(self) -> None:
        assert declare(plain) == {"name": "plain", "description": "Do it."}

    def test_takes_names_that_models_use_themselves(self) -> None:
        def save(schema: str, copy: bool, json: str) -> None: ...

        assert list(declare(save)["parameters"]["properties"]) == ["schema", "copy", "json"]

    def test_takes_methods_and_coroutines(self) -> None:
        class Shop:
            async def buy(self, item: str) -> None:
                """Buy it."""

        assert list(declare(Shop().buy)["parameters"]["properties"]) == ["item"]

    def test_takes_a_function_behind_a_cache(self) -> None:
        @lru_cache
        def price(item: str) -> float:
            """Return a price."""
            return len(item)

        assert declare(price) == {
            "name": "price",
            "description": "Return a price.",
            "parameters": {
                "type": "object",
                "properties": {"item": {"type": "string"}},
                "required": ["item"],
            },
        }
        assert Toolbox.of([price])._tools["price"].call({"item": "tea"}) == ({"result": 3}, False)

    def test_says_formats_in_words_but_for_the_one_that_google_takes(self) -> None:
        def book(day: date, at: datetime, key: Annotated[UUID, Field(description="Its.")]) -> None:
            """Book.

            Args:
                day: Which one.
            """

        parameters = declare(book)["parameters"]["properties"]
        assert parameters == {
            "day": {"type": "string", "description": "Which one. Format: date."},
            "at": {"type": "string", "format": "date-time"},
            "key": {"type": "string", "description": "Its. Format: uuid."},
        }

    def test_is_accepted_as_a_tool(self) -> None:
        reader = Reader()
        tools = [{"function_declarations": [declare(get_weather), declare(plain)]}]
        assert read_tools(tools, reader=reader) == tools
        reader.raise_if_refused()


def no_hint(a) -> None: ...  # type: ignore[no-untyped-def]
def positional(a: int, /) -> None: ...
def any_number(*numbers: int) -> None: ...
def free_keys(prices: dict[str, int]) -> None: ...


class Plain: ...


def no_json(a: Plain) -> None: ...
def odd_type(a: Callable[[], int]) -> None: ...
def numbers(a: Literal[1, 2]) -> None: ...
def anything(a: Any) -> None: ...
def bare_list(a: list) -> None: ...  # type: ignore[type-arg]
def recursive(a: Folder) -> None: ...
def unknown(a: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821


class TestRefusal:
    @pytest.mark.parametrize(
        ("function", "why"),
        [
            (no_hint, "a needs a type hint"),
            (positional, "a cannot be given by name"),
            (any_number, "numbers cannot be given by name"),
            (free_keys, "free_keys.prices: .* no free keys"),
            (odd_type, "cannot be declared"),
            (no_json, "cannot be declared: .*Plain.*: use a type that JSON has"),
            (numbers, "Literal of strings"),
            (unknown, "Missing"),
            (anything, "anything.a: .* need a type"),
            (bare_list, r"bare_list.a\[\]: .* need a type"),
            (recursive, "recursive: .* contains itself"),
            (partial(positional, 1), "partial: Must be a function with a name"),
            (Place, "Place: Must be a function with a name"),
        ],
    )
    def test_says_why(self, function: Callable[..., Any], why: str) -> None:
        with pytest.raises(RequestError, match=why) as caught:
            declare(function)
        assert list(caught.value.errors) == ["tools"]


class TestInlined:
    def test_has_no_refs(self) -> None:
        class Trip(BaseModel):
            stops: list[Place]

        assert "$ref" not in str(inlined(Trip))
