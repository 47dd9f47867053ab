"""One delivery in, one call to services, one bare status out.

Invariant: nothing a sender writes yields a 500, and no log line of ours or Django's holds a
token, which is part of the path.
"""

from __future__ import annotations

import logging
from typing import IO
from uuid import UUID

from django.contrib.auth.decorators import login_not_required
from django.db import Error as DatabaseFault
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from creatify_textgen.exceptions import WebhookError
from creatify_textgen.services import receive_delivery

__all__ = ["receive"]

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 10 * 1024 * 1024
STATUS_OF_CODE = {"bad_token": 404}


def receive(request: HttpRequest, generation_id: UUID, token: str) -> HttpResponse:
    """Answer 204 once the delivery is noted, 4xx where it is refused, 503 without a database."""
    if request.method != "POST":
        return _refuse(405, Allow="POST")
    body = _read_body(request)
    if body is None:
        return _refuse(413)
    try:
        receive_delivery(generation_id, token=token, body=body)
    except WebhookError as error:
        return _refuse(STATUS_OF_CODE.get(error.code, 400))
    except Exception as error:  # noqa: BLE001  left alone, its report would show the path
        _report(error, generation_id)
        return _refuse(503 if isinstance(error, DatabaseFault) else 500)
    return HttpResponse(status=204)


def _report(error: Exception, generation_id: UUID) -> None:
    # Without the view's own frame, which has the path and the token among its variables.
    frames = error.__traceback__ and error.__traceback__.tb_next
    logger.error(
        "A delivery for generation %s could not be noted.",
        generation_id,
        exc_info=(type(error), error, frames),
    )


def _read_body(request: HttpRequest) -> bytes | None:
    """Return at most the cap's bytes, None for more; the host's own upload limit is for forms."""
    stated = request.META.get("CONTENT_LENGTH") or ""
    if stated.isdigit() and int(stated) > MAX_BODY_BYTES:
        return None
    try:
        body = _stream(request, stated=stated).read(MAX_BODY_BYTES + 1)
    except Exception:  # noqa: BLE001  each server has errors of its own for a body it can't read
        return b""
    return body if len(body) <= MAX_BODY_BYTES else None


def _stream(request: HttpRequest, *, stated: str) -> HttpRequest | IO[bytes]:
    # Under WSGI Django takes a chunked body for an empty one; the server knows where it ends.
    environ = getattr(request, "environ", {})
    terminated: IO[bytes] | None = environ.get("wsgi.input_terminated") and environ["wsgi.input"]
    return request if stated else terminated or request


def _refuse(status: int, **headers: str) -> HttpResponse:
    response = HttpResponse(status=status, headers=headers)
    # Django logs the path of what it answers with 4xx or 5xx, unless somebody already has.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


receive = login_not_required(csrf_exempt(receive))
for _alias in connections:
    receive = transaction.non_atomic_requests(using=_alias)(receive)
