"""The webhook URL of a generation and the token that guards it.

The token is an HMAC of the row's id with the site's secret key: nothing is stored, and a key
that was rotated out still verifies while it stands in `SECRET_KEY_FALLBACKS`.
"""

from __future__ import annotations

import hmac
import uuid
from contextlib import suppress
from functools import cache
from hashlib import sha256

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.urls import NoReverseMatch, URLResolver, get_resolver, reverse
from django.utils.crypto import constant_time_compare

from creatify_textgen.conf import conf
from creatify_textgen.models import Generation
from creatify_textgen.services.snapshots import expects_webhook

__all__ = ["is_valid_token", "make_token", "webhook_path", "webhook_url"]

APP_NAME = "creatify_textgen"
SALT = b"creatify_textgen.webhook"
TOKEN_LENGTH = 32
"""Hex digits: 128 bits, and the URL stays under the remote's 200 characters."""


def make_token(generation_id: uuid.UUID) -> str:
    """Return the token for this generation's webhook URL."""
    return _token(generation_id, settings.SECRET_KEY)


def is_valid_token(generation_id: uuid.UUID, token: str) -> bool:
    """Compare in constant time, with today's key and those rotated out."""
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    matches = [constant_time_compare(token, _token(generation_id, key)) for key in keys]
    return any(matches)


def webhook_url(generation: Generation) -> str:
    """Return the public URL the remote is told, or "" where it is told none.

    Raises: ImproperlyConfigured where the host has not mounted the receiver.
    """
    if not expects_webhook(generation):
        return ""
    try:
        path = webhook_path(generation.pk, token=make_token(generation.pk))
    except NoReverseMatch as error:
        raise ImproperlyConfigured(f"WEBHOOK_BASE_URL is set. {error}") from None
    return f"{conf.webhook_base_url}{path}"


def webhook_path(generation_id: uuid.UUID, *, token: str) -> str:
    """Return the receiver's path. Raises: NoReverseMatch where the host has not mounted it."""
    arguments = {"generation_id": generation_id, "token": token}
    with suppress(NoReverseMatch):
        return reverse(_route_name(settings.ROOT_URLCONF), kwargs=arguments)
    # Anew, because Django's own words quote the token.
    raise NoReverseMatch("The site's URLs do not include creatify_textgen.urls.")


@cache
def _route_name(urlconf: str) -> str:
    """Return the name under which the host has mounted the receiver, nested or renamed."""
    namespaces = _mounted(get_resolver(urlconf)) or [APP_NAME]
    return ":".join([*namespaces, "webhook"])


def _mounted(resolver: URLResolver) -> list[str] | None:
    for child in resolver.url_patterns:
        if not isinstance(child, URLResolver):
            continue
        inner = [] if child.app_name == APP_NAME else _mounted(child)
        if inner is not None:
            return [child.namespace, *inner] if child.namespace else inner
    return None


def _token(generation_id: uuid.UUID, secret: str | bytes) -> str:
    key = secret.encode() if isinstance(secret, str) else secret
    return hmac.new(SALT + key, generation_id.bytes, sha256).hexdigest()[:TOKEN_LENGTH]
