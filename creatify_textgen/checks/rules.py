"""What each setting must be, as a test and in words. Reads no setting."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from difflib import get_close_matches
from functools import partial
from importlib.util import find_spec
from inspect import iscoroutinefunction, signature
from typing import Any, NamedTuple

from django.core.checks import Error
from django.utils.module_loading import import_string

from creatify_textgen.checks.addresses import is_optional_origin, is_stream_backend
from creatify_textgen.conf import MOST_DAYS
from creatify_textgen.dotted_paths import is_dotted_path

__all__ = [
    "LIMIT",
    "MODELS_ALLOWED",
    "RULES",
    "SECONDS",
    "TIMEOUT",
    "Rule",
    "found_at",
    "is_header_value",
    "is_left_to_runtime",
    "leads_nowhere",
    "must_be",
    "unknown_keys",
]

LONGEST_MODEL_NAME = 255
MOST_SECONDS = 10**9
"""About 30 years. With a much larger value, times would be outside the calendar."""
LONGEST_TIMEOUT = 86_400
"""A day. The operating system counts milliseconds and would take a longer one for a short one."""
MOST = 10**12
"""More than any site has; a database's numbers end somewhere above."""
MOST_THREADS = 512
TOKEN_LENGTH = 20
# ASCII without spaces and without the comma, which separates the names in `--queues` of a worker.
# AMQP 0-9-1 has one byte for the length of a name.
QUEUE_NAME = re.compile(r"[!-+\--~]{1,255}")


class Rule(NamedTuple):
    """What a value must be: as a test, and in words."""

    holds: Callable[[Any], bool]
    words: str


def is_header_value(value: Any) -> bool:
    return is_left_to_runtime(value) or _is_plain_text(value)


def _is_plain_text(value: Any) -> bool:
    return (
        isinstance(value, str)
        and value == value.strip()
        and value.isascii()
        and value.isprintable()
    )


def leads_nowhere(value: Any) -> bool:
    """Whether this looks like the dotted path of something in a known package, and is not."""
    if not is_dotted_path(value):
        return False
    try:
        import_string(value)
    except Exception:  # noqa: BLE001  a module may raise anything while it is imported
        # A key may contain a dot, too, but not after the name of a package of this site.
        return find_spec(value.partition(".")[0]) is not None
    return False


def found_at(value: Any) -> Any:
    """Return what a dotted path leads to, and any other value as it is."""
    if is_dotted_path(value):
        with suppress(Exception):
            return import_string(value)
    return value


def is_left_to_runtime(value: Any) -> bool:
    """Whether a value is a callable, or may be a dotted path to one. Checks call neither."""
    return callable(value) or is_dotted_path(value)


def _is_seconds(value: Any, *, most: float = MOST_SECONDS) -> bool:
    # True is an int in Python, and NaN is not above 0.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 < value <= most


def _is_model_name(value: Any) -> bool:
    is_text = isinstance(value, str) and value == value.strip() and value.isprintable()
    return is_text and 0 < len(value) <= LONGEST_MODEL_NAME


