"""Reads untrusted values: collects problems by path, and returns clean copies of valid values.

Pure. Invariant: no error text quotes a prompt, and no input can cost more than the limits below,
however deep or long it is.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from creatify_textgen.exceptions import RequestError
from creatify_textgen.intake.text import clean, kind_of, shortened

__all__ = ["MAX_CHARACTERS", "MAX_DEPTH", "Reader", "summary"]

MAX_CHARACTERS = 8 * 1024 * 1024
"""The most characters of all texts in one request together; media do not count. At four characters
per token this is twice the context of a model that reads a million tokens."""
VALUE_COST = 64
"""Each value counts as so many more characters, so that a million empty values are too many."""
MAX_DEPTH = 24
"""The most levels of lists and objects in one JSON value. The column adds at most four (`tools`),
and MariaDB refuses JSON with more than 31 levels."""
MAX_PROBLEMS = 50
"""After so many wrong fields the rest is not read."""
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**64 - 1
"""Integers of 64 bits, with or without a sign. A parser may round or refuse larger ones (RFC 8259,
section 6)."""


class _TooDeepError(Exception):
    pass


class Reader:
    """Reads one request. A method that notes a problem returns a harmless value, such as ""."""

    def __init__(self) -> None:
        self._problems: dict[str, list[str]] = {}
        self._characters_left = MAX_CHARACTERS

    def refuse(self, path: str, rule: str) -> None:
        """Note that a field breaks a rule. The rule's subject is the field: "Must be a list."

        Raises: RequestError after `MAX_PROBLEMS` wrong fields.
        """
        self._problems.setdefault(path, []).append(rule)
        if len(self._problems) >= MAX_PROBLEMS:
            raise self._error()

    def refuse_all(self, path: str, errors: Mapping[str, list[str]]) -> None:
        """Note errors that another reader found; their paths are below this one."""
        for name, rules in errors.items():
            for rule in rules:
                self.refuse(f"{path}.{name}" if name else path, rule)

    def raise_if_refused(self) -> None:
        """Raise one RequestError with all problems, if there are any."""
        if self._problems:
            raise self._error()

    def text(self, value: Any, *, path: str) -> str:
        """Return the string, with U+FFFD for NUL and lone surrogates."""
        if not isinstance(value, str):
            self.refuse(path, f"Must be a string, not {kind_of(value)}.")
            return ""
        # Before it is cleaned, so that a text beyond the limit costs nothing more.
        self._spend(len(value))
        return clean(value)

    def mapping(self, value: Any, *, path: str) -> Mapping[str, Any] | None:
        """Return the value if it is an object, else None."""
        if isinstance(value, Mapping):
            self._spend(VALUE_COST)
            return value
        self.refuse(path, f"Must be an object, not {kind_of(value)}.")
        return None

    def known_keys(
        self,
        value: Mapping[str, Any],
        known: frozenset[str],
        *,
        path: str,
        hints: Mapping[str, str] | None = None,
    ) -> None:
        """Refuse every other key. The error has the key's hint, or suggests a similar name."""
        # Most requests have no unknown key, and need no search for one.
        if value.keys() <= known:
            return
        for key in value:
            if key in known:
                continue
            name = _name_of(key)
            hint = (hints or {}).get(name) or _suggestion(name, known)
            self.refuse(f"{path}.{name}" if path else name, f"Unknown field; {hint}")

    def tree(self, value: Any, *, path: str) -> Any:
        """Return a copy of a JSON value with clean strings, finite numbers and limited depth."""
        # Raised from the depth and refused here: many deep values are one problem.
        try:
            return self._tree(value, path, MAX_DEPTH)
        except _TooDeepError:
            rule = f"Nests deeper than {MAX_DEPTH} levels; give the inner part as a string of JSON."
            self.refuse(path, rule)
            return None

    def object_tree(self, value: Any, *, path: str) -> dict[str, Any]:
        """Return a copy of a JSON object, made as by `tree`; an empty one if it was refused."""
        if self.mapping(value, path=path) is None:
            return {}
        copy: dict[str, Any] | None = self.tree(value, path=path)
        return copy or {}

    def _tree(self, value: Any, path: str, levels: int) -> Any:
        self._spend(VALUE_COST)
        if isinstance(value, str):
            return self.text(value, path=path)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float | Decimal):
            return self._number(value, path)
        if isinstance(value, Mapping | list | tuple):
            return self._container(value, path, levels)
        self.refuse(path, f"Must be JSON, not {kind_of(value)}.")
        return None

    def _container(self, value: Any, path: str, levels: int) -> Any:
        # A list that contains itself ends here, too.
        if not levels:
            raise _TooDeepError
        if isinstance(value, Mapping):
            return {
                self._key(key, path): self._tree(item, f"{path}.{_name_of(key)}", levels - 1)
                for key, item in value.items()
            }
        return [self._tree(item, f"{path}[{i}]", levels - 1) for i, item in enumerate(value)]

    def _key(self, key: Any, path: str) -> str:
        if isinstance(key, str):
            return self.text(key, path=path)
        self.refuse(path, f"Must have strings as keys, not {kind_of(key)}.")
        return ""

    def _number(self, value: float | Decimal, path: str) -> float | int:
        if isinstance(value, int):
            if not MIN_INTEGER <= value <= MAX_INTEGER:
                self.refuse(path, "Must be a number of at most 64 bits; send it as a string.")
                return 0
            return value
        # `float()` raises ValueError for a signalling Decimal NaN.
        finite = not isinstance(value, Decimal) or value.is_finite()
        number = float(value) if finite else math.nan
        if not math.isfinite(number):
            self.refuse(path, "Must be a finite number; NaN and Infinity are not JSON.")
            return 0
        return number

    def _spend(self, characters: int) -> None:
        self._characters_left -= characters
        if self._characters_left < 0:
            self.refuse(
                "",
                f"Is too large: more than {MAX_CHARACTERS:,} characters, "
                f"media apart and each value counted as {VALUE_COST} more.",
            )
            raise self._error()

    def _error(self) -> RequestError:
        return RequestError(summary(self._problems), errors=self._problems)


def summary(errors: Mapping[str, list[str]]) -> str:
    """Return the first three of these errors as one text."""
    texts = [f"{path or 'The request'}: {' '.join(rules)}" for path, rules in errors.items()]
    more = f" (and {len(texts) - 3} more)" if len(texts) > 3 else ""
    return " ".join(texts[:3]) + more


def _name_of(key: Any) -> str:
    return shortened(key) if isinstance(key, str) else kind_of(key)


def _suggestion(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(sorted(known))}."
