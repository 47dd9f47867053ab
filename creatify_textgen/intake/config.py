"""Checks the generation config: ten keys, their types and ranges (contract, section 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from creatify_textgen.intake.reading import MAX_INTEGER, MIN_INTEGER, Reader
from creatify_textgen.intake.text import kind_of, shown
from creatify_textgen.remote.contract import CONFIG, RESPONSE_MIME_TYPES, ConfigRule

__all__ = ["JSON_MIME_TYPE", "read_config"]

KEYS = frozenset(CONFIG)
JSON_MIME_TYPE = "application/json"
# The guide names no range for these two, but Gemini refuses a count below one.
COUNTS = ("max_output_tokens", "top_k")
# Gemini accepts five. It may change that, so it decides (contract, section 11, row 18).
MAX_STOP_SEQUENCES = 64


def read_config(value: Any, *, reader: Reader) -> dict[str, Any]:
    """Return the checked config without nulls, such as `{"temperature": 0.5}`.

    With `response_json_schema` it also has the MIME type of JSON, which the remote requires.
    Problems are noted in `reader`, by path.
    """
    source: Mapping[str, Any] | None = {} if value is None else reader.mapping(value, path="config")
    if not source:
        return {}
    reader.known_keys(source, KEYS, path="config")
    config = {
        key: _READERS[CONFIG[key].kind](item, key, reader)
        for key, item in source.items()
        if item is not None and key in CONFIG
    }
    if "response_json_schema" in config:
        mime_type = config.setdefault("response_mime_type", JSON_MIME_TYPE)
        if mime_type == "text/plain":
            rule = f"Must be {JSON_MIME_TYPE} or absent beside response_json_schema."
            reader.refuse("config.response_mime_type", rule)
    return config


def _read_float(value: Any, key: str, reader: Reader) -> float:
    rule = CONFIG[key]
    # In Python True is an int; in JSON it is not a number.
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        reader.refuse(f"config.{key}", f"Must be a number, not {kind_of(value)}.")
        return 0.0
    if not _within(value, rule):
        text = f"Must be between {rule.minimum} and {rule.maximum}, not {shown(value)}."
        reader.refuse(f"config.{key}", text)
        return 0.0
    return float(value)


def _within(value: float | Decimal, rule: ConfigRule) -> bool:
    if isinstance(value, Decimal) and not value.is_finite():
        return False  # Comparing a Decimal NaN raises InvalidOperation.
    low, high = rule.minimum, rule.maximum
    # A float NaN is not greater or less than anything, so it is refused if there is a range.
    return (low is None or value >= low) and (high is None or value <= high)


def _read_int(value: Any, key: str, reader: Reader) -> int:
    least = 1 if key in COUNTS else MIN_INTEGER
    if isinstance(value, bool) or not isinstance(value, int):
        reader.refuse(f"config.{key}", f"Must be a whole number, not {shown(value)}.")
        return 0
    if value < least:
        reader.refuse(f"config.{key}", f"Must be {least} or more, not {shown(value)}.")
    if value > MAX_INTEGER:
        reader.refuse(f"config.{key}", "Must be a number of at most 64 bits.")
    return value


def _read_mime_type(value: Any, key: str, reader: Reader) -> str:
    if isinstance(value, str) and value in RESPONSE_MIME_TYPES:
        return value
    allowed = " or ".join(RESPONSE_MIME_TYPES)
    reader.refuse(f"config.{key}", f"Must be {allowed}, not {shown(value)}.")
    return ""


def _read_texts(value: Any, key: str, reader: Reader) -> list[str]:
    path = f"config.{key}"
    if not isinstance(value, list | tuple):
        reader.refuse(path, f"Must be a list of strings, not {kind_of(value)}.")
        return []
    if len(value) > MAX_STOP_SEQUENCES:
        reader.refuse(path, f"Must hold at most {MAX_STOP_SEQUENCES} strings, not {len(value)}.")
        return []
    texts = [reader.text(item, path=f"{path}[{index}]") for index, item in enumerate(value)]
    for index, item in enumerate(value):
        if item == "":
            reader.refuse(f"{path}[{index}]", "Must not be empty.")
    return texts


def _read_object(value: Any, key: str, reader: Reader) -> dict[str, Any]:
    return reader.object_tree(value, path=f"config.{key}")


_READERS: dict[str, Callable[[Any, str, Reader], Any]] = {
    "float": _read_float,
    "int": _read_int,
    "text": _read_mime_type,
    "texts": _read_texts,
    "object": _read_object,
}
