"""Signed deliveries for dj-stripe's webhook view, in the form of Stripe's documentation.

The event is `balance.available`. dj-stripe saves it and has no handler for it. Handlers of most
other events request the object from Stripe's API first, which would take much longer.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid

__all__ = ["ENDPOINT_ID", "SIGNING_SECRET", "event_body", "signed_request"]

ENDPOINT_ID = uuid.UUID("5f0c9d1e-7a34-4b52-9c1d-2f6b8e0a4c11")
SIGNING_SECRET = "whsec_not_a_secret"


def event_body() -> bytes:
    """Return a new event, formatted like those of Stripe."""
    money = [{"amount": 105_217, "currency": "usd", "source_types": {"card": 105_217}}]
    event = {
        "id": f"evt_{uuid.uuid4().hex[:24]}",
        "object": "event",
        "api_version": "2025-03-31.basil",
        "created": int(time.time()),
        "data": {
            "object": {
                "object": "balance",
                "available": money,
                "connect_reserved": [{"amount": 0, "currency": "usd"}],
                "livemode": False,
                "pending": money,
            }
        },
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": "balance.available",
    }
    return json.dumps(event, indent=2).encode()


def signed_request(body: bytes) -> bytes:
    """Return the whole HTTP request for it. The signature is valid for five minutes."""
    moment = int(time.time())
    signed = b"%d.%s" % (moment, body)
    signature = hmac.new(SIGNING_SECRET.encode(), signed, hashlib.sha256).hexdigest()
    head = (
        f"POST /stripe/webhook/{ENDPOINT_ID}/ HTTP/1.1\r\nHost: localhost\r\n"
        "Content-Type: application/json; charset=utf-8\r\nUser-Agent: Stripe/1.0\r\n"
        f"Stripe-Signature: t={moment},v1={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
