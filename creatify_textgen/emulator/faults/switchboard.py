"""Holds the switches while the emulator runs: reads values, sets them, limits them, resets them.

Safe to use from any thread. Other modules act on the values.
"""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from .switch import Switch, SwitchError
from .switches import SWITCHES, Settings

__all__ = ["Switchboard", "read_value"]

TRUE_WORDS = frozenset({"true", "1", "yes", "on"})
FALSE_WORDS = frozenset({"false", "0", "no", "off"})
# In seconds some 31 years, so the emulator's dates stay within those that `datetime` can hold. No
# test needs as many words or generations.
LARGEST = 1_000_000_000
SIGNED = frozenset({"balance", "clock_offset", "date_offset"})


@dataclass(slots=True)
class Limited:
    """A value that holds for the next `remaining` requests."""

    value: Any
    remaining: int


class Switchboard:
    """The current value of every switch; `reset` restores the values given here."""

    def __init__(self, **values: Any) -> None:
        self._lock = threading.Lock()
        self._start = replace(Settings(), **read_values(values))
        self._settings = self._start
        self._limited: dict[str, Limited] = {}

    @property
    def settings(self) -> Settings:
        """All values, limited ones included."""
        with self._lock:
            return self._with_limited(self._limited) if self._limited else self._settings

    def set(self, *, times: int | None = None, **values: Any) -> None:
        """Set switches, for good or for the next `times` requests that they affect.

        If one name or value is wrong, nothing is set.

        Raises:
            SwitchError: unknown name, or a value that the switch does not take.
        """
        # Everything is read before anything is set, so a mistake in one name leaves all as it was.
        checked = read_values(values)
        if times is not None and (isinstance(times, bool) or not isinstance(times, int)):
            raise SwitchError("'times' must be a whole number.")
        if times is not None and times < 1:
            raise SwitchError("'times' must be 1 or more.")
        with self._lock:
            if times is None:
                self._settings = replace(self._settings, **checked)
                # A value for good also ends a limited one, which would hide it.
                self._limited = {n: v for n, v in self._limited.items() if n not in checked}
            else:
                self._limited |= {name: Limited(value, times) for name, value in checked.items()}

    def reset(self) -> None:
        """Restore the values of the start."""
        with self._lock:
            self._settings = self._start
            self._limited = {}

    def take(self, kind: str) -> Settings:
        """Return the settings for one request, and count it against the limited values."""
        with self._lock:
            # The usual case. Settings are frozen, so all requests may share one object.
            if not self._limited:
                return self._settings
            concerned = {
                name: limited
                for name, limited in self._limited.items()
                if SWITCHES[name].counted_by in ("any", kind)
            }
            settings = self._with_limited(concerned)
            for name, limited in concerned.items():
                limited.remaining -= 1
                if not limited.remaining:
                    del self._limited[name]
            return settings

    def describe(self) -> dict[str, dict[str, Any]]:
        """Return the table of switches with their current values."""
        values = asdict(self.settings)
        with self._lock:
            remaining = {name: limited.remaining for name, limited in self._limited.items()}
        return {
            name: {
                "value": values[name],
                "default": switch.default,
                "allowed": list(switch.allowed) or type(switch.default).__name__,
                "meaning": switch.meaning,
                "times": remaining.get(name),
            }
            for name, switch in SWITCHES.items()
        }

    def _with_limited(self, limited: Mapping[str, Limited]) -> Settings:
        return replace(self._settings, **{name: entry.value for name, entry in limited.items()})


def read_values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: read_value(name, value=value) for name, value in values.items()}


def read_value(name: str, *, value: Any) -> Any:
    """Return `value`, which may be text from a command line, in the switch's own type.

    Raises:
        SwitchError: with a suggestion if a known word is similar.
    """
    switch = SWITCHES.get(name)
    if switch is None:
        raise SwitchError(f"Unknown switch {name!r}.{_suggest(name, known=tuple(SWITCHES))}")
    if switch.allowed:
        several = isinstance(switch.default, tuple)
        return _read_words(value, switch=switch) if several else _read_word(value, switch=switch)
    return READERS[type(switch.default)](value, switch=switch)


def _suggest(word: str, *, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _read_word(value: Any, *, switch: Switch) -> str:
    # None and the word "none" are the same, because a test in Python may write either.
    word = str(value).lower() if value is not None else "none"
    if word in switch.allowed:
        return word
    listed = ", ".join(switch.allowed)
    hint = _suggest(word, known=switch.allowed)
    raise SwitchError(f"{switch.name!r} is one of {listed}; got {value!r}.{hint}")


def _read_words(value: Any, *, switch: Switch) -> tuple[str, ...]:
    items = [item for item in value.split(",") if item] if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise SwitchError(f"{switch.name!r} is a list of words; got {value!r}.")
    return tuple(_read_word(item, switch=switch) for item in items)


def _read_bool(value: Any, *, switch: Switch) -> bool:
    word = str(value).lower()
    if word not in TRUE_WORDS | FALSE_WORDS:
        raise SwitchError(f"{switch.name!r} is true or false; got {value!r}.")
    return word in TRUE_WORDS


def _read_number(value: Any, *, switch: Switch) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise SwitchError(f"{switch.name!r} is a number; got {value!r}.")
    try:
        number = type(switch.default)(value)
    except (ValueError, OverflowError):
        raise SwitchError(f"{switch.name!r} is a number; got {value!r}.") from None
    # Also true for NaN, which is neither less nor more than anything.
    if not abs(number) <= LARGEST:
        raise SwitchError(f"{switch.name!r} is a number up to {LARGEST:,}; got {value!r}.")
    if number < 0 and switch.name not in SIGNED:
        raise SwitchError(f"{switch.name!r} is 0 or more; got {value!r}.")
    return number  # type: ignore[no-any-return]


def _read_text(value: Any, *, switch: Switch) -> str:
    if not isinstance(value, str):
        raise SwitchError(f"{switch.name!r} is text; got {value!r}.")
    return value


def _read_pairs(value: Any, *, switch: Switch) -> tuple[str, ...]:
    items = [item for item in value.split(",") if item] if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise SwitchError(f"{switch.name!r} is a list of pairs such as 'id:key'; got {value!r}.")
    # In Python a pair may also be a tuple. A key may contain a colon, so only the first one counts.
    pairs = tuple(item if isinstance(item, str) else ":".join(map(str, item)) for item in items)
    if any(pair.count(":") < 1 or not all(pair.split(":", 1)) for pair in pairs):
        raise SwitchError(
            f"{switch.name!r} is a list of pairs such as 'id:key', without empty halves."
        )
    return pairs


READERS: dict[type, Callable[..., Any]] = {
    bool: _read_bool,
    int: _read_number,
    float: _read_number,
    str: _read_text,
    tuple: _read_pairs,
}
