"""The host's own rule: moderation, plans and quotas that only the host knows."""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutine
from typing import Any

from django.core.exceptions import PermissionDenied
from django.utils.translation import gettext as _

from creatify_textgen.conf import conf
from creatify_textgen.exceptions import PolicyRefusal
from creatify_textgen.logs import CONTROL

__all__ = ["ask_policy"]


def ask_policy(user: Any, request: Any, *, door: str) -> None:
    """Call the setting `POLICY`, if there is one.

    Raises: PolicyRefusal as the rule raised it; with code `permission_denied` if the rule raised
    Django's PermissionDenied; with code `policy_failed` and status 503 if it raised anything else,
    because a broken rule must not allow a request.
    """
    # The import is inside, too: a rule that cannot be imported must not allow a request, either.
    try:
        rule: Callable[..., Any] | None = conf.policy
        if rule is not None:
            _refuse_async(rule(user, request, door=door))
    except PolicyRefusal:
        raise
    except PermissionDenied as error:
        text = str(error) or _("This site does not allow the request.")
        raise PolicyRefusal(text, code="permission_denied") from error
    except Exception as error:
        CONTROL.exception("CREATIFY_TEXTGEN['POLICY'] failed at the door %r.", door)
        raise PolicyRefusal(
            _("This site cannot decide at the moment whether the request is allowed."),
            code="policy_failed",
            status=503,
        ) from error


def _refuse_async(decision: Any) -> None:
    if iscoroutine(decision):
        # It is not awaited, so it has not decided.
        decision.close()
        raise TypeError("CREATIFY_TEXTGEN['POLICY'] must not be async.")
