"""Checks each setting by itself: names, types, ranges, accounts.

Invariant: a wrong value is reported with its key before any code uses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution

from creatify_textgen.checks.addresses import is_loopback, is_origin
from creatify_textgen.checks.rules import (
    LIMIT,
    MODELS_ALLOWED,
    RULES,
    TIMEOUT,
    found_at,
    is_header_value,
    is_left_to_runtime,
    leads_nowhere,
    must_be,
    unknown_keys,
)
from creatify_textgen.conf import DEFAULTS, conf

__all__ = ["check_values"]

DEFAULT_ACCOUNT = "default"
ACCOUNT_KEYS = ("API_ID", "API_KEY", "BASE_URL")
LONGEST_ACCOUNT_NAME = 64


def check_values(**_: Any) -> list[CheckMessage]:
    """Check each value of the setting by itself."""
    value = getattr(settings, "CREATIFY_TEXTGEN", None)
    if value is not None and not isinstance(value, Mapping):
        return [Error("CREATIFY_TEXTGEN must be a dict.", id="creatify_textgen.E001")]
    configured = conf.configured
    return [
        *unknown_keys(configured, DEFAULTS, where="CREATIFY_TEXTGEN"),
        *_wrong_values(configured),
        *_timeout_messages(configured.get("TIMEOUTS")),
        *_limit_messages(configured.get("LIMITS")),
        *_order_messages(configured),
        *_account_messages(configured.get("ACCOUNTS")),
    ]


def _wrong_values(configured: Mapping[str, Any]) -> Iterator[Error]:
    for key, rule in RULES.items():
        if key in configured and not rule.holds(configured[key]):
            yield must_be(f"CREATIFY_TEXTGEN['{key}']", rule.words)


def _timeout_messages(timeouts: Any) -> Iterator[Error]:
    if not isinstance(timeouts, Mapping):
        return
    where = "CREATIFY_TEXTGEN['TIMEOUTS']"
    yield from unknown_keys(timeouts, DEFAULTS["TIMEOUTS"], where=where)
    for key in DEFAULTS["TIMEOUTS"]:
        if key in timeouts and not TIMEOUT.holds(timeouts[key]):
            yield must_be(f"{where}['{key}']", TIMEOUT.words)


def _limit_messages(limits: Any) -> Iterator[Error]:
    if not isinstance(limits, Mapping):
        return
    where = "CREATIFY_TEXTGEN['LIMITS']"
    yield from unknown_keys(limits, DEFAULTS["LIMITS"], where=where)
    for key in DEFAULTS["LIMITS"]:
        rule = MODELS_ALLOWED if key == "models" else LIMIT
        if key in limits and not rule.holds(limits[key]):
            yield must_be(f"{where}['{key}']", rule.words)


def _order_messages(configured: Mapping[str, Any]) -> Iterator[Error]:
    """Report values that are valid alone but contradict each other."""
    # Also compared with defaults, because one of the two is often not set.
    merged = {**DEFAULTS, **configured}
    # `_wrong_values` reports those, and a comparison of a text with a number would raise.
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
    accounts = found_at(accounts)
    # A callable may ask a vault for its accounts, so nothing is known of them here.
    if callable(accounts) or _is_unknown(accounts):
        return
    if accounts is not None and not isinstance(accounts, Mapping):
        yield must_be("CREATIFY_TEXTGEN['ACCOUNTS']", "a dict of accounts")
        return
    yield from _name_messages(conf.accounts)
    yield from _rest_messages(conf.accounts)
    for name, entry in conf.accounts.items():
        if _is_account_name(name):
            yield from _entry_messages(name, found_at(entry))


def _name_messages(accounts: Mapping[Any, Any]) -> Iterator[CheckMessage]:
    wrong = [name for name in accounts if not _is_account_name(name)]
    for name in wrong:
        words = f"named by 1 to {LONGEST_ACCOUNT_NAME} characters, without control characters and "
        where = f"CREATIFY_TEXTGEN['ACCOUNTS'][{name!r}]"
        yield must_be(where, f"{words}without spaces at its ends")
    if wrong:
        return
    if DEFAULT_ACCOUNT not in accounts:
        yield Caution(
            f"CREATIFY_TEXTGEN['ACCOUNTS'] has no account {DEFAULT_ACCOUNT!r}: the REST API, the "
            "commands and each request without `account=` use it, and fail.",
            hint=f"Name one of the accounts {DEFAULT_ACCOUNT!r}.",
            id="creatify_textgen.W018",
        )
    # The account is part of unique constraints, and the default collation of MariaDB ignores case.
    if len({name.casefold() for name in accounts}) < len(accounts):
        yield Error(
            "CREATIFY_TEXTGEN['ACCOUNTS'] has names that differ only in capital letters: MariaDB "
            "takes them for one.",
            hint="Give each account another name.",
            id="creatify_textgen.E004",
        )


def _rest_messages(accounts: Mapping[Any, Any]) -> Iterator[Error]:
    listed = conf.configured.get("REST_ACCOUNTS", ())
    if not RULES["REST_ACCOUNTS"].holds(listed):
        return
    unknown = [name for name in listed if name not in accounts]
    if unknown:
        yield Error(
            f"CREATIFY_TEXTGEN['REST_ACCOUNTS'] lists {', '.join(unknown)}, and ACCOUNTS does not.",
            hint="Add the account to ACCOUNTS, or take its name from REST_ACCOUNTS.",
            id="creatify_textgen.E004",
        )


def _entry_messages(name: str, entry: Any) -> Iterator[CheckMessage]:
    where = f"CREATIFY_TEXTGEN['ACCOUNTS'][{name!r}]"
    if callable(entry) or _is_unknown(entry):
        return
    if not isinstance(entry, Mapping):
        yield must_be(where, "a dict with API_ID and API_KEY")
    else:
        yield from unknown_keys(entry, ACCOUNT_KEYS, where=where)
        yield from _credential_messages(entry, where=where)


def _is_unknown(value: Any) -> bool:
    """Whether this is a dotted path into a package that is not on this machine."""
    return is_left_to_runtime(value) and not leads_nowhere(value)


def _is_account_name(name: Any) -> bool:
    is_text = isinstance(name, str) and name == name.strip() and name.isprintable()
    return is_text and 0 < len(name) <= LONGEST_ACCOUNT_NAME


def _credential_messages(entry: Mapping[str, Any], *, where: str) -> Iterator[CheckMessage]:
    missing = [key for key in ("API_ID", "API_KEY") if not entry.get(key)]
    if missing:
        # Only a warning: images are built, and migrations made, without secrets.
        yield Caution(
            f"{where} has no {' and no '.join(missing)}: nothing can be generated.",
            hint="Set CREATIFY_API_ID and CREATIFY_API_KEY in the environment, or set both here.",
            id="creatify_textgen.W001",
        )
    for key in ACCOUNT_KEYS:
        # A warning, because a key may be any text: one of the form `name.name` is possible.
        if leads_nowhere(entry.get(key)):
            yield Caution(
                f"{where}['{key}'] looks like a dotted path, but cannot be imported: it is used as "
                "the value itself.",
                hint="Correct the path, if it is one.",
                id="creatify_textgen.W019",
            )
    for key in ("API_ID", "API_KEY"):
        if entry.get(key) and not is_header_value(found_at(entry[key])):
            words = "printable ASCII text without spaces at its ends"
            yield must_be(f"{where}['{key}']", words)
    yield from _base_url_messages(found_at(entry.get("BASE_URL")), where=where)


def _base_url_messages(base_url: Any, *, where: str) -> Iterator[CheckMessage]:
    where = f"{where}['BASE_URL']"
    # Empty: the default applies.
    if not base_url or is_left_to_runtime(base_url):
        return
    if not is_origin(base_url):
        yield must_be(where, "https://host in ASCII, without query or user")
    elif urlsplit(base_url).scheme != "https" and not is_loopback(base_url):
        yield Caution(
            f"{where} is not https: the keys of the account are sent without encryption.",
            hint="Use https://; http is for loopback only.",
            id="creatify_textgen.W021",
        )
