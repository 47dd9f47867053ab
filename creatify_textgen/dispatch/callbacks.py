"""The webhook URL of a generation, and the token that protects it.

The token is an HMAC of the row's id with the site's secret key, so nothing is stored. A former
key still verifies tokens while it is in `SECRET_KEY_FALLBACKS`.
"""

from __future__ import annotations

import hmac
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.urls import NoReverseMatch, get_script_prefix, reverse, set_script_prefix
from django.utils import translation
from django.utils.crypto import constant_time_compare

from creatify_textgen.conf import conf
from creatify_textgen.dispatch.snapshots import expects_webhook
from creatify_textgen.models import Generation, uuid7
from creatify_textgen.mounting import route_name
from creatify_textgen.remote.contract import MAX_WEBHOOK_URL_LENGTH

__all__ = ["is_valid_token", "make_token", "probe_urls", "webhook_path", "webhook_url"]

SALT = b"creatify_textgen.webhook"
TOKEN_LENGTH = 32
"""Hex digits: 128 bits, half of the HMAC, as RFC 2104, 5 allows. A whole one would take 32 more of
the 200 characters that the remote allows for a URL (contract, section 3)."""
LONGEST_URL = MAX_WEBHOOK_URL_LENGTH


def make_token(generation_id: uuid.UUID) -> str:
    """Return the token for this generation's webhook URL."""
    return _token(generation_id, settings.SECRET_KEY)


def is_valid_token(generation_id: uuid.UUID, token: str) -> bool:
    """Compare in constant time, with `SECRET_KEY` and each of `SECRET_KEY_FALLBACKS`."""
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    # A list, so that the time is the same whichever key fits.
    matches = [constant_time_compare(token, _token(generation_id, key)) for key in keys]
    return any(matches)


def webhook_url(generation: Generation) -> str:
    """Return the public URL that the remote posts to, or "" if webhooks are off.

    Raises: ImproperlyConfigured if the host has not mounted the receiver.
    """
    if not expects_webhook(generation):
        return ""
    try:
        path = webhook_path(generation.pk, token=make_token(generation.pk))
    except NoReverseMatch as error:
        raise ImproperlyConfigured(f"WEBHOOK_BASE_URL is set. {error}") from None
    return f"{conf.webhook_base_url}{path}"


def webhook_path(generation_id: uuid.UUID, *, token: str) -> str:
    """Return the receiver's path. Raises: NoReverseMatch if the host has not mounted it."""
    arguments = {"generation_id": generation_id, "token": token}
    with suppress(NoReverseMatch), _same_prefix_everywhere(), translation.override(_language()):
        return reverse(route_name("webhook"), kwargs=arguments)
    # A new error, because the text of Django's error contains the token.
    raise NoReverseMatch("The site's URLs do not include creatify_textgen.urls.")


@contextmanager
def _same_prefix_everywhere() -> Iterator[None]:
    """Leave out the SCRIPT_NAME of a web request: a worker has none and must make the same URL."""
    prefix = get_script_prefix()
    set_script_prefix(settings.FORCE_SCRIPT_NAME or "/")
    try:
        yield
    finally:
        set_script_prefix(prefix)


def _language() -> str:
    """Return the language in which a host with `i18n_patterns` finds its path again.

    The same everywhere, and one that its LocaleMiddleware knows: Django's own default, `en-us`, is
    not in `LANGUAGES`, so paths that begin with it lead nowhere.
    """
    with suppress(LookupError):
        return translation.get_supported_language_variant(settings.LANGUAGE_CODE)
    return settings.LANGUAGE_CODE


def _token(generation_id: uuid.UUID, secret: str | bytes) -> str:
    # The salt keeps these tokens apart from everything else that the host signs with its key.
    key = secret.encode() if isinstance(secret, str) else secret
    return hmac.new(SALT + key, generation_id.bytes, sha256).hexdigest()[:TOKEN_LENGTH]


def probe_urls() -> tuple[str, str]:
    """Return two webhook URLs of a generation that does not exist: with a valid and a wrong token.

    Raises: NoReverseMatch if the app's URLs are not included.
    """
    generation_id = uuid7()
    right = webhook_path(generation_id, token=make_token(generation_id))
    wrong = webhook_path(generation_id, token=secrets.token_hex(16))
    return f"{conf.webhook_base_url}{right}", f"{conf.webhook_base_url}{wrong}"
