"""Is something stuck? The lines of the app's index: each problem, and what to do about it.

Reads only the database, so the page is fast even if the remote does not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from django.http import HttpRequest
from django.utils.formats import time_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from creatify_textgen import services
from creatify_textgen.admin.permissions import may_view_generations
from creatify_textgen.admin.rendering import (
    admin_path,
    format_duration,
    history_path,
    show_control_chars,
)
from creatify_textgen.conf import conf
from creatify_textgen.models import Pause
from creatify_textgen.permissions import is_staff_with
from creatify_textgen.services import BudgetState, Workload
from creatify_textgen.states import Status

__all__ = ["Line", "read_lines"]

SLOW = timedelta(minutes=5)
"""How long a generation may be queued, and how old the last sweep may be, while something is under
way."""
History = Callable[[str], str]
"""The path of the history with these filters."""
ENOUGH = 20
"""If none of so many generations had a delivery, this is no accident."""


class Line(NamedTuple):
    """One line: what was examined, what was found, and what to do."""

    title: str
    figure: str
    advice: str = ""
    """The one thing to do; empty if all is well."""
    level: str = "fine"
    """`fine`, `note` (it may be right, but somebody should know) or `wrong`."""
    link: str = ""
    """Where the rows in question are shown."""


def read_lines(request: HttpRequest, *, site: str) -> list[Line]:
    """Return what is wrong first, then the rest. Nothing for users who may not view generations."""
    if not may_view_generations(request):
        return []
    # One reading for all lines, so that their figures agree.
    load = services.workload()
    history = partial(history_path, site=site)
    is_paused = Pause.objects.current(now=load.at).exists()
    lines = [_sending(site, is_paused=is_paused), *_work(load, history, is_paused=is_paused)]
    lines += [*_costs(load, history), *_remote(load)]
    if is_staff_with(request.user, "view_budget"):
        budgets = admin_path("budget_changelist", site=site)
        lines.append(_budgets(services.budget_states(), budgets))
    # `sorted` is stable: within a level, the lines keep their order.
    order = ("wrong", "note", "fine")
    return sorted(lines, key=lambda line: order.index(line.level))


def _sending(site: str, *, is_paused: bool) -> Line:
    title, link = _("Sending"), admin_path("generation_pause", site=site)
    if not is_paused:
        return Line(title, _("not paused"), link=link)
    return Line(title, _("paused"), _("Press Resume once the reason is gone."), "wrong", link)


def _work(load: Workload, history: History, *, is_paused: bool) -> Iterator[Line]:
    queued = load.by_status.get(Status.QUEUED, 0)
    figure = _("%(sent)d sent, %(queued)d queued") % {"sent": load.in_flight, "queued": queued}
    yield Line(_("In flight"), figure, link=history("attention=open"))
    yield _waiting(load, history, is_paused=is_paused)
    if load.overdue and load.overdue_since:
        text = _("%(count)d, the oldest for %(time)s")
        figure = text % {"count": load.overdue, "time": _ago(load.overdue_since, load)}
        advice = _("No sweep runs. Start a worker, and schedule creatify_textgen.sweep.")
        yield Line(_("Overdue"), figure, advice, "wrong", history("attention=overdue"))
    else:
        yield Line(_("Overdue"), _("none"))
    yield _sweep(load)


def _waiting(load: Workload, history: History, *, is_paused: bool) -> Line:
    title, link = _("Oldest waiting"), history("status__exact=queued")
    if load.queued_since is None:
        return Line(title, _("none"))
    figure = _("for %s") % _ago(load.queued_since, load)
    # Queued generations wait for the end of a pause, which has its own line.
    if is_paused or load.at - load.queued_since < SLOW:
        return Line(title, figure, link=link)
    advice = _("No worker sends: run manage.py textgen_doctor.")
    return Line(title, figure, advice, "wrong", link)


def _sweep(load: Workload) -> Line:
    title = _("Last sweep")
    # A sweep asks for the next one while something is open, so an idle site may have none.
    is_idle = not any(load.by_status.values())
    if load.swept_at is not None:
        figure = _("%s ago") % _ago(load.swept_at, load)
        if is_idle or load.at - load.swept_at < SLOW:
            return Line(title, figure)
    else:
        figure = _("never")
    advice = _(
        "Schedule creatify_textgen.sweep every minute, or run manage.py textgen_sweep by cron."
    )
    return Line(title, figure, advice, "note" if is_idle else "wrong")


def _costs(load: Workload, history: History) -> Iterator[Line]:
    unconfirmed = load.by_status.get(Status.UNCONFIRMED, 0)
    advice = _("Nothing yet: they are looked for in Creatify's list.")
    yield _counted(_("Unconfirmed"), unconfirmed, advice, history("status__exact=unconfirmed"))
    expired = load.by_status.get(Status.EXPIRED, 0)
    advice = _(
        "Decide: they may have been charged. Run manage.py textgen_reconcile, or retry them."
    )
    yield _counted(_("Expired"), expired, advice, history("status__exact=expired"))
    advice = _("Run manage.py textgen_reconcile --fix: it asks Creatify what they cost.")
    title = _("Cost unknown, 30 days")
    yield _counted(title, load.unknown, advice, history("attention=cost&period=30"))


def _counted(title: str, count: int, advice: str, link: str) -> Line:
    return Line(title, str(count), advice, "note", link) if count else Line(title, _("none"))


def _remote(load: Workload) -> Iterator[Line]:
    # The row of a circuit whose time is over stays until a call succeeds.
    closed = [(name, at) for name, at in load.open_circuits.items() if at > load.at]
    names = ", ".join(show_control_chars(name) for name, _at in closed)
    if closed:
        until = _("%(names)s: tried again at %(time)s")
        figure = until % {"names": names, "time": _clock(max(at for _name, at in closed))}
        advice = _("It does not answer. Sending goes on by itself; textgen_doctor says why.")
        yield Line(_("Creatify"), figure, advice, "wrong")
    else:
        yield Line(_("Creatify"), _("answers, as far as was tried"))
    yield _webhooks(load)
    refused = load.refused_deliveries
    advice = _("If SECRET_KEY was changed, keep the old one in SECRET_KEY_FALLBACKS.")
    yield _counted(_("Refused deliveries, today"), refused, advice, "")


def _webhooks(load: Workload) -> Line:
    title = _("Webhooks")
    if conf.webhook_base_url is None:
        return Line(title, _("off: results are found by polling"))
    words = {"delivered": load.deliveries, "sent": load.expected_deliveries}
    figure = _("for %(delivered)d of the latest %(sent)d") % words
    # Creatify promises no delivery (contract, section 8), so a missing one says nothing.
    if load.deliveries or load.expected_deliveries < ENOUGH:
        return Line(title, figure)
    advice = _("None arrives: run manage.py textgen_doctor, which tests WEBHOOK_BASE_URL.")
    return Line(title, figure, advice, "wrong")


def _budgets(states: list[BudgetState], link: str) -> Line:
    title = _("Budgets near their end")
    near = sorted((s for s in states if s.is_near_end), key=lambda s: s.share, reverse=True)
    if not near:
        return Line(title, _("none"), link=link if states else "")
    named = [f"{show_control_chars(s.budget.name)} {min(s.percent, 999)}%" for s in near[:5]]
    more = [_("and %d more") % (len(near) - 5)] if len(near) > 5 else []
    # A budget that only reports refuses nobody.
    level = "wrong" if any(s.share >= 1 and s.budget.is_hard for s in near) else "note"
    advice = _("Raise the limit, or leave it: a hard budget refuses requests above it.")
    return Line(title, ", ".join([*named, *more]), advice, level, link)


def _ago(moment: datetime, load: Workload) -> str:
    return format_duration(max(0.0, (load.at - moment).total_seconds()))


def _clock(moment: Any) -> str:
    return str(time_format(localtime(moment) if moment.tzinfo else moment, "H:i:s"))
