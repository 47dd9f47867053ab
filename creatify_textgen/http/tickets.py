"""Tickets: texts in a URL that allow one user to read one stream, for 60 seconds.

They are for an EventSource that cannot send cookies: it can never set headers. A ticket is signed
and names one user and one generation. Invariant: it opens only what its user may see when it is
used, and nothing once the user's password has changed.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core import signing
from django.urls import NoReverseMatch, reverse
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from creatify_textgen.models import Generation
from creatify_textgen.mounting import route_name

__all__ = [
    "LIFETIME_SECONDS",
    "TicketAuthentication",
    "can_stream",
    "make_ticket",
    "stream_path",
]

# Enough to open a stream. URLs get into logs and histories, so it must not be longer.
LIFETIME_SECONDS = 60
SALT = "creatify_textgen.ticket"
REFUSED = _("The ticket is invalid or has expired: request a new one.")


def make_ticket(generation: Generation, user: Any) -> str:
    """Return a ticket with which this user can read this generation's stream. Writes nothing."""
    value = [str(generation.pk), str(user.pk), _password_mark(user)]
    return signing.dumps(value, salt=SALT, compress=False)


def can_stream() -> bool:
    """Whether the URLs of this site include the streams of the REST API."""
    try:
        return bool(_stream_of(UUID(int=0)))
    except NoReverseMatch:
        return False


def stream_path(generation: Generation, user: Any) -> str:
    """Return the path of this generation's stream, with a ticket of this user.

    Raises: NoReverseMatch if the URLs of this site do not include the REST API.
    """
    return f"{_stream_of(generation.pk)}?{urlencode({'ticket': make_ticket(generation, user)})}"


def _stream_of(key: UUID) -> str:
    return reverse(route_name("generation-attach"), args=[key])


class TicketAuthentication(BaseAuthentication):
    """Identifies the user by `?ticket=`; without a ticket, the host's authentication decides."""

    def authenticate(self, request: Request) -> tuple[Any, str] | None:
        """Return the ticket's user. Raises: AuthenticationFailed if the ticket is not valid."""
        ticket = request.query_params.get("ticket")
        if ticket is None:
            return None
        generation_id, user_id, mark = _read(ticket)
        if str(request.parser_context["kwargs"].get("generation_id")) != generation_id:
            raise AuthenticationFailed(REFUSED)
        user = get_user_model()._default_manager.filter(pk=user_id).first()
        # Not in constant time: the signature was checked, so nobody can try marks.
        if user is None or not user.is_active or mark != _password_mark(user):
            raise AuthenticationFailed(REFUSED)
        return user, ticket

    def authenticate_header(self, request: Request) -> str:
        return "Ticket"


def _password_mark(user: Any) -> str:
    """Return what changes with the user's password, as the login of a session does."""
    # A host's own user model need not have it.
    session_hash = getattr(user, "get_session_auth_hash", str)()
    return salted_hmac(SALT, session_hash, algorithm="sha256").hexdigest()[:16]


def _read(ticket: str) -> tuple[str, str, str]:
    try:
        generation_id, user_id, mark = signing.loads(ticket, salt=SALT, max_age=LIFETIME_SECONDS)
    except (signing.BadSignature, ValueError, TypeError):
        # From None: the cause contains the ticket, and a log would show it.
        raise AuthenticationFailed(REFUSED) from None
    return str(generation_id), str(user_id), str(mark)
