"""A person decides about a generation of which nobody knows whether it was charged.

Creatify's dashboard or its support may know more than the API. Invariant: if the app has learned
something about the row since it was read, the decision is refused. An unknown cost is never 0.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, NoReturn

from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import override

from creatify_textgen import clock, databases, gateway, lifecycle
from creatify_textgen.dispatch import sweep_schedule
from creatify_textgen.dispatch.snapshots import (
    ANSWER_LOST,
    NEVER_ACCEPTED,
    Snapshot,
    apply_snapshot,
    next_poll_at,
)
from creatify_textgen.dispatch.unaccepted import MAY_BE_CHARGED
from creatify_textgen.exceptions import RemoteRejectedError, RequestError, TransitionError
from creatify_textgen.intake import expect_generation
from creatify_textgen.intake.text import kind_of
from creatify_textgen.lifecycle import Outcome
from creatify_textgen.models import Generation
from creatify_textgen.recovery.evidence import ANY_SKEW
from creatify_textgen.recovery.matching import (
    as_received,
    asks_the_same,
    goes_on_from,
    is_of_its_time,
    latest,
    shows_its_media,
    texts_of,
    texts_of_row,
)
from creatify_textgen.recovery.polling import HOLD_SECONDS
from creatify_textgen.recovery.taken import deleted_ids
from creatify_textgen.remote import RemoteGeneration
from creatify_textgen.remote.wire import charge
from creatify_textgen.remote_ids import identifier
from creatify_textgen.states import TERMINAL, TRANSITIONS, Cause, Decision, Status

__all__ = ["settle"]

WORDS = {
    Decision.NEVER_ACCEPTED: "It was never accepted: nothing was created or charged.",
    Decision.CHARGED: "It was charged, and its answer is lost.",
}
CODES = {Decision.NEVER_ACCEPTED: NEVER_ACCEPTED, Decision.CHARGED: ANSWER_LOST}


def settle(
    generation: Generation,
    *,
    decision: str,
    credits_used: Decimal | int | str | None = None,
    remote_id: str = "",
    by: Any = None,
) -> Generation:
    """Write what a person has found out about a generation that may have been charged.

    `decision` is one of `never_accepted` (nothing was created: 0 credits), `charged` (its answer
    is lost; `credits_used` is what it cost, None if that is unknown) and `found` (it is
    `remote_id` at the remote, which is asked for it and compared with the request). `by` is the
    user who decides; the timeline shows the name. Sends nothing, and spends no credits.

    Raises: RequestError for a decision that contradicts the row or the remote; TransitionError
    with code `not_undecided` if there is nothing to decide (any more), or `remote_id_taken` if
    another generation has the remote id; RemoteError if the remote does not answer.
    """
    expect_generation(generation)
    chosen = _chosen(decision, credits_used=credits_used, remote_id=remote_id)
    cost = _cost(credits_used)
    row = _undecided(generation.reloaded())
    with override("en"):  # A timeline is in one language.
        detail = f"settled as {chosen.label}"
    if by is not None:
        detail += f", by {by.get_username()}"
    if chosen == Decision.FOUND:
        _adopt(row, _fetch(row, remote_id.strip()), detail=detail)
    else:
        _close(row, chosen, cost=cost, detail=detail)
    sweep_schedule.request_next_sweep(now=clock.now())
    return generation.reloaded()


def _chosen(decision: str, *, credits_used: Any, remote_id: Any) -> Decision:
    errors: dict[str, list[str]] = {}
    if decision not in Decision:
        errors["decision"] = [_("Must be one of %(names)s.") % {"names": ", ".join(Decision)}]
    elif credits_used is not None and decision != Decision.CHARGED:
        errors["credits_used"] = [
            _("Only for the decision “%(name)s”.") % {"name": Decision.CHARGED.label}
        ]
    elif not isinstance(remote_id, str):
        errors["remote_id"] = [f"Must be a string, not {kind_of(remote_id)}."]
    elif bool(remote_id.strip()) != (decision == Decision.FOUND):
        errors["remote_id"] = [
            _("Required for the decision “%(name)s”.") % {"name": Decision.FOUND.label}
        ]
    _refuse(errors)
    return Decision(decision)


def _cost(credits_used: Any) -> Decimal | None:
    if credits_used is None:
        return None
    cost = charge(credits_used)
    if cost is None:
        _refuse({"credits_used": [_("Must be a number of credits, such as 0.0005.")]})
    return cost


def _undecided(row: Generation) -> Generation:
    if row.can_settle:
        return row
    text = _(
        "Generation %(id)s is %(status)s: a person decides only about one that may have been "
        "charged, if neither its id at the remote nor its cost is known."
    )
    values = {"id": row.pk, "status": row.get_status_display()}
    raise TransitionError(text % values, code="not_undecided")


def _give_way(row: Generation) -> NoReturn:
    """Raise because the row has learned something since it was read."""
    _undecided(row.reloaded())
    text = _("Generation %(id)s has just changed: look at it again.") % {"id": row.pk}
    raise TransitionError(text, code="not_undecided")


def _close(row: Generation, decision: Decision, *, cost: Decimal | None, detail: str) -> None:
    """Write the end of a row that will have no answer."""
    if decision == Decision.NEVER_ACCEPTED:
        cost = Decimal()
        if row.partial:
            _refuse({"decision": [_("A part of its answer has arrived, so it was accepted.")]})
    # The remote may still accept a request that is being sent.
    if row.sent_until is not None and latest(row.sent_until) > clock.utc_now():
        text = _("It may still be on its way until %(time)s.")
        _refuse({"decision": [text % {"time": _time_of_day(row.sent_until)}]})
    if row.is_final:
        if cost is None:
            _refuse({"credits_used": [_("It has failed already, and only its cost is missing.")]})
        _complete(row, Outcome(credits_used=cost), detail=detail)
        return
    # Kept, because the remote's own words may explain the charge later.
    remote_words = row.content.failed_reason.removeprefix(MAY_BE_CHARGED).strip()
    unknown = "What it cost is unknown." if cost is None else ""
    outcome = Outcome(
        error_code=CODES[decision],
        failed_reason=" ".join(filter(None, (WORDS[decision], unknown, remote_words))),
        credits_used=cost,
    )
    now = clock.now()
    claimed = _claim(row, now=now)
    won = lifecycle.mark_failed(
        row.pk, cause=Cause.OPERATOR, now=now, outcome=outcome, detail=detail, claim=claimed.claim
    )
    if not won:
        _give_way(row)


def _time_of_day(moment: datetime) -> str:
    # In the zone of whoever decides: it is stored in UTC.
    return f"{localtime(moment) if moment.tzinfo else moment:%H:%M:%S}"


def _claim(row: Generation, *, now: datetime) -> Generation:
    """Claim the row, so that no sweep changes it. Raises if it has changed since it was read."""
    claimed = lifecycle.claim_one(row.pk, now=now, hold_until=clock.after(now, HOLD_SECONDS))
    return _undecided(claimed or row.reloaded())


def _fetch(row: Generation, remote_id: str) -> RemoteGeneration:
    """Return the remote's generation with this id, if it can belong to this row."""
    databases.let_go()
    remote = _find(row.account, remote_id)
    if remote is None:
        text = _("Creatify has no generation of this id in this workspace.")
        raise RequestError(f"remote_id: {text}", errors={"remote_id": [text]})
    if contradiction := _contradiction(row, remote):
        _refuse({"remote_id": [contradiction]})
    # Asked here for a clear answer. The constraint of the database decides between two at once.
    holder = Generation.objects.filter(remote_id=remote.id).exclude(pk=row.pk).first()
    if holder is not None:
        text = _("Generation %(id)s has this remote id, and its cost, already.") % {"id": holder.pk}
        raise TransitionError(text, code="remote_id_taken")
    if deleted_ids([remote.id]):
        text = _("A generation that was deleted had this remote id, and its cost was counted.")
        raise TransitionError(text, code="remote_id_taken")
    return remote


