"""An error before the first frame, as JSON with the status that fits."""

from __future__ import annotations

import json

from rest_framework.response import Response

from creatify_textgen.http.errors import STATUS_OF_CODE, printable
from creatify_textgen.hub import Frame

__all__ = ["refusal"]

STATUS_OF_OUTAGE = {"remote_unavailable": 503, "expired": 504}
"""A frame keeps no more of an outage than its code."""
RETRY_SECONDS = {"rate_limited": 10, "remote_unavailable": 10, "not_taken_up": 5}


def refusal(frame: Frame) -> Response:
    """Return the answer that an error frame is where nothing came before it."""
    failure = json.loads(frame.data)
    code = failure["code"]
    # What has no status of its own is a fault between us and the remote.
    status = {**STATUS_OF_CODE, **STATUS_OF_OUTAGE}.get(code, 502)
    headers = {"Retry-After": str(RETRY_SECONDS[code])} if code in RETRY_SECONDS else {}
    body = printable({"error": failure["message"], "code": code})
    return Response(body, status=status, headers=headers)
