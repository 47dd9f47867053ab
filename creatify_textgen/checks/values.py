"""What one setting may be, by itself: names, types, ranges, accounts.

Invariant: a wrong value is told here, with its key, before anything runs into it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution

from creatify_textgen.conf import DEFAULTS, conf

__all__ = ["check_values", "is_left_to_runtime"]

ACCOUNT_KEYS = ("API_ID", "API_KEY", "BASE_URL")
LONGEST_ACCOUNT_NAME = 64
LONGEST_MODEL_NAME = 255
MOST_SECONDS = 10**9
"""About 30 years; much more and the times that follow have no date."""
STREAM_SCHEMES = ("memory", "redis", "rediss", "unix")


class Rule(NamedTuple):
    """What a value must be, as a test and as words."""

    holds: Callable[[Any], bool]
    words: str


def check_values(**_: Any) -> list[CheckMessage]:
    """Check each value of the setting by itself."""
    value = getattr(settings, "CREATIFY_TEXTGEN", None)
    if value is not None and not isinstance(value, Mapping):
        return [Error("CREATIFY_TEXTGEN must be a dict.", id="creatify_textgen.E001")]
    configured = conf.configured
    return [
        *_unknown_keys(configured, DEFAULTS, where="CREATIFY_TEXTGEN"),
        *_wrong_values(configured),
        *_timeout_messages(configured.get("TIMEOUTS")),
        *_order_messages(configured),
        *_account_messages(configured.get("ACCOUNTS")),
    ]


def is_left_to_runtime(value: Any) -> bool:
    """Whether a value is a callable or may be a dotted path to one, which checks don't follow."""
    return callable(value) or (
        isinstance(value, str) and "." in value and value.replace(".", "_").isidentifier()
    )


def _is_seconds(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 < value <= MOST_SECONDS


def _is_model_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value.strip()) <= LONGEST_MODEL_NAME


