"""Stops the sending of an account, or of all, until somebody resumes it.

While a person has paused an account, new requests are refused. The app itself pauses an account if
the remote answers that the workspace has no credits: then asynchronous requests are accepted and
wait, and sending is tried again every `TRY_AGAIN`. The remote charges nothing for such a refusal,
so waiting requests are sent soon after credits were added. Invariant: a request that was sent is
not changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from creatify_textgen import databases
from creatify_textgen.exceptions import PolicyRefusal
from creatify_textgen.logs import CONTROL
from creatify_textgen.models import Generation, Pause, PauseQuerySet
from creatify_textgen.signals import sending_paused
from creatify_textgen.states import Mode

__all__ = [
    "CREDITS_CODE",
    "PAUSED_CODE",
    "find_pause",
    "pause_for_credits",
    "pause_sending",
    "pauses_of",
    "refuse_if_paused",
    "resume_sending",
]

ALL_ACCOUNTS = ""
PAUSED_CODE = "paused"
CREDITS_CODE = "insufficient_credits"
TRY_AGAIN = timedelta(seconds=60)
"""How long a pause for credits lasts. Then sending is tried again, and a refusal is free."""
NO_CREDITS = "The workspace has no credits left."
TOO_FEW = gettext_noop("The workspace has too few credits; nothing was saved or sent.")


def find_pause(account: str, *, now: datetime) -> Pause | None:
    """Return the pause that holds the account now; one query."""
    # The pause of all accounts comes first: only a person makes it, and it refuses more.
    return pauses_of([account], now=now).first()


def pauses_of(accounts: Iterable[Any], *, now: datetime) -> PauseQuerySet:
    """Return the pauses that hold these accounts now. An `OuterRef` is an account, too."""
    return Pause.objects.current(now=now).filter(account__in=[ALL_ACCOUNTS, *accounts])


def refuse_if_paused(account: str, *, mode: Mode, now: datetime) -> None:
    """Refuse a new request of a paused account. Raises: PolicyRefusal."""
    pause = find_pause(account, now=now)
    if pause is None:
        return
    if pause.code == CREDITS_CODE:
        if mode == Mode.ASYNC:
            return
        wait = None if pause.until is None else (pause.until - now).total_seconds()
        raise PolicyRefusal(_(TOO_FEW), code=CREDITS_CODE, status=402, retry_after=wait)
    # Without a `retry_after`: nobody knows when a person resumes.
    raise PolicyRefusal(
        _("Text generation is paused on this site; nothing was saved or sent."),
        code=PAUSED_CODE,
        status=503,
    )


def pause_sending(
    account: str = ALL_ACCOUNTS, *, reason: str = "", by: Any = None, now: datetime
) -> Pause:
    """Pause an account, or all accounts, until `resume_sending`. May be called again."""
    # All columns, because this may replace a pause for credits, which would end by itself.
    values = {
        "code": PAUSED_CODE,
        "reason": reason,
        "paused_by": by,
        "paused_at": now,
        "until": None,
    }
    pause, _ = Pause.objects.update_or_create(account=account, defaults=values)
    _announce(pause, generation=None)
    return pause


def resume_sending(account: str = ALL_ACCOUNTS) -> bool:
    """End the pause of an account, or the one of all accounts; False if there is none.

    Waiting requests are sent within `POLL_MAX_INTERVAL`.
    """
    deleted, _ = Pause.objects.filter(account=account).delete()
    if deleted:
        CONTROL.warning("Sending of %s is resumed.", account or "all accounts")
    return bool(deleted)


def pause_for_credits(
    account: str,
    *,
    reason: str = NO_CREDITS,
    generation: Generation | None = None,
    now: datetime,
) -> datetime:
    """Pause an account that has too few credits; `generation` is what the remote refused, if any.

    Returns when sending is tried again. The pause of a person stays as it is.
    """
    until = now + TRY_AGAIN
    # Conditional: if a person pauses the account at this moment, that pause stays as it is.
    mine = Pause.objects.filter(account=account)
    extended = mine.filter(code=CREDITS_CODE).update(until=until, reason=reason)
    if extended or mine.exists():
        return until
    values = {"code": CREDITS_CODE, "reason": reason, "paused_at": now, "until": until}
    pause, is_new = Pause.objects.get_or_create(account=account, defaults=values)
    if is_new:
        _announce(pause, generation=generation)
    return until


def _announce(pause: Pause, *, generation: Generation | None) -> None:
    CONTROL.warning("Sending of %s is paused: %s.", pause.account or "all accounts", pause.code)
    databases.after_commit(
        lambda: sending_paused.send_robust(
            sender=Pause,
            generation=generation,
            account=pause.account,
            code=pause.code,
            reason=pause.reason,
        )
    )
