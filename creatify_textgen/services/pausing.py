"""The switch that stops all sending, and starts it again."""

from __future__ import annotations

from typing import Any

from creatify_textgen import clock, control
from creatify_textgen.conf import conf
from creatify_textgen.dispatch import sweep_schedule
from creatify_textgen.exceptions import RequestError
from creatify_textgen.models import Pause

__all__ = ["pause_sending", "resume_sending"]


def pause_sending(account: str = "", *, reason: str = "", by: Any = None) -> Pause:
    """Send nothing more of an account, or of all accounts, until `resume_sending`.

    New requests are refused with code `paused`. Queued generations wait for up to `EXPIRE_AFTER`
    seconds. What was sent goes on. `by` is the user who pauses. May be called again.

    Raises: RequestError if the settings have no such account.
    """
    _require(account)
    return control.pause_sending(account, reason=reason, by=by, now=clock.now())


def resume_sending(account: str = "") -> bool:
    """End the pause of an account, or the pause of all; returns False if there was none.

    What waits is sent within `POLL_MAX_INTERVAL` seconds. A pause of all accounts and one of a
    single account end separately.

    Raises: RequestError if the settings have no such account, and it is not paused.
    """
    # Afterwards, so that the pause of an account that left the settings can still be ended.
    if not (resumed := control.resume_sending(account)):
        _require(account)
    # It sends what is due by now. Rows that a sweep met during the pause are due again up to
    # `POLL_MAX_INTERVAL` later.
    sweep_schedule.request_sweep()
    return resumed


def _require(account: str) -> None:
    if account and account not in conf.accounts:
        known = ", ".join(sorted(map(str, conf.accounts)))
        rule = f"Must be an account of the settings ({known})."
        raise RequestError.about("account", rule)