def _find(account: str, remote_id: str) -> RemoteGeneration | None:
    # A person may write an id in a form that the remote does not know.
    for form in dict.fromkeys((remote_id, identifier(remote_id) or remote_id)):
        try:
            return gateway.client_for(account).get(form)
        except RemoteRejectedError as error:
            if error.code not in ("not_found", "invalid_request"):
                raise
    return None


def _contradiction(row: Generation, remote: RemoteGeneration) -> str:
    """Return why this cannot be the row's generation; empty if nothing contradicts it."""
    # The remote may report another form of the request (contract, 11.26a), so only texts count.
    is_same = asks_the_same(row, remote) or texts_of(remote) == texts_of_row(row)
    if not is_same or not shows_its_media(row, remote):
        return _("Its request is not the request of this generation.")
    if not is_of_its_time(row, remote, ANY_SKEW):
        return _("It was not created when this generation was sent.")
    if not goes_on_from(row, remote):
        return _("Its answer does not begin with the text that this generation has received.")
    return ""


def _adopt(row: Generation, remote: RemoteGeneration, *, detail: str) -> None:
    snapshot = Snapshot(row, as_received(row, remote))
    if row.is_final:
        if snapshot.target not in TERMINAL:
            _refuse({"remote_id": [_("It has not ended at Creatify yet: try again later.")]})
        _complete(row, snapshot.outcome(), detail=detail)
        return
    now = clock.now()
    claimed = _claim(row, now=now)
    # As the row is now: it was read before the remote was asked.
    snapshot = snapshot._replace(generation=claimed)
    if snapshot.target in TRANSITIONS[Status(claimed.status)]:
        is_its = apply_snapshot(snapshot, cause=Cause.OPERATOR, now=now, detail=detail)
    else:  # Expired here, but still under way there. Polls by its id will find its end.
        due_at = next_poll_at(claimed, now=now)
        is_its = lifecycle.keep_remote_id(
            claimed, remote.id, remote.id_as_sent, due_at=due_at, decided=detail
        )
    if not is_its:
        _give_way(row)


def _complete(row: Generation, outcome: Outcome, *, detail: str) -> None:
    now = clock.now()
    if not lifecycle.complete_failed(row.pk, outcome, cause=Cause.OPERATOR, now=now, detail=detail):
        _give_way(row)


def _refuse(errors: dict[str, list[str]]) -> None:
    """Raise for what is wrong, if anything is."""
    for name, rules in errors.items():
        raise RequestError(f"{name}: {rules[0]}", errors=errors)
