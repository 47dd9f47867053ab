"""The `CREATIFY_TEXTGEN` setting as typed attributes, read live.

Known to all rooms and knows none. A value is read at each use, so `override_settings` works;
nothing here is cached and nothing here touches the network.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

__all__ = ["DEFAULTS", "Account", "conf"]

DEFAULT_BASE_URL = "https://api.creatify.ai"

DEFAULTS: dict[str, Any] = {
    "ACCOUNTS": None,
    "DEFAULT_MODEL": "gemini-2.5-flash",
    "MODELS": (
        "gemini-2.5-flash",
        "gemini-2.5-pro",
        "gemini-3-flash-preview",
        "gemini-3.1-pro-preview",
        "gemini-3.1-flash-lite-preview",
    ),
    "RESTRICT_MODELS": False,
    "WEBHOOK_BASE_URL": None,
    "CONFIRM_WEBHOOKS": True,
    "POLL_INTERVAL": 2,
    "POLL_MAX_INTERVAL": 60,
    "SUBMIT_LEASE": 15,
    "EXPIRE_AFTER": 86400,
    "RESEND_UNCONFIRMED": "if_absent",
    "STREAM_BACKEND": "memory://",
    "TIMEOUTS": {"connect": 5, "read": 30, "sync": 120, "stream_idle": 60},
    "MEDIA_STORAGE": "default",
    "CELERY_QUEUE": None,
    "STREAM_QUEUE": None,
}


@dataclass(frozen=True, slots=True)
class Account:
    """One workspace at the remote: the credentials and where to use them."""

    name: str
    api_id: str = field(repr=False)
    api_key: str = field(repr=False)
    base_url: str = DEFAULT_BASE_URL


class _Unshown(dict[str, Any]):
    """Settings of an account, whose `repr` an error report may show."""

    def __repr__(self) -> str:
        return "<settings of an account>"


class Conf:
    """Typed view of the setting; an attribute a key, in lower case."""

    def _read(self, key: str) -> Any:
        return self.configured.get(key, DEFAULTS[key])

    @property
    def configured(self) -> Mapping[str, Any]:
        """What the host wrote, without defaults."""
        value = getattr(django_settings, "CREATIFY_TEXTGEN", None) or {}
        if not isinstance(value, Mapping):
            raise ImproperlyConfigured("CREATIFY_TEXTGEN must be a dict.")
        return value

    @property
    def accounts(self) -> Mapping[str, Any]:
        """Named workspaces; without the key, one called `default` from the environment."""
        accounts = _resolve(self._read("ACCOUNTS"))
        if accounts is None:
            return {
                "default": {
                    "API_ID": os.environ.get("CREATIFY_API_ID", ""),
                    "API_KEY": os.environ.get("CREATIFY_API_KEY", ""),
                    "BASE_URL": os.environ.get("CREATIFY_BASE_URL") or DEFAULT_BASE_URL,
                }
            }
        if not isinstance(accounts, Mapping):
            raise ImproperlyConfigured("CREATIFY_TEXTGEN['ACCOUNTS'] must be a dict.")
        return accounts

    def account(self, name: str) -> Account:
        """Return the named workspace.

        Raises: ImproperlyConfigured where it is missing or lacks a credential.
        """
        entry = _resolve(self.accounts.get(name))
        if not isinstance(entry, Mapping):
            raise ImproperlyConfigured(f"CREATIFY_TEXTGEN['ACCOUNTS'] has no account {name!r}.")
        # Where a callable of the host's fails, its error's frames show what stands here.
        entry = _Unshown(entry)
        api_id, api_key = _resolve(entry.get("API_ID")), _resolve(entry.get("API_KEY"))
        if not api_id or not api_key:
            raise ImproperlyConfigured(
                f"The Creatify account {name!r} lacks API_ID or API_KEY: set them in "
                "CREATIFY_TEXTGEN['ACCOUNTS'], or CREATIFY_API_ID and CREATIFY_API_KEY in the "
                "environment."
            )
        base_url = _resolve(entry.get("BASE_URL")) or DEFAULT_BASE_URL
        return Account(name, str(api_id), str(api_key), str(base_url).rstrip("/"))

    @property
    def default_model(self) -> str:
        return str(self._read("DEFAULT_MODEL"))

    @property
    def models(self) -> Sequence[str]:
        return tuple(self._read("MODELS"))

    @property
    def restrict_models(self) -> bool:
        return bool(self._read("RESTRICT_MODELS"))

    @property
    def webhook_base_url(self) -> str | None:
        value = self._read("WEBHOOK_BASE_URL")
        return str(value).rstrip("/") if value else None

    @property
    def confirm_webhooks(self) -> bool:
        return bool(self._read("CONFIRM_WEBHOOKS"))

    @property
    def poll_interval(self) -> float:
        """Seconds to the first look at a pending generation."""
        return float(self._read("POLL_INTERVAL"))

    @property
    def poll_max_interval(self) -> float:
        """Seconds at which the backoff between looks stops growing."""
        return float(self._read("POLL_MAX_INTERVAL"))

    @property
    def submit_lease(self) -> float:
        """Seconds after a send's own timeout at which a send without an answer is unconfirmed."""
        return float(self._read("SUBMIT_LEASE"))

    @property
    def expire_after(self) -> float:
        """Seconds after the send at which we stop waiting."""
        return float(self._read("EXPIRE_AFTER"))

    @property
    def resend_unconfirmed(self) -> Literal["never", "if_absent"]:
        value = self._read("RESEND_UNCONFIRMED")
        if value not in ("never", "if_absent"):
            raise ImproperlyConfigured(
                "CREATIFY_TEXTGEN['RESEND_UNCONFIRMED'] must be 'never' or 'if_absent'."
            )
        return "never" if value == "never" else "if_absent"

    @property
    def stream_backend(self) -> str:
        return str(self._read("STREAM_BACKEND"))

    @property
    def timeouts(self) -> dict[str, float]:
        """Seconds under `connect`, `read`, `sync`, `stream_idle`; given ones over the defaults."""
        merged = {**DEFAULTS["TIMEOUTS"], **self._read("TIMEOUTS")}
        return {name: float(seconds) for name, seconds in merged.items()}

    @property
    def media_storage(self) -> str:
        return str(self._read("MEDIA_STORAGE"))

    @property
    def celery_queue(self) -> str | None:
        value: str | None = self._read("CELERY_QUEUE")
        return value

    @property
    def stream_queue(self) -> str | None:
        value: str | None = self._read("STREAM_QUEUE")
        return value


def _resolve(value: Any) -> Any:
    """Follow a dotted path to its object and call what can be called.

    A string without a dot, or one whose first part is no importable module, is itself: a key
    may contain a dot.
    """
    if isinstance(value, str) and "." in value and value.replace(".", "_").isidentifier():
        try:
            value = import_string(value)
        except ImportError:
            return value
    return _call(value) if callable(value) else value


def _call(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except ImproperlyConfigured:
        raise
    except Exception as error:
        # Not its words: a vault's client may quote what it was asked for.
        problem = f"A callable in CREATIFY_TEXTGEN['ACCOUNTS'] raised {type(error).__name__}."
        raise ImproperlyConfigured(problem) from error


conf = Conf()
