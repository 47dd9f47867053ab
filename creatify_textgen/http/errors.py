"""Errors to answers, for our views alone; the host's own handler is left as it is.

Invariant: every body has `error` (text) and `code`, and `errors` by field where fields are known.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from rest_framework.exceptions import ParseError
from rest_framework.response import Response
from rest_framework.views import exception_handler, set_rollback

from creatify_textgen.exceptions import (
    ContractError,
    RateLimitedError,
    RemoteError,
    RemoteRejectedError,
    RemoteUnavailableError,
    RequestError,
    StreamError,
    TextgenError,
    TransitionError,
)
from creatify_textgen.http.parsers import BodyTooLarge

__all__ = ["STATUS_OF_CODE", "printable", "render_error"]

STATUS_OF_CODE: dict[str, int] = {
    "invalid_request": 400,
    "blocked": 400,
    "idempotency_conflict": 409,
    "cancelled": 409,
    "insufficient_credits": 402,
    # Wrong credentials are the site's fault, not the caller's.
    "authentication": 502,
    "not_found": 502,
    "media_not_found": 404,
    "media_missing": 410,
    "media_storage_failed": 503,
    "rate_limited": 429,
    "not_taken_up": 503,
    "not_configured": 503,
}
STATUS_OF_CLASS: dict[type[TextgenError], int] = {
    RequestError: 400,
    TransitionError: 409,
    RateLimitedError: 429,
    RemoteRejectedError: 400,
    RemoteUnavailableError: 503,
    ContractError: 502,
    RemoteError: 502,
    StreamError: 502,
}


def render_error(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the answer to an error raised in one of our views, or None for a bug's 500."""
    if isinstance(error, TextgenError):
        return _render_ours(error)
    response = exception_handler(_as_api_exception(error), context)
    if response is not None:
        response.data = _uniform(response.data, error)
    return response


def _render_ours(error: TextgenError) -> Response:
    set_rollback()
    body: dict[str, Any] = {"error": str(error), "code": error.code}
    if isinstance(error, RequestError):
        body["errors"] = error.errors
    retry_after = getattr(error, "retry_after", None)
    headers = {} if retry_after is None else {"Retry-After": str(math.ceil(retry_after))}
    return Response(printable(body), status=_status_of(error), headers=headers)


def _status_of(error: TextgenError) -> int:
    if error.code in STATUS_OF_CODE:
        return STATUS_OF_CODE[error.code]
    if isinstance(error, RemoteUnavailableError) and error.status is None and error.request_sent:
        return 504
    return next((s for cls, s in STATUS_OF_CLASS.items() if isinstance(error, cls)), 500)


def _as_api_exception(error: Exception) -> Exception:
    if isinstance(error, RequestDataTooBig):
        return BodyTooLarge.for_setting()
    if isinstance(error, SuspiciousOperation):
        # Too many fields or files in a form.
        return ParseError(str(error))
    return error


def _uniform(detail: Any, error: Exception) -> dict[str, Any]:
    code = getattr(error, "default_code", None) or "error"
    if isinstance(detail, Mapping) and set(detail) == {"detail"}:
        text = str(detail["detail"])
        code = getattr(detail["detail"], "code", None) or code
        return {"error": text, "code": code, "detail": text}
    errors = {field: list(_texts(texts)) for field, texts in _by_field(detail)}
    text = "; ".join(f"{field}: {texts[0]}" for field, texts in errors.items())
    return {"error": text, "code": "invalid_request", "detail": text, "errors": errors}


def _by_field(detail: Any) -> list[tuple[str, Any]]:
    return list(detail.items()) if isinstance(detail, Mapping) else [("", detail)]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield str(value)
    else:
        for item in value:
            yield from _texts(item)


def printable(value: Any) -> Any:
    """Return JSON's values without lone surrogates, which would break the answer they are in."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {printable(key): printable(item) for key, item in value.items()}
    return [printable(item) for item in value] if isinstance(value, list) else value
