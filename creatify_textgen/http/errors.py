"""Turns errors into responses. Only our views use it; the host's exception handler is not changed.

Invariant: every body has `error` (text) and `code`. If fields are wrong, it also has `errors`, a
list of messages per field.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from django.apps import apps
from django.core.exceptions import ObjectDoesNotExist, RequestDataTooBig, SuspiciousOperation
from django.http import UnreadablePostError
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import NotFound, ParseError
from rest_framework.response import Response
from rest_framework.views import exception_handler, set_rollback

from creatify_textgen import databases
from creatify_textgen.exceptions import (
    ContractError,
    PolicyRefusal,
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
from creatify_textgen.logs import REQUESTS

__all__ = ["STATUS_OF_CODE", "printable", "render_error"]

OUTAGE = _(
    "The database of this site does not answer. Try again in a moment; with the same "
    "Idempotency-Key nothing is asked for twice."
)
OUTAGE_RETRY_SECONDS = 5

STATUS_OF_CODE: dict[str, int] = {
    "invalid_request": 400,
    "blocked": 400,
    "missing_thought_signature": 400,
    "missing_call_id": 400,
    "idempotency_conflict": 409,
    "cancelled": 409,
    "insufficient_credits": 402,
    # Wrong credentials for Creatify are the fault of the site, not of its user.
    "authentication": 502,
    "not_found": 502,
    "media_not_found": 404,
    "media_missing": 410,
    "media_storage_failed": 503,
    "rate_limited": 429,
    "not_taken_up": 503,
    "not_configured": 503,
    "database_unavailable": 503,
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
    """Return the response to an error in one of our views, or None, which makes it a 500."""
    if isinstance(error, TextgenError):
        return _render_ours(error)
    if databases.is_outage(error):
        return _render_outage(error)
    response = exception_handler(_as_api_exception(error), context)
    if response is not None:
        response.data = _uniform(response.data, error)
    return response


def _render_ours(error: TextgenError) -> Response:
    # As in DRF's handler: with ATOMIC_REQUESTS, a refused request must not be committed.
    set_rollback()
    body: dict[str, Any] = {"error": str(error), "code": error.code}
    if isinstance(error, RequestError):
        body["errors"] = error.errors
    retry_after = getattr(error, "retry_after", None)
    headers = {} if retry_after is None else {"Retry-After": str(math.ceil(retry_after))}
    return Response(printable(body), status=_status_of(error), headers=headers)


def _render_outage(error: Exception) -> Response:
    """Answer for a database that is unreachable; otherwise it would be Django's HTML page."""
    REQUESTS.error("The database failed a request.", exc_info=error)
    set_rollback()
    body = {"error": str(OUTAGE), "code": "database_unavailable"}
    return Response(body, status=503, headers={"Retry-After": str(OUTAGE_RETRY_SECONDS)})


def _status_of(error: TextgenError) -> int:
    if isinstance(error, PolicyRefusal):
        return error.status
    if error.code in STATUS_OF_CODE:
        return STATUS_OF_CODE[error.code]
    # The request may have been accepted, and 503 would ask the client to send it again.
    if isinstance(error, RemoteUnavailableError) and error.status is None and error.request_sent:
        return 504
    return next((s for cls, s in STATUS_OF_CLASS.items() if isinstance(error, cls)), 500)


def _as_api_exception(error: Exception) -> Exception:
    if isinstance(error, RequestDataTooBig):
        return BodyTooLarge.for_setting()
    if isinstance(error, SuspiciousOperation):
        # Django raises this for too many fields or files in a form.
        return ParseError(str(error))
    if isinstance(error, UnreadablePostError):
        # The fault is the client's, and a 500 would be reported to the site's people.
        return ParseError("The connection was lost before the body was read.")
    if _is_missing_row_of_ours(error):
        # The host deleted it while this request worked on it.
        return NotFound(_("It was deleted just now."))
    return error


def _is_missing_row_of_ours(error: Exception) -> bool:
    """Whether a row of this app is missing. If one of the host's is, its code has a bug."""
    if not isinstance(error, ObjectDoesNotExist):
        return False
    ours: Any = apps.get_app_config("creatify_textgen").get_models()
    return isinstance(error, tuple(model.DoesNotExist for model in ours))


def _uniform(detail: Any, error: Exception) -> dict[str, Any]:
    code = getattr(error, "default_code", None) or "error"
    if isinstance(detail, Mapping) and set(detail) == {"detail"}:
        text = str(detail["detail"])
        code = getattr(detail["detail"], "code", None) or code
        # `detail` as well, which clients of DRF read.
        return {"error": text, "code": code, "detail": text}
    errors = {field: list(_texts(texts)) for field, texts in _by_field(detail)}
    text = "; ".join(
        f"{field}: {texts[0]}" if field else texts[0] for field, texts in errors.items() if texts
    )
    return {"error": text, "code": "invalid_request", "detail": text, "errors": errors}


def _by_field(detail: Any) -> list[tuple[str, Any]]:
    return list(detail.items()) if isinstance(detail, Mapping) else [("", detail)]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield str(value)
    else:
        # An error of a nested serializer of the host is an object, and its keys are no texts.
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)


def printable(value: Any) -> Any:
    """Return a JSON value without lone surrogates, which cannot be encoded as UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {printable(key): printable(item) for key, item in value.items()}
    return [printable(item) for item in value] if isinstance(value, list) else value