def _are_model_names(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(map(_is_model_name, value))


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_queue(value: Any) -> bool:
    return value is None or (isinstance(value, str) and bool(value))


def _is_origin(value: Any) -> bool:
    """http(s)://host, perhaps with a port and a path, and nothing else."""
    # urlsplit drops line breaks without a word.
    if not isinstance(value, str) or " " in value or not value.isprintable():
        return False
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  # raises for a port that is no number
    except ValueError:
        return False
    is_plain = "@" not in parts.netloc and not parts.query and not parts.fragment
    return parts.scheme in ("http", "https") and bool(parts.hostname) and is_plain


def _is_optional_origin(value: Any) -> bool:
    return not value or _is_origin(value)


def _is_stream_backend(value: Any) -> bool:
    return isinstance(value, str) and value.partition("://")[0] in STREAM_SCHEMES and "://" in value


SECONDS = Rule(_is_seconds, f"a number of seconds above 0, at most {MOST_SECONDS}")
FLAG = Rule(_is_flag, "True or False")
QUEUE = Rule(_is_queue, "the name of a queue, or None")
RULES: dict[str, Rule] = {
    "DEFAULT_MODEL": Rule(_is_model_name, f"a name of 1 to {LONGEST_MODEL_NAME} characters"),
    "MODELS": Rule(_are_model_names, "a list of model names"),
    "RESTRICT_MODELS": FLAG,
    "WEBHOOK_BASE_URL": Rule(_is_optional_origin, "https://host without query or user, or None"),
    "CONFIRM_WEBHOOKS": FLAG,
    "POLL_INTERVAL": SECONDS,
    "POLL_MAX_INTERVAL": SECONDS,
    "SUBMIT_LEASE": SECONDS,
    "EXPIRE_AFTER": SECONDS,
    "RESEND_UNCONFIRMED": Rule(("never", "if_absent").__contains__, "'never' or 'if_absent'"),
    "STREAM_BACKEND": Rule(_is_stream_backend, "memory:// or a redis:// (rediss://, unix://) URL"),
    "TIMEOUTS": Rule(lambda value: isinstance(value, Mapping), "a dict of seconds"),
    "MEDIA_STORAGE": Rule(lambda value: isinstance(value, str) and bool(value), "an alias"),
    "CELERY_QUEUE": QUEUE,
    "STREAM_QUEUE": QUEUE,
}


def _unknown_keys(given: Mapping[Any, Any], known: Iterable[str], *, where: str) -> Iterator[Error]:
    by_upper_case = {name.upper(): name for name in known}
    for key in given:
        if key in by_upper_case.values():
            continue
        close = get_close_matches(str(key).upper(), by_upper_case, n=1)
        names = ", ".join(by_upper_case.values())
        hint = f"Did you mean {by_upper_case[close[0]]!r}?" if close else f"Known are {names}."
        yield Error(f"{where} has an unknown key {key!r}.", hint=hint, id="creatify_textgen.E002")


def _wrong_values(configured: Mapping[str, Any]) -> Iterator[Error]:
    for key, rule in RULES.items():
        if key in configured and not rule.holds(configured[key]):
            yield _must_be(f"CREATIFY_TEXTGEN['{key}']", rule)


def _must_be(what: str, rule: Rule) -> Error:
    return Error(f"{what} must be {rule.words}.", id="creatify_textgen.E003")


def _timeout_messages(timeouts: Any) -> Iterator[Error]:
    if not isinstance(timeouts, Mapping):
        return
    where = "CREATIFY_TEXTGEN['TIMEOUTS']"
    yield from _unknown_keys(timeouts, DEFAULTS["TIMEOUTS"], where=where)
    for key in DEFAULTS["TIMEOUTS"]:
        if key in timeouts and not SECONDS.holds(timeouts[key]):
            yield _must_be(f"{where}['{key}']", SECONDS)


def _order_messages(configured: Mapping[str, Any]) -> Iterator[Error]:
    """Values that are fine by themselves and not beside each other."""
    merged = {**DEFAULTS, **configured}
    if not all(RULES[key].holds(merged[key]) for key in RULES):
        return
    if merged["POLL_MAX_INTERVAL"] < merged["POLL_INTERVAL"]:
        yield Error(
            "CREATIFY_TEXTGEN['POLL_MAX_INTERVAL'] is below POLL_INTERVAL.",
            id="creatify_textgen.E004",
        )
    if merged["RESTRICT_MODELS"] and merged["DEFAULT_MODEL"] not in merged["MODELS"]:
        yield Error(
            "CREATIFY_TEXTGEN['DEFAULT_MODEL'] is not in MODELS, and RESTRICT_MODELS is on.",
            id="creatify_textgen.E004",
        )


def _account_messages(accounts: Any) -> Iterator[CheckMessage]:
    if is_left_to_runtime(accounts):
        return
    if accounts is not None and not isinstance(accounts, Mapping):
        yield _must_be("CREATIFY_TEXTGEN['ACCOUNTS']", Rule(bool, "a dict of accounts"))
        return
    for name, entry in conf.accounts.items():
        where = f"CREATIFY_TEXTGEN['ACCOUNTS'][{name!r}]"
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_ACCOUNT_NAME:
            words = f"named by 1 to {LONGEST_ACCOUNT_NAME} characters"
            yield _must_be(where, Rule(bool, words))
        elif is_left_to_runtime(entry):
            continue
        elif not isinstance(entry, Mapping):
            yield _must_be(where, Rule(bool, "a dict with API_ID and API_KEY"))
        else:
            yield from _unknown_keys(entry, ACCOUNT_KEYS, where=where)
            yield from _credential_messages(entry, where=where)


def _credential_messages(entry: Mapping[str, Any], *, where: str) -> Iterator[CheckMessage]:
    missing = [key for key in ("API_ID", "API_KEY") if not entry.get(key)]
    if missing:
        # Not an error: images are built and migrations made where no secret is at hand.
        yield Caution(
            f"{where} has no {' and no '.join(missing)}: nothing can be generated.",
            hint="Set CREATIFY_API_ID and CREATIFY_API_KEY in the environment, or give both here.",
            id="creatify_textgen.W001",
        )
    for key in ("API_ID", "API_KEY"):
        if entry.get(key) and not _is_header_value(entry[key]):
            words = "text of printable ASCII without spaces at its ends"
            yield _must_be(f"{where}['{key}']", Rule(bool, words))
    base_url = entry.get("BASE_URL")
    if base_url and not is_left_to_runtime(base_url) and not _is_origin(base_url):
        yield _must_be(f"{where}['BASE_URL']", Rule(bool, "https://host without query or user"))


def _is_header_value(value: Any) -> bool:
    if is_left_to_runtime(value):
        return True
    return (
        isinstance(value, str)
        and value == value.strip()
        and value.isascii()
        and value.isprintable()
    )
