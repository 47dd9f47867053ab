"""Reads the certificates that are trusted once, and not for each connection.

urllib3 reads the file whenever a connection is opened, so for each send: 20 ms of CPU time.
Invariant: a file that has changed is read again.
"""

from __future__ import annotations

import ssl
from functools import lru_cache
from pathlib import Path
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.util import create_urllib3_context

__all__ = ["TrustingAdapter"]


class TrustingAdapter(HTTPAdapter):
    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
        # For a proxy that itself speaks TLS, urllib3 needs the name of the file.
        if conn.ca_certs and conn.proxy is None:
            changed_at = Path(conn.ca_certs).stat().st_mtime_ns
            conn.conn_kw["ssl_context"] = _trusting(conn.ca_certs, changed_at)
            conn.ca_certs = None


@lru_cache(maxsize=4)
def _trusting(certificates: str, _changed_at: int) -> ssl.SSLContext:
    context = create_urllib3_context()
    context.load_verify_locations(certificates)
    return context
