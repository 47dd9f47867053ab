"""The `CREATIFY_TEXTGEN` setting as typed attributes, read live.

Every room may import this module; it imports no room. A value is read at each use, so
`override_settings` works. Nothing is cached here, and nothing uses the network.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Generic, Literal, TypeVar, cast

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from creatify_textgen.dotted_paths import resolve

T = TypeVar("T")

__all__ = ["DEFAULTS", "MOST_DAYS", "Account", "conf"]

MOST_DAYS = 36_500
"""The most days of a setting or a command. A million days ago is before the year 1."""
DEFAULT_BASE_URL = "https://api.creatify.ai"

DEFAULTS: dict[str, Any] = {
    "ACCOUNTS": None,
    # Not of the 2.5 line, which Google retires on 2026-12-01 (contract, 9).
    "DEFAULT_MODEL": "gemini-3-flash-preview",
    "MODELS": (
        "gemini-3-flash-preview",
        "gemini-3.1-pro-preview",
        "gemini-2.5-flash",
        "gemini-2.5-pro",
        "gemini-3.1-flash-lite-preview",
    ),
    "RESTRICT_MODELS": False,
    "POLICY": None,
    "CREATE_PERMISSION": None,
    "LIMITS": {
        "in_flight": 100,
        "streams": 20,
        "sync": 4,
        "uploads_per_day": 500,
        "upload_bytes_per_day": None,
        "refreshes_per_minute": 60,
        "max_output_tokens": None,
        "models": None,
    },
    "MIN_REMAINING": None,
    "CONTENT_RETENTION_DAYS": None,
    "STORE_CONTENT": True,
    "RECORD_READS": False,
    "WEBHOOK_BASE_URL": None,
    "CONFIRM_WEBHOOKS": True,
    # Creatify publishes no limits for polls (contract, 8), so they are few.
    "POLL_INTERVAL": 2,
    "POLL_MAX_INTERVAL": 60,
    "POLLS_AT_ONCE": 32,
    "SUBMIT_LEASE": 15,
    "EXPIRE_AFTER": 86400,
    "RESEND_UNCONFIRMED": "if_absent",
    "CALLS_AS_TEXT": True,
    "EXTRA_CONFIG": "refuse",
    "REST_ACCOUNTS": ("default",),
    "STREAM_BACKEND": "memory://",
    # Clients of Creatify wait up to 30 s for a create and 120 s for a sync one (contract, 8).
    "TIMEOUTS": {"connect": 5, "read": 30, "sync": 120, "stream_idle": 60},
    "MEDIA_STORAGE": "default",
    "CELERY_QUEUE": None,
    "STREAM_QUEUE": None,
    "ALLOW_REMOTE": True,
    "METRICS_TOKEN": None,
}


@dataclass(frozen=True, slots=True)
class Account:
    """One workspace at the remote: its credentials and the URL of the API."""

    name: str
    api_id: str = field(repr=False)
    api_key: str = field(repr=False)
    base_url: str


class _Unshown(dict[str, Any]):
    """Settings of an account, whose `repr` has no secret: an error report may show it."""

    def __repr__(self) -> str:
        return "<settings of an account>"


class _Value(Generic[T]):
    """A key of the setting as an attribute of one type."""

    def __init__(self, key: str, kind: Callable[[Any], T]) -> None:
        self._key, self._kind = key, kind

    def __get__(self, conf: Conf, owner: type[Conf]) -> T:
        return self._kind(conf._read(self._key))


class Conf:
    """Typed view of the setting: one attribute per key, in lower case."""

    def _read(self, key: str) -> Any:
        # A key that `DEFAULTS` lacks is a mistake below, and none of the host's settings.
        return self.configured.get(key, DEFAULTS[key])

    @property
    def configured(self) -> Mapping[str, Any]:
        """The setting without defaults. Raises: ImproperlyConfigured if it is not a dict."""
        value = getattr(django_settings, "CREATIFY_TEXTGEN", None) or {}
        if not isinstance(value, Mapping):
            raise ImproperlyConfigured("CREATIFY_TEXTGEN must be a dict.")
        return value

    @property
    def accounts(self) -> Mapping[str, Any]:
        """The workspaces by name. Without the key: one called `default`, from the environment.

        May be a callable or its dotted path. Raises: ImproperlyConfigured if it is not a dict.
        """
        accounts = resolve(self._read("ACCOUNTS"))
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

        Calls the host's callables, so it may take as long as they do. Raises: ImproperlyConfigured
        if the account is missing, lacks a credential, or a callable raises.
        """
        entry = resolve(self.accounts.get(name))
        if not isinstance(entry, Mapping):
            raise ImproperlyConfigured(f"CREATIFY_TEXTGEN['ACCOUNTS'] has no account {name!r}.")
        # If a callable fails, Django's error report shows the local variables of this function.
        entry = _Unshown(entry)
        api_id, api_key = resolve(entry.get("API_ID")), resolve(entry.get("API_KEY"))
        if not api_id or not api_key:
            raise ImproperlyConfigured(
                f"The Creatify account {name!r} lacks API_ID or API_KEY: set them in "
                "CREATIFY_TEXTGEN['ACCOUNTS'], or CREATIFY_API_ID and CREATIFY_API_KEY in the "
                "environment."
            )
        base_url = resolve(entry.get("BASE_URL")) or DEFAULT_BASE_URL
        if not all(isinstance(value, str) for value in (api_id, api_key, base_url)):
            raise ImproperlyConfigured(
                f"API_ID, API_KEY and BASE_URL of the Creatify account {name!r} must be text: "
                "check what callables and dotted paths in CREATIFY_TEXTGEN['ACCOUNTS'] return."
            )
        return Account(name, api_id, api_key, base_url.rstrip("/"))

    default_model = _Value("DEFAULT_MODEL", str)
    models = _Value[tuple[str, ...]]("MODELS", tuple)
    """The models to offer; others are accepted unless `restrict_models` is on."""
    restrict_models = _Value("RESTRICT_MODELS", bool)

    @property
    def policy(self) -> Callable[..., object] | None:
        """The host's own rule, or None. Raises: ImportError for a wrong path."""
        value = self._read("POLICY")
        rule = import_string(value) if isinstance(value, str) else value
        return cast("Callable[..., object] | None", rule)

    @property
    def create_permission(self) -> str | None:
        """The permission that REST callers need to spend credits, such as `app.codename`."""
        return cast("str | None", self._read("CREATE_PERMISSION"))

    @property
    def limits(self) -> dict[str, Any]:
        """The limits of each user: the host's values in the defaults; None means no limit."""
        # A site that sets one of them keeps the defaults of the others.
        return {**DEFAULTS["LIMITS"], **self._read("LIMITS")}

    @property
    def min_remaining(self) -> Decimal | None:
        """The credits of a workspace below which sends wait; None for no such limit."""
        value = self._read("MIN_REMAINING")
        # By its text: `Decimal(0.1)` is 0.1000000000000000055….
        return None if value is None else Decimal(str(value))

    store_content = _Value("STORE_CONTENT", bool)
    """False: a request and its result are dropped when it is final; see docs/how-to/privacy.md."""

    @property
    def record_reads(self) -> bool:
        """Whether the timeline says who read the content of others' generations."""
        return bool(self._read("RECORD_READS"))

    @property
    def content_retention_days(self) -> int | None:
        """Days after which prompts, results and media are removed; None keeps them."""
        return cast("int | None", self._read("CONTENT_RETENTION_DAYS"))

    @property
    def webhook_base_url(self) -> str | None:
        """The site's public URL without a slash at its end; None means no webhooks."""
        value = self._read("WEBHOOK_BASE_URL")
        # The path that is added to it begins with a slash.
        return str(value).rstrip("/") if value else None

    confirm_webhooks = _Value("CONFIRM_WEBHOOKS", bool)
    """Whether a delivery is confirmed by a poll before its content is used."""
    poll_interval = _Value("POLL_INTERVAL", float)
    """Seconds before the first poll of a pending generation."""
    poll_max_interval = _Value("POLL_MAX_INTERVAL", float)
    """The longest wait between two polls, in seconds."""
    polls_at_once = _Value("POLLS_AT_ONCE", int)
    """How many polls of one account a sweep has under way."""
    submit_lease = _Value("SUBMIT_LEASE", float)
    """Seconds within which a send begins after its lease; the lease lasts for this and the send."""
    expire_after = _Value("EXPIRE_AFTER", float)
    """Seconds after the first send; then it expires. A late result is still accepted."""

    @property
    def resend_unconfirmed(self) -> Literal["never", "if_absent"]:
        """Whether to send again what never arrived. Raises: ImproperlyConfigured for any other."""
        value = self._read("RESEND_UNCONFIRMED")
        if value in ("never", "if_absent"):
            return cast("Literal['never', 'if_absent']", value)
        problem = "CREATIFY_TEXTGEN['RESEND_UNCONFIRMED'] must be 'never' or 'if_absent'."
        raise ImproperlyConfigured(problem)

    rest_accounts = _Value[tuple[str, ...]]("REST_ACCOUNTS", tuple)
    extra_config = _Value("EXTRA_CONFIG", str)
    calls_as_text = _Value("CALLS_AS_TEXT", bool)
    stream_backend = _Value("STREAM_BACKEND", str)

    @property
    def timeouts(self) -> dict[str, float]:
        """Seconds under `connect`, `read`, `sync`, `stream_idle`; missing ones have defaults."""
        merged = {**DEFAULTS["TIMEOUTS"], **self._read("TIMEOUTS")}
        return {name: float(seconds) for name, seconds in merged.items()}

    media_storage = _Value("MEDIA_STORAGE", str)

    @property
    def celery_queue(self) -> str | None:
        """The queue of sends and sweeps; None means Celery's default."""
        return cast("str | None", self._read("CELERY_QUEUE"))

    @property
    def stream_queue(self) -> str | None:
        """The queue of streams; None means Celery's default. A stream holds its worker for long."""
        return cast("str | None", self._read("STREAM_QUEUE"))

    allow_remote = _Value("ALLOW_REMOTE", bool)
    """False in tests: only this machine is called."""

    @property
    def metrics_token(self) -> str | None:
        """The token of a program that reads the metrics; None if only staff may read them."""
        return cast("str | None", self._read("METRICS_TOKEN"))


conf = Conf()
