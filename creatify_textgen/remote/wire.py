"""JSON off the wire, read without surprises.

What comes out holds no NUL, no lone surrogate, no NaN, nothing nested too deep to be saved; what
cannot be read raises `ValueError` and nothing else. Money comes from the text as Decimal.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Context, Decimal, InvalidOperation
from typing import Any, NoReturn

from creatify_textgen.remote.contract import MAX_REMOTE_ID_LENGTH

# Levels of lists and objects of what fills a column. MariaDB takes 31, and refuses the whole
# statement, other rows and all, for one level more.
MAX_DEPTH = 28
# Of a call's arguments: the list of calls and the call itself lie around them. No more than a
# request may have, so that a client can send the call back.
MAX_ARGUMENT_DEPTH = 24
# What nests deeper is written out as text for so many levels more; no sane answer comes so far.
_WRITTEN_LEVELS = 100
_TOO_DEEP = "(nested too deeply to be kept)"
# Above this a number is a broken answer, not a balance.
_ABSURD_CREDITS = Decimal(10) ** 12
# A column of costs has 20 digits, ten of them after the point.
_COST_PLACES = Decimal(1).scaleb(-10)
_COST_CONTEXT = Context(prec=20)
# And one of more places than this; PostgreSQL takes no number of millions of them.
_ABSURD_PLACES = 1000
_HOSTILE = re.compile("[\x00\ud800-\udfff]")
_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.:-]{{0,{MAX_REMOTE_ID_LENGTH - 1}}}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)
_UNREADABLE = (ValueError, RecursionError, ArithmeticError)


def decoded(body: bytes) -> str:
    """Return the text of a body; bytes that are not UTF-8 become U+FFFD."""
    return body.decode("utf-8-sig", "replace")


def load(body: bytes | str) -> Any:
    """Return the value of a JSON text, its numbers with a point as Decimal.

    Strings are as they came: pass what is kept through `plain` or `text`. Raises: `ValueError`
    for anything else than one JSON value, NaN, or nesting beyond what the parser takes.
    """
    try:
        return DECODER.decode(decoded(body) if isinstance(body, bytes) else body)
    except _UNREADABLE as error:
        # The parser's own message quotes nothing, but its exception holds the whole document.
        reason = type(error).__name__
    raise ValueError(f"not readable as JSON ({reason})")


def scan(body: str, position: int) -> tuple[Any, int]:
    """Return the JSON value that starts at `position` and where it ends.

    Raises: `ValueError` as `load` does, and where the text ends too early.
    """
    try:
        return DECODER.raw_decode(body, position)
    except _UNREADABLE as error:
        reason = type(error).__name__
    raise ValueError(f"not readable as JSON ({reason})")


def plain(value: Any, *, levels: int = MAX_DEPTH) -> Any:
    """Return a copy that can be kept: clean strings, floats for Decimals, bounded depth.

    A list or object that lies below so many levels is kept as its JSON text, a string, so that
    nothing around it is lost; only what nests another hundred levels deeper is given up.
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
    """Return a clean string; null and other types count as absent."""
    if not isinstance(value, str):
        return ""
    # Most text is plain, and to know that costs less than the expression.
    if (value.isascii() and "\0" not in value) or value.isprintable():
        return value
    return _HOSTILE.sub("\ufffd", value)


def mapping(value: Any) -> Mapping[str, Any]:
    """Return the object as it is; null and other types count as an empty one."""
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects of an array; whatever else is in it, or is no array, counts as absent."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def identifier(value: Any) -> str | None:
    """Return the id if it is one that may stand in a path and in a column, else None."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if 0 <= value < 10**MAX_REMOTE_ID_LENGTH else ""
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    return None


def amount(value: Any) -> Decimal | None:
    """Return a number of credits exactly as it was written, or None where it is none.

    Numbers in quotes count, as Django REST framework writes decimals so. Booleans, NaN and what
    no bill would say do not.
    """
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    # No abs(): it rounds to the context and overflows where comparing is exact.
    if not number.is_finite() or not -_ABSURD_CREDITS < number < _ABSURD_CREDITS:
        return None
    exponent = number.as_tuple().exponent
    return number if isinstance(exponent, int) and exponent >= -_ABSURD_PLACES else None


def charge(value: Any) -> Decimal | None:
    """Return what a generation cost, as it was written.

    A negative amount is not believed, nor one of ten thousand millions or more, which no column
    holds: the cost is then unknown (None), never zero.
    """
    number = amount(value)
    if number is None or number < 0:
        return None
    try:
        # Rounding first: 9999999999.99999999999 is one digit too long only then.
        number.quantize(_COST_PLACES, context=_COST_CONTEXT)
    except InvalidOperation:
        return None
    return number


def moment(value: Any) -> datetime | None:
    """Return an ISO 8601 time in UTC; None without an offset, as the remote's is not ours."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
        return parsed.astimezone(UTC) if parsed.tzinfo else None
    except (ValueError, OverflowError):
        return None


def function_call(value: Any) -> dict[str, Any]:
    """Return `{"name": …, "args": {…}}`; arguments that are no object are kept under `value`.

    What nests too deep in them is kept as its JSON text, as `plain` does.
    """
    call = mapping(value)
    arguments = call.get("args")
    if arguments is None:
        arguments = {}
    elif not isinstance(arguments, dict):
        arguments = {"value": arguments}
    return {
        "name": text(call.get("name")),
        "args": plain(arguments, levels=MAX_ARGUMENT_DEPTH),
    }
