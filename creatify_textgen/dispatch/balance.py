"""The balance of a workspace, kept for a minute. Sending waits if it is below `MIN_REMAINING`.

Invariant: an unknown balance does not count as low, so it stops nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from creatify_textgen import clock, control, databases, gateway, site_cache
from creatify_textgen.conf import conf
from creatify_textgen.dispatch import circuit
from creatify_textgen.exceptions import TextgenError

__all__ = ["pause_if_low", "remaining_credits"]

FRESH_SECONDS = 60
"""How long a balance is used before the remote is asked again."""
KEPT_SECONDS = 86400
"""How long a balance is kept in the cache, to be shown if the remote does not answer."""
BELIEVED_SECONDS = 600
"""How long a balance may stop the sending while the remote does not answer."""
LONGEST_WAIT_SECONDS = 3.0
"""How long a page waits for the balance: a reader would take a longer wait for an error."""
FAILURE_SECONDS = 60
"""How long a failure is remembered; meanwhile pages show the last known balance at once."""


def remaining_credits(account: str = "default") -> tuple[Decimal | None, float | None]:
    """Return the workspace's balance and its age in seconds; (None, None) if it is unknown.

    Waits at most 3 seconds for the remote, and not at all for a minute after a failure. Never
    raises for a remote that does not answer, or an account without keys.
    """
    key, failed = (f"creatify_textgen:{kind}:{account}" for kind in ("remaining", "unreachable"))
    now = clock.now()
    seen: Mapping[str, Any] | None = site_cache.recall(key)
    # In the cache, so that all processes of a site ask once a minute together.
    is_fresh = seen is not None and _age(seen["at"], now) <= FRESH_SECONDS
    if not is_fresh and not site_cache.recall(failed):
        balance = _ask(account)
        if balance is None:
            site_cache.remember(failed, True, seconds=FAILURE_SECONDS)
        else:
            seen = {"balance": balance, "at": now}
            site_cache.remember(key, seen, seconds=KEPT_SECONDS)
    if seen is None:
        return None, None
    return seen["balance"], _age(seen["at"], now)


def pause_if_low(account: str, *, now: datetime) -> bool:
    """Pause an account that has fewer credits than `MIN_REMAINING`; return whether it has fewer.

    May read the balance from the remote, once a minute, and again after the pause.
    """
    minimum = conf.min_remaining
    if minimum is None:
        return False
    # The balance drops only when a generation ends, or minutes later (contract, section 7). So this
    # pause is late by what is in flight; a budget is the hard limit.
    balance, age = remaining_credits(account)
    if balance is None or age is None or age > BELIEVED_SECONDS or balance >= minimum:
        return False
    # A pause that holds already stays as it is.
    if control.find_pause(account, now=now) is None:
        text = (
            f"The workspace has {balance.normalize():f} credits; sending stops below {minimum:f}."
        )
        control.pause_for_credits(account, reason=text, now=now)
    return True


def _ask(account: str) -> Decimal | None:
    databases.let_go()
    try:
        return gateway.client_for(account).remaining_credits(seconds=LONGEST_WAIT_SECONDS)
    # A page that shows credits must work without the remote. `textgen_doctor` names the cause.
    except (TextgenError, ImproperlyConfigured, ValueError) as error:
        circuit.warn_of_refusal(account, error)
        return None


def _age(at: datetime, now: datetime) -> float:
    return (now - at).total_seconds()
