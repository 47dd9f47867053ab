"""An error before the first frame, as JSON with the status that fits."""

from __future__ import annotations

import json

from rest_framework.response import Response

from creatify_textgen.http.errors import STATUS_OF_CODE, printable
from creatify_textgen.hub import Frame
from creatify_textgen.models import Generation

__all__ = ["refusal"]

STATUS_OF_OUTAGE = {"remote_unavailable": 503, "unconfirmed": 504, "expired": 504}
"""A frame keeps no more of an outage than its code."""
RETRY_SECONDS = {"rate_limited": 10, "remote_unavailable": 10, "not_taken_up": 5}
"""Where the remote named no time. What may have been accepted is not to be asked for again."""


def refusal(frame: Frame, generation: Generation) -> Response:
    """Return the answer that an error frame is where nothing came before it."""
    failure = json.loads(frame.data)
    code = failure["code"]
    # What has no status of its own is a fault between us and the remote.
    status = {**STATUS_OF_CODE, **STATUS_OF_OUTAGE}.get(code, 502)
    wait = failure.get("retry_after", RETRY_SECONDS.get(code))
    headers = {"X-Generation-Id": str(generation.pk)}
    if wait is not None:
        headers["Retry-After"] = str(wait)
    body = {"error": failure["message"], "code": code, "id": str(generation.pk)}
    return Response(printable(body), status=status, headers=headers)
