"""Refusals in every shape that section 2.3 of the contract lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any

from creatify_textgen.emulator.faults.clock import remote_time
from creatify_textgen.emulator.faults.switches import Settings
from creatify_textgen.emulator.http.exchange import Answer, json_answer, text_answer
from creatify_textgen.emulator.requests.validation import Problem

__all__ = ["error_answer", "invalid_answer"]

TEXTS = {
    200: "The generation could not be created.",
    400: "Invalid request body or model not found.",
    401: "Missing or invalid API credentials.",
    402: "Insufficient credits.",
    403: "You do not have permission to perform this action.",
    404: "Not found.",
    413: "The request body is too large.",
    415: "Unsupported media type in request; send application/json.",
    429: "Request was throttled.",
    # Google's status for a generation that was cancelled, which may be charged.
    499: "The operation was cancelled.",
}
# Under /api/ Creatify answers with the texts of Django REST framework.
LEGACY_TEXTS = {
    401: "Authentication credentials were not provided.",
    404: "No TextGeneration matches the given query.",
}
PAGE = (
    "<html>\n<head><title>{0}</title></head>\n<body><center><h1>{0}</h1></center></body>\n</html>"
)
BODIES: dict[str, Callable[[str, str], Any]] = {
    "error": lambda field, text: {"error": text},
    "detail": lambda field, text: {"detail": text},
    "field": lambda field, text: {field or "messages": [text]},
    "non_field": lambda field, text: {"non_field_errors": [text]},
    "list": lambda field, text: [text],
}


def error_answer(
    status: int,
    *,
    settings: Settings,
    legacy: bool = False,
    text: str = "",
    field: str = "",
    now: datetime | None = None,
) -> Answer:
    """Return a refusal: 4xx in the style switched on, 500 as text, gateway errors as HTML."""
    headers = _retry_headers(settings, now=now) if status in (429, 503) else {}
    # No style applies to these: Starlette writes the 500, and a load balancer what is above.
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _server_error(status, headers=headers)
    style = settings.error_body
    if legacy and style == "error":
        style = "field" if field else "detail"
    text = text or (LEGACY_TEXTS.get(status) if legacy else "") or TEXTS[status]
    if style == "text":
        return text_answer(text, status=status, headers=headers)
    if style == "html":
        return Answer(status, PAGE.format(text).encode(), "text/html; charset=utf-8", headers)
    body = json_answer(BODIES[style](field, text)).body
    return Answer(status, body, headers=headers)


def invalid_answer(problems: Sequence[Problem], *, settings: Settings, legacy: bool) -> Answer:
    """Return the 400 that names the first problems."""
    text = "; ".join(
        f"{problem.path}: {problem.text}" if problem.path else problem.text
        for problem in problems[:5]
    )
    field = problems[0].path.partition(".")[0].partition("[")[0]
    return error_answer(400, settings=settings, legacy=legacy, text=text, field=field)


def _server_error(status: int, *, headers: dict[str, str]) -> Answer:
    phrase = HTTPStatus(status).phrase
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return text_answer(phrase, status=status, headers=headers)
    page = PAGE.format(f"{status} {phrase}").encode()
    return Answer(status, page, "text/html", headers)


def _retry_headers(settings: Settings, *, now: datetime | None) -> dict[str, str]:
    if settings.retry_after == "none":
        return {}
    if settings.retry_after == "seconds":
        return {"Retry-After": str(settings.retry_after_seconds)}
    # One second more, for the header's date has no fractions.
    shown = remote_time(now or datetime.now(UTC), settings=settings)
    moment = shown + timedelta(seconds=settings.retry_after_seconds + 1)
    return {"Retry-After": format_datetime(moment.astimezone(UTC), usegmt=True)}
