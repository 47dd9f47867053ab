"""The minimal relay of `streaming_latency`: a WSGI app that forwards a stream.

It stores nothing, numbers nothing and cannot resume. The variable UPSTREAM is its only setting.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import requests

UPSTREAM = os.environ["UPSTREAM"]


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    with requests.post(UPSTREAM, data=body, stream=True, timeout=60) as response:
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        yield from response.iter_content(None)
