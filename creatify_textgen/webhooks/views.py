"""Receives one delivery, calls one verb, and answers with a status and no body.

Invariant: no content of a delivery causes a 500, and no log line of this app or of Django contains
the token, which is part of the path. `logs.WithoutTokens` hides it if Django answers instead.
"""

from __future__ import annotations

import logging
from typing import IO
from uuid import UUID

from django.contrib.auth.decorators import login_not_required
from django.db import Error as DatabaseFault
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from creatify_textgen import databases
from creatify_textgen.exceptions import WebhookError
from creatify_textgen.logs import WEBHOOKS, warn_of
from creatify_textgen.services import receive_delivery

__all__ = ["receive"]

MAX_BODY_BYTES = 10 * 1024 * 1024
"""Far more than an answer: a long one has some hundred thousand characters."""
LONGEST_NUMBER = 18
"""Digits of a length that are read. Python refuses to read a number of thousands."""
# 404, so that a stranger cannot find out which generations exist.
STATUS_OF_CODE = {"bad_token": 404}


def receive(request: HttpRequest, generation_id: UUID, token: str) -> HttpResponse:
    """Answer 204 if the delivery was noted, 4xx if it is refused, 503 if the database fails.

    May be called twice with the same delivery. Whether the remote delivers again after another
    answer than 2xx is unknown (contract, 5), so the row is also polled.
    """
    if request.method != "POST":
        return _refuse(405, Allow="POST")
    body = _read_body(request)
    if body is None:
        warn_of("too large", WEBHOOKS, "A delivery was refused: its body is too large.")
        return _refuse(413)
    try:
        receive_delivery(generation_id, token=token, body=body)
    except WebhookError as error:
        return _refuse(STATUS_OF_CODE.get(error.code, 400))
    except Exception as error:  # noqa: BLE001  Django's report of it would show the path
        _report(error, generation_id)
        return _refuse(503 if isinstance(error, DatabaseFault) else 500)
    return HttpResponse(status=204)


def _report(error: Exception, generation_id: UUID) -> None:
    name = type(error).__name__
    if databases.is_outage(error):
        text = (
            "Deliveries cannot be saved, their rows are polled: the database does not answer (%s)."
        )
        warn_of(("outage", name), WEBHOOKS, text, name, level=logging.ERROR)
        return
    # Without the frame of the view, whose variables include the path and the token.
    frames = error.__traceback__ and error.__traceback__.tb_next
    WEBHOOKS.error(
        "The delivery for generation %s could not be saved (%s); the row is polled in any case.",
        generation_id,
        name,
        exc_info=databases.loggable(error) and (type(error), error, frames),
    )


def _read_body(request: HttpRequest) -> bytes | None:
    # Not `request.body`: its limit, DATA_UPLOAD_MAX_MEMORY_SIZE, is what the host sets for forms.
    stated = request.META.get("CONTENT_LENGTH") or ""
    if stated and not (stated.isascii() and stated.isdigit()):
        return b""
    if stated and int(stated[:LONGEST_NUMBER]) > MAX_BODY_BYTES:
        return None
    try:
        body = _stream(request, stated=stated).read(MAX_BODY_BYTES + 1)
    except Exception:  # noqa: BLE001  each server raises other errors for a broken body
        return b""
    return body if len(body) <= MAX_BODY_BYTES else None


def _stream(request: HttpRequest, *, stated: str) -> HttpRequest | IO[bytes]:
    # Under WSGI, Django reads a body without a length as empty. A server that sets
    # `wsgi.input_terminated` ends the input after a chunked body, so it can be read to its end.
    environ = getattr(request, "environ", {})
    terminated: IO[bytes] | None = environ.get("wsgi.input_terminated") and environ["wsgi.input"]
    return request if stated else terminated or request


def _refuse(status: int, **headers: str) -> HttpResponse:
    response = HttpResponse(status=status, headers=headers)
    # Django logs the path of each 4xx and 5xx response, unless this flag says that it was logged.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


# The remote has no login and no CSRF cookie; the token in the path is checked instead. With
# ATOMIC_REQUESTS an unreachable database would raise outside of `receive`.
receive = databases.outside_transactions(login_not_required(csrf_exempt(receive)))
