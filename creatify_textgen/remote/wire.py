"""Reads JSON from the remote so that every value can be saved.

The values contain no NUL, no lone surrogate, no NaN, and no nesting that is too deep for a column.
What cannot be read raises `ValueError` and no other error. Money is read as Decimal.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Context, Decimal, InvalidOperation
from typing import Any, NoReturn

from creatify_textgen.remote.charsets import decoded
from creatify_textgen.remote.value_count import refuse_many

# Levels of lists and objects in a column. MariaDB accepts 31. For one level more it refuses the
# whole statement, with the other rows in it.
MAX_DEPTH = 28
# Deeper values are kept as JSON text for this many levels more. No real answer has so many.
_WRITTEN_LEVELS = 100
_TOO_DEEP = "(nested too deeply to be kept)"
# A larger number is an error of the remote, not a balance.
_ABSURD_CREDITS = Decimal(10) ** 12
# A column of costs has 20 digits, ten of them after the point. But SQLite stores floats, which
# keep only 15 digits.
_COST_PLACES = Decimal(1).scaleb(-10)
_COST_COLUMN = Context(prec=20)
_COST_DIGITS = Context(prec=15)
# The most decimal places. PostgreSQL accepts no number with millions of them.
_ABSURD_PLACES = 1000
# Gemini's API is of 2023. The end leaves room for sums of times.
_YEARS = range(2020, 3000)
_HOSTILE = re.compile("[\x00\ud800-\udfff]")
_WORD = re.compile(r"\w[\w\s-]*")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _as_null(_name: str) -> None:
    """Return None for `NaN` and `Infinity`: an odd cost must not hide the text of its answer."""


def _fraction(number: str) -> Decimal | None:
    try:
        return Decimal(number)
    except InvalidOperation:  # Its exponent has twenty digits.
        return None


def _whole(digits: str) -> int | None:
    # Python refuses to read thousands of digits.
    return int(digits) if len(digits) <= _ABSURD_PLACES else None


STRICT = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)
"""For what is passed on as it is written: no browser reads `NaN`."""
_LENIENT = json.JSONDecoder(parse_float=_fraction, parse_int=_whole, parse_constant=_as_null)
UNREADABLE = (ValueError, RecursionError, ArithmeticError)


def load(body: bytes | str) -> Any:
    """Return the value of a JSON text. Numbers with a point become Decimal, and `NaN` null.

    Strings are not cleaned: use `plain` or `text` for values that are saved. Raises: `ValueError`
    if it is not exactly one JSON value, or is nested too deeply for the parser.
    """
    try:
        text = decoded(body) if isinstance(body, bytes) else body
        refuse_many(text)
        return _LENIENT.decode(text)
    except UNREADABLE as error:
        # The parser's message quotes nothing, but its exception contains the whole document.
        reason = type(error).__name__
    raise ValueError(f"not readable as JSON ({reason})")


def scan(body: str, position: int) -> tuple[Any, int]:
    """Return the JSON value that begins at `position`, and the position after it.

    Raises: `ValueError` as `load` does, and if the text ends inside the value.
    """
    try:
        refuse_many(body, position)
        return _LENIENT.raw_decode(body, position)
    except UNREADABLE as error:
        reason = type(error).__name__
    raise ValueError(f"not readable as JSON ({reason})")


def plain(value: Any, *, levels: int = MAX_DEPTH) -> Any:
    """Return a copy that can be saved: clean strings, floats for Decimals, limited depth.

    A list or object below this many levels is kept as a string, its JSON text. Only values a
    hundred levels deeper are lost.
    """
    return _copy(value, levels, _written_out)


def _copy(value: Any, levels: int, deeper: Callable[[Any], str]) -> Any:
    if isinstance(value, str):
        return _HOSTILE.sub("\ufffd", value)
    if isinstance(value, Decimal):
        number = float(value)
        return number if math.isfinite(number) else None
    if isinstance(value, dict):
        if not levels:
            return deeper(value)
        return {
            _HOSTILE.sub("\ufffd", key): _copy(item, levels - 1, deeper)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_copy(item, levels - 1, deeper) for item in value] if levels else deeper(value)
    return value


def _written_out(value: Any) -> str:
    return json.dumps(_copy(value, _WRITTEN_LEVELS, lambda _: _TOO_DEEP), ensure_ascii=False)


def text(value: Any) -> str:
    """Return a clean string; null and other types become ""."""
    if not isinstance(value, str):
        return ""
    # Most text is plain, and to know that costs less than the expression.
    if (value.isascii() and "\0" not in value) or value.isprintable():
        return value
    return _HOSTILE.sub("\ufffd", value)


def written(value: Any) -> str:
    """Return a text. A value of another type becomes its JSON text, and null becomes ""."""
    if value is None or isinstance(value, str):
        return text(value)
    return json.dumps(plain(value), ensure_ascii=False)


def word(value: Any) -> str:
    """Return the word of an enum in capitals: `MAX_TOKENS` for `FinishReason.max_tokens`.

    Python writes the enum's name before the member, and other languages write small letters. Any
    other text stays unchanged.
    """
    name = text(value).strip()
    member = name.rpartition(".")[2]
    return re.sub(r"[\s-]+", "_", member).upper() if _WORD.fullmatch(member) else name


def mapping(value: Any) -> Mapping[str, Any]:
    """Return the object. Null and other types become an empty one."""
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects in an array. Other elements are left out; no array gives an empty list."""
    if not isinstance(value, list):
        return []
    if len(value) == 1 and isinstance(value[0], dict):  # True for nearly every chunk.
        return value
    return [item for item in value if isinstance(item, dict)]


def amount(value: Any) -> Decimal | None:
    """Return a number of credits exactly as it was written, or None if it is not a number.

    Numbers in quotes are accepted, because Django REST framework writes decimals in this way.
    Booleans, NaN and numbers that are too large are not.
    """
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    # Not abs(): it rounds to the context's precision and may overflow. A comparison is exact.
    if not number.is_finite() or not -_ABSURD_CREDITS < number < _ABSURD_CREDITS:
        return None
    exponent = number.as_tuple().exponent
    return number if isinstance(exponent, int) and exponent >= -_ABSURD_PLACES else None


def charge(value: Any) -> Decimal | None:
    """Return the cost of a generation, rounded so that every database stores it exactly.

    So a saved cost equals the same cost when it is read from the remote again. If the amount is
    negative, or too large for the column, the cost is unknown (None) and never zero. An amount
    above zero stays above zero.
    """
    number = amount(value)
    if number is None or number < 0:
        return None
    try:
        # Compared again after rounding: 9999999999.99999999999 becomes one digit too long.
        rounded = _COST_DIGITS.plus(number).quantize(_COST_PLACES, context=_COST_COLUMN)
    except InvalidOperation:
        return None
    return max(rounded, _COST_PLACES) if number else abs(rounded)


def moment(value: Any) -> datetime | None:
    """Return an ISO 8601 time in UTC; None if it is not a time of a generation.

    None without an offset, because the remote's time zone is unknown, and for a year of no
    generation: some languages write 0001 or 1970 for a time that is not set.
    """
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
        in_utc = parsed.astimezone(UTC) if parsed.tzinfo else None
    except (ValueError, OverflowError):
        return None
    return in_utc if in_utc and in_utc.year in _YEARS else None
