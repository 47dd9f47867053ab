"""Tickets: a minute's leave to read one stream, for an EventSource where cookies can't go.

A ticket is signed, names one user and one generation, and is worth nothing else. Invariant: it
opens no more than its user may see at the moment it is used.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core import signing
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from creatify_textgen.models import Generation

__all__ = ["LIFETIME_SECONDS", "TicketAuthentication", "make_ticket"]

LIFETIME_SECONDS = 60
SALT = "creatify_textgen.ticket"
REFUSED = "The ticket is not valid (any more): ask for a new one."


def make_ticket(generation: Generation, user: Any) -> str:
    """Return a ticket with which this user may read this generation's stream."""
    return signing.dumps([str(generation.pk), str(user.pk)], salt=SALT, compress=False)


class TicketAuthentication(BaseAuthentication):
    """Knows the user by `?ticket=`; without one, leaves it to the host's own authentication."""

    def authenticate(self, request: Request) -> tuple[Any, str] | None:
        """Return the ticket's user. Raises: AuthenticationFailed for a ticket that is no good."""
        ticket = request.query_params.get("ticket")
        if ticket is None:
            return None
        generation_id, user_id = _read(ticket)
        if str(request.parser_context["kwargs"].get("generation_id")) != generation_id:
            raise AuthenticationFailed(REFUSED)
        user = get_user_model()._default_manager.filter(pk=user_id).first()
        if user is None or not user.is_active:
            raise AuthenticationFailed(REFUSED)
        return user, ticket

    def authenticate_header(self, request: Request) -> str:
        return "Ticket"


def _read(ticket: str) -> tuple[str, str]:
    try:
        generation_id, user_id = signing.loads(ticket, salt=SALT, max_age=LIFETIME_SECONDS)
    except (signing.BadSignature, ValueError, TypeError):
        # From None: the cause holds the ticket.
        raise AuthenticationFailed(REFUSED) from None
    return str(generation_id), str(user_id)
