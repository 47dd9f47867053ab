"""Whether a text is an address that can be used. Reads no setting and opens no connection."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

__all__ = ["is_loopback", "is_optional_origin", "is_origin", "is_stream_backend"]

STREAM_SCHEMES = ("memory", "redis", "rediss", "unix")
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
"""Underscores are for the names of containers, a dot at the end for a name that a cluster must not
complete. Other alphabets are written as `xn--…`."""


def is_origin(value: Any) -> bool:
    """Whether this is http(s)://host, with or without port and path, and nothing else."""
    # urlsplit silently removes line breaks.
    if not isinstance(value, str) or " " in value or not (value.isascii() and value.isprintable()):
        return False
    parts = _split(value)
    if parts is None or parts.scheme not in ("http", "https") or parts.netloc.endswith(":"):
        return False
    return _is_host(parts.hostname) and not any(mark in value for mark in "@?#\\")


def is_optional_origin(value: Any) -> bool:
    return value is None or value == "" or is_origin(value)


def is_stream_backend(value: Any) -> bool:
    """Whether this is memory:// or the address of one Redis; its options are not examined."""
    if not isinstance(value, str) or " " in value or "://" not in value or "#" in value:
        return False
    parts = _split(value)
    # The scheme as it is written: redis-py, too, takes no capital letters.
    scheme = value.partition("://")[0]
    if parts is None or scheme not in STREAM_SCHEMES:
        return False
    if scheme == "unix":
        return len(parts.path) > 1
    # redis-py takes a database that is not a number for database 0.
    return scheme == "memory" or bool(re.fullmatch(r"/?[0-9]*", parts.path))


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _split(value: str) -> SplitResult | None:
    try:
        parts = urlsplit(value)
        # Raises if the port is not a number; no server has the port 0.
        return None if parts.port == 0 else parts
    except ValueError:
        return None


def _is_host(host: str | None) -> bool:
    if not host:
        return False
    if ":" not in host:
        return bool(HOST.fullmatch(host))
    try:
        return ip_address(host).version == 6
    except ValueError:
        return False
