"""What each setting must be, as a test and in words. Reads no setting."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.core.checks import Error
from django.utils.module_loading import import_string

__all__ = [
    "LIMIT",
    "MODELS_ALLOWED",
    "RULES",
    "SECONDS",
    "Rule",
    "is_header_value",
    "is_left_to_runtime",
    "is_origin",
    "leads_nowhere",
    "must_be",
    "unknown_keys",
]

LONGEST_MODEL_NAME = 255
MOST_SECONDS = 10**9
"""About 30 years. With a much larger value, times would be outside the calendar."""
MOST_DAYS = 36_500
STREAM_SCHEMES = ("memory", "redis", "rediss", "unix")


class Rule(NamedTuple):
    """What a value must be: as a test, and in words."""

    holds: Callable[[Any], bool]
    words: str


def is_header_value(value: Any) -> bool:
    if is_left_to_runtime(value):
        return True
    return (
        isinstance(value, str)
        and value == value.strip()
        and value.isascii()
        and value.isprintable()
    )


def leads_nowhere(value: Any) -> bool:
    """Whether this looks like the dotted path of something in a known package, and is not."""
    if not isinstance(value, str) or not is_left_to_runtime(value):
        return False
    try:
        import_string(value)
    except ImportError:
        # A key may contain a dot, too, but not after the name of a package of this site.
        return find_spec(value.partition(".")[0]) is not None
    return False


def is_left_to_runtime(value: Any) -> bool:
    """Whether a value is a callable, or may be a dotted path to one. Checks call neither."""
    return callable(value) or (
        isinstance(value, str) and "." in value and value.replace(".", "_").isidentifier()
    )


def _is_seconds(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 < value <= MOST_SECONDS


def _is_model_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value.strip()) <= LONGEST_MODEL_NAME


def _are_names(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(map(_is_model_name, value))


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_queue(value: Any) -> bool:
    return value is None or (isinstance(value, str) and bool(value))


def is_origin(value: Any) -> bool:
    """Whether this is http(s)://host, with or without port and path, and nothing else."""
    # urlsplit silently removes line breaks.
    if not isinstance(value, str) or " " in value or not value.isprintable():
        return False
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  # raises if the port is not a number
    except ValueError:
        return False
    is_plain = "@" not in parts.netloc and not parts.query and not parts.fragment
    return parts.scheme in ("http", "https") and bool(parts.hostname) and is_plain


def _is_optional_origin(value: Any) -> bool:
    return not value or is_origin(value)


def _is_stream_backend(value: Any) -> bool:
    if not isinstance(value, str) or "://" not in value:
        return False
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  # raises if the port is not a number
    except ValueError:
        return False
    # redis-py takes a database that is not a number for database 0.
    has_database = parts.scheme in ("redis", "rediss")
    is_database = re.fullmatch(r"/?[0-9]*", parts.path)
    return parts.scheme in STREAM_SCHEMES and (not has_database or bool(is_database))


def _is_policy(value: Any) -> bool:
    """Whether this is None, or a plain function or the dotted path of one."""
    if isinstance(value, str):
        try:
            value = import_string(value)
        except ImportError:
            return False
    if value is None:
        return True
    is_async = any(map(inspect.iscoroutinefunction, (value, getattr(value, "__call__", None))))  # noqa: B004
    return callable(value) and not is_async


def _is_permission(value: Any) -> bool:
    return value is None or (
        isinstance(value, str) and bool(re.fullmatch(r"[^.\s]+\.[^.\s]+", value))
    )


def _is_token(value: Any) -> bool:
    return value is None or (is_header_value(value) and len(value) >= TOKEN_LENGTH)


def _is_limit(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def _is_amount(value: Any) -> bool:
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return value is None or (is_number and Decimal(value).is_finite() and value >= 0)


def _is_days(value: Any) -> bool:
    return value is None or (_is_limit(value) and 1 <= value <= MOST_DAYS)


SECONDS = Rule(_is_seconds, f"a number of seconds above 0, at most {MOST_SECONDS}")
FLAG = Rule(_is_flag, "True or False")
LIMIT = Rule(_is_limit, "a whole number from 0, or None for no limit")
MODELS_ALLOWED = Rule(
    lambda value: value is None or _are_names(value), "a list of model names, or None"
)
TOKEN_LENGTH = 20
MOST_THREADS = 512


def _is_thread_count(value: Any) -> bool:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return is_whole and 1 <= value <= MOST_THREADS


QUEUE = Rule(_is_queue, "the name of a queue, or None")
RULES: dict[str, Rule] = {
    "DEFAULT_MODEL": Rule(_is_model_name, f"a name of 1 to {LONGEST_MODEL_NAME} characters"),
    "MODELS": Rule(_are_names, "a list of model names"),
    "ALLOW_REMOTE": FLAG,
    "RESTRICT_MODELS": FLAG,
    "STORE_CONTENT": FLAG,
    "RECORD_READS": FLAG,
    "POLICY": Rule(_is_policy, "None, or the dotted path of a function that is not async"),
    "CREATE_PERMISSION": Rule(_is_permission, "'app_label.codename', or None"),
    "LIMITS": Rule(lambda value: isinstance(value, Mapping), "a dict of limits"),
    "MIN_REMAINING": Rule(_is_amount, "a number of credits from 0, or None"),
    "CONTENT_RETENTION_DAYS": Rule(_is_days, f"a whole number of 1 to {MOST_DAYS} days, or None"),
    "WEBHOOK_BASE_URL": Rule(_is_optional_origin, "https://host without query or user, or None"),
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
        _is_stream_backend, "memory://, or redis://host:port/number, rediss:// or unix://"
    ),
    "TIMEOUTS": Rule(lambda value: isinstance(value, Mapping), "a dict of seconds"),
    "MEDIA_STORAGE": Rule(lambda value: isinstance(value, str) and bool(value), "an alias"),
    "CELERY_QUEUE": QUEUE,
    "METRICS_TOKEN": Rule(_is_token, f"text of {TOKEN_LENGTH} characters or more, or None"),
    "STREAM_QUEUE": QUEUE,
}


def unknown_keys(given: Mapping[Any, Any], known: Iterable[str], *, where: str) -> Iterator[Error]:
    by_upper_case = {name.upper(): name for name in known}
    for key in given:
        if key in by_upper_case.values():
            continue
        close = get_close_matches(str(key).upper(), by_upper_case, n=1)
        names = ", ".join(by_upper_case.values())
        hint = f"Did you mean {by_upper_case[close[0]]!r}?" if close else f"Known keys: {names}."
        yield Error(f"{where} has an unknown key {key!r}.", hint=hint, id="creatify_textgen.E002")


def must_be(what: str, rule: Rule) -> Error:
    return Error(f"{what} must be {rule.words}.", id="creatify_textgen.E003")
