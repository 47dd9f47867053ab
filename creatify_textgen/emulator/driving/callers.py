"""Who may call: on loopback only this machine's own programs, not pages of other sites.

A page in a browser can reach loopback under its own name (DNS rebinding) or by a form. Its
requests show it in `Host`, `Origin` or the content type. Pure.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from creatify_textgen.emulator.http.exchange import Head

__all__ = ["foreign_reason", "is_json"]


def foreign_reason(head: Head, *, bound: str) -> str:
    """Return why a request comes from elsewhere, or an empty string.

    `bound` is the host that the emulator listens on. If it is not loopback, other machines may
    call by any name.
    """
    host, origin = head.headers.get("host", ""), head.headers.get("origin", "")
    # After a rebinding of its name, a page's requests arrive here and still have that name.
    if host and is_loopback(bound) and not is_loopback(_name_of(f"//{host}")):
        return f"The emulator is not served as {host!r}; call it by its address on loopback."
    # Other ports of this machine are allowed: a developer's front end is served from one.
    if origin and _name_of(origin) != bound and not is_loopback(_name_of(origin)):
        return f"Pages of {origin!r} may not call the emulator."
    return ""


def is_json(head: Head) -> bool:
    """Return whether the request says that its body is JSON, which no HTML form can."""
    # A browser asks by a preflight before it sends this type elsewhere, and gets no permission.
    kind = head.headers.get("content-type", "").partition(";")[0]
    return kind.strip().lower() == "application/json"


def is_loopback(name: str) -> bool:
    # RFC 6761, section 6.3: names under `localhost` are loopback, and no DNS answers for them.
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _name_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
