"""Turns an error before the first frame into a JSON response with a fitting HTTP status."""

from __future__ import annotations

import json

from rest_framework.response import Response

from creatify_textgen.http.errors import STATUS_OF_CODE, printable
from creatify_textgen.models import Generation
from creatify_textgen.streams.hub import Frame

__all__ = ["refusal"]

STATUS_OF_OUTAGE = {"remote_unavailable": 503, "unconfirmed": 504, "expired": 504}
"""Statuses for outages. A frame holds only the code of an error, not the remote's status."""
RETRY_SECONDS = {"rate_limited": 10, "remote_unavailable": 10, "not_taken_up": 5}
"""`Retry-After` if the remote named no time. Codes of requests that the remote may have accepted
are absent, because such a request must not be sent again."""


def refusal(frame: Frame, generation: Generation) -> Response:
    """Return the JSON response for an error frame that is the first frame of its stream.

    The body is `{"error": "…", "code": "rate_limited", "id": "<generation>"}`.
    """
    failure = json.loads(frame.data)
    code = failure["code"]
    # A code without a status is a fault between this site and the remote: 502, bad gateway.
    status = {**STATUS_OF_CODE, **STATUS_OF_OUTAGE}.get(code, 502)
    wait = failure.get("retry_after", RETRY_SECONDS.get(code))
    headers = {"X-Generation-Id": str(generation.pk)}
    if wait is not None:
        headers["Retry-After"] = str(wait)
    # The message may be the remote's, and have half a character, which UTF-8 cannot write.
    body = {"error": failure["message"], "code": code, "id": str(generation.pk)}
    return Response(printable(body), status=status, headers=headers)