def _are_names(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(map(_is_model_name, value))


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_queue(value: Any) -> bool:
    return value is None or (isinstance(value, str) and bool(QUEUE_NAME.fullmatch(value)))


def _is_policy(value: Any) -> bool:
    """Whether this is None, or can be called as `ask_policy` does; or the dotted path of that."""
    if isinstance(value, str):
        # If it cannot be imported, this is an error: unlike a key, it can be nothing but a path.
        try:
            value = import_string(value)
        except Exception:  # noqa: BLE001  a module may raise anything while it is imported
            return False
    return value is None or (callable(value) and _takes_a_request(value))


def _takes_a_request(rule: Callable[..., Any]) -> bool:
    # `ask_policy` would refuse each request. For an object whose class has `async def __call__`,
    # `iscoroutinefunction` is False, so the method is examined, too.
    if iscoroutinefunction(rule) or iscoroutinefunction(getattr(rule, "__call__", None)):  # noqa: B004
        return False
    try:
        signature(rule).bind(None, None, door="")
    except TypeError:
        return False
    except ValueError:
        return True  # Python does not know the arguments of some functions that are written in C.
    return True


def _is_permission(value: Any) -> bool:
    return value is None or (
        isinstance(value, str) and bool(re.fullmatch(r"[^.\s]+\.[^.\s]+", value))
    )


def _is_token(value: Any) -> bool:
    # Never a path, whatever it looks like: a scraper sends the text as it is.
    return value is None or (_is_plain_text(value) and len(value) >= TOKEN_LENGTH)


def _is_limit(value: Any) -> bool:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value is None or (is_whole and 0 <= value <= MOST)


def _is_amount(value: Any) -> bool:
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    # Before the comparison, because a Decimal that is NaN raises there.
    return value is None or (is_number and Decimal(value).is_finite() and 0 <= value <= MOST)


def _is_days(value: Any) -> bool:
    return value is None or (_is_limit(value) and 1 <= value <= MOST_DAYS)


def _is_thread_count(value: Any) -> bool:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return is_whole and 1 <= value <= MOST_THREADS


SECONDS = Rule(_is_seconds, f"a number of seconds above 0, at most {MOST_SECONDS}")
TIMEOUT = Rule(
    partial(_is_seconds, most=LONGEST_TIMEOUT),
    f"a number of seconds above 0, at most {LONGEST_TIMEOUT}",
)
FLAG = Rule(_is_flag, "True or False")
LIMIT = Rule(_is_limit, f"a whole number from 0 to {MOST}, or None for no limit")
MODELS_ALLOWED = Rule(
    lambda value: value is None or _are_names(value), "a list of model names, or None"
)
QUEUE = Rule(_is_queue, "the name of a queue in ASCII, without spaces and commas, or None")
RULES: dict[str, Rule] = {
    "DEFAULT_MODEL": Rule(
        _is_model_name,
        f"a name of 1 to {LONGEST_MODEL_NAME} characters, without control characters and without "
        "spaces at its ends",
    ),
    "MODELS": Rule(_are_names, "a list of model names"),
    "ALLOW_REMOTE": FLAG,
    "RESTRICT_MODELS": FLAG,
    "STORE_CONTENT": FLAG,
    "RECORD_READS": FLAG,
    "POLICY": Rule(
        _is_policy,
        "None, or the dotted path of a function that can be imported and called as "
        "rule(user, request, door=…), and is not async",
    ),
    "CREATE_PERMISSION": Rule(_is_permission, "'app_label.codename', or None"),
    "LIMITS": Rule(lambda value: isinstance(value, Mapping), "a dict of limits"),
    "MIN_REMAINING": Rule(_is_amount, f"a number of credits from 0 to {MOST}, or None"),
    "CONTENT_RETENTION_DAYS": Rule(_is_days, f"a whole number of 1 to {MOST_DAYS} days, or None"),
    "WEBHOOK_BASE_URL": Rule(
        is_optional_origin, "https://host in ASCII, without query or user, or None"
    ),
    "CONFIRM_WEBHOOKS": FLAG,
    "POLL_INTERVAL": SECONDS,
    "POLL_MAX_INTERVAL": SECONDS,
    "POLLS_AT_ONCE": Rule(_is_thread_count, f"a whole number from 1 to {MOST_THREADS}"),
    "SUBMIT_LEASE": SECONDS,
    "EXPIRE_AFTER": SECONDS,
    "RESEND_UNCONFIRMED": Rule(("never", "if_absent").__contains__, "'never' or 'if_absent'"),
    "CALLS_AS_TEXT": FLAG,
    "EXTRA_CONFIG": Rule(("refuse", "pass").__contains__, "'refuse' or 'pass'"),
    "REST_ACCOUNTS": Rule(_are_names, "a list of names of accounts"),
    "STREAM_BACKEND": Rule(
        is_stream_backend, "memory://, or redis://host:port/number, rediss:// or unix://"
    ),
    "TIMEOUTS": Rule(lambda value: isinstance(value, Mapping), "a dict of seconds"),
    "MEDIA_STORAGE": Rule(lambda value: isinstance(value, str) and bool(value), "an alias"),
    "CELERY_QUEUE": QUEUE,
    "METRICS_TOKEN": Rule(_is_token, f"ASCII text of {TOKEN_LENGTH} characters or more, or None"),
    "STREAM_QUEUE": QUEUE,
}


def unknown_keys(given: Mapping[Any, Any], known: Iterable[str], *, where: str) -> Iterator[Error]:
    by_upper_case = {name.upper(): name for name in known}
    for key in given:
        if key in by_upper_case.values():
            continue
        # In capital letters on both sides, because for difflib "models" and "MODELS" share nothing.
        close = get_close_matches(str(key).upper(), by_upper_case, n=1)
        names = ", ".join(by_upper_case.values())
        hint = f"Did you mean {by_upper_case[close[0]]!r}?" if close else f"Known keys: {names}."
        yield Error(f"{where} has an unknown key {key!r}.", hint=hint, id="creatify_textgen.E002")


def must_be(what: str, words: str) -> Error:
    return Error(f"{what} must be {words}.", id="creatify_textgen.E003")
