"""Finds the name under which the host has mounted our URLs, nested or renamed.

Every room may import this module.
"""

from __future__ import annotations

from functools import cache

from django.conf import settings
from django.urls import URLResolver, get_resolver

__all__ = ["route_name"]

APP_NAME = "creatify_textgen"


def route_name(name: str) -> str:
    """Return what `reverse` needs for one of our routes, e.g. `api:creatify_textgen:webhook`."""
    # Not the URLconf of a request: workers and pumps, which have none, must find the same URLs.
    return ":".join([*_namespaces(settings.ROOT_URLCONF), name])


@cache
def _namespaces(urlconf: str) -> tuple[str, ...]:
    # If they are not mounted, `reverse` raises NoReverseMatch for the name alone.
    return tuple(_mounted(get_resolver(urlconf)) or [APP_NAME])


def _mounted(resolver: URLResolver) -> list[str] | None:
    for child in resolver.url_patterns:
        if not isinstance(child, URLResolver):
            continue
        inner = [] if child.app_name == APP_NAME else _mounted(child)
        if inner is not None:
            return [child.namespace, *inner] if child.namespace else inner
    return None
