"""Compares the remote's list with our rows, and applies what is certain.

Memory is bounded for lists of any length: the list is read in batches, and its ids are kept in a
file. Invariant: a dry run decides by the same code, and reports no more than `fix` would do.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import datetime, timedelta

from django.db.models import Q

from creatify_textgen import clock, databases, gateway, lifecycle
from creatify_textgen.dispatch.snapshots import (
    ANSWER_LOST,
    FOUND_LATE,
    MAY_HAVE_BEEN_CHARGED,
    NEVER_ACCEPTED,
    Snapshot,
    apply_snapshots,
)
from creatify_textgen.intake.rows import expect_datetime
from creatify_textgen.logs import SWEEP
from creatify_textgen.models import Generation
from creatify_textgen.recovery.adoption import adopt, adopt_from, may_adopt
from creatify_textgen.recovery.audit import audit_balance
from creatify_textgen.recovery.imports import import_remote, is_waited_for, rows_without_id
from creatify_textgen.recovery.late_answers import add_answer, with_late_answer
from creatify_textgen.recovery.report import ReconcileReport
from creatify_textgen.recovery.taken import taken_ids
from creatify_textgen.remote import RemoteGeneration
from creatify_textgen.states import TERMINAL, Cause, Mode, Status

__all__ = ["reconcile"]

BATCH = 500
LISTED_AFTER = timedelta(minutes=5)
"""A younger row may not be listed yet."""


def reconcile(
    *,
    account: str = "default",
    fix: bool = False,
    since: datetime | None = None,
) -> ReconcileReport:
    """Compare the whole list of a workspace with its rows; free at the remote.

    `fix` finishes rows that the remote has finished, corrects credits, adopts generations for rows
    without a remote id, and imports those that no row requested. Generations that the remote dates
    before `since` are left out.

    Raises: RequestError; RemoteError if the list could not be read whole; changes that were made
    until then stay.
    """
    report = ReconcileReport(account)
    begin = None if since is None else clock.as_utc_range(expect_datetime(since))[0]
    with tempfile.NamedTemporaryFile(suffix=".ids") as file, closing(_ids(file.name)) as listed:
        _read_list(report, listed, fix=fix, since=begin)
    _find_undecided(report, since=begin)
    report.balance = audit_balance(account, now=clock.now(), save=fix)
    return report


def _read_list(
    report: ReconcileReport, listed: sqlite3.Connection, *, fix: bool, since: datetime | None
) -> None:
    # By the time at which the list is requested: to read a long one takes minutes.
    listed_by = clock.now() - LISTED_AFTER
    # Read once: what is adopted from one batch is no longer lost when the next is compared.
    lost = _lost(report.account)
    batch: list[RemoteGeneration] = []
    note = "INSERT OR IGNORE INTO ids VALUES (?)"

    def compare() -> None:
        nonlocal lost
        # Pages that shift while they are read repeat what they have listed before.
        fresh = [remote for remote in batch if listed.execute(note, (remote.id,)).rowcount]
        report.remote_total += len(fresh)
        unknown = _compare(fresh, report, fix=fix)
        lost = _adopt(lost, unknown, report, fix=fix)
        batch.clear()

    def take(remote: RemoteGeneration) -> bool:
        if since is None or remote.created_at is None or remote.created_at >= since:
            batch.append(remote)
        else:
            # Its row may be younger, because the clocks differ: it is not missing from the list.
            listed.execute(note, (remote.id,))
        if len(batch) >= BATCH:
            compare()
        return False

    listing = gateway.client_for(report.account).list(take)
    # The last batch, also of a list that broke off: what it has shown is certain.
    compare()
    report.unreadable = listing.unreadable
    if listing.failure is not None:
        raise listing.failure
    if listing.is_whole:
        _find_ours_only(report.account, listed, report, since=since, before=listed_by)


def _ids(path: str) -> sqlite3.Connection:
    # The file is needed for this run only, so nothing in it has to survive a crash.
    listed = sqlite3.connect(path, isolation_level=None)
    listed.execute("PRAGMA journal_mode = OFF")
    listed.execute("CREATE TABLE ids (id TEXT PRIMARY KEY) WITHOUT ROWID")
    return listed


def _lost(account: str) -> list[Generation]:
    """Return the rows without a remote id that were sent, including those that were given up."""
    rows = Generation.objects.filter(account=account, remote_id=None)
    # Not while it is being sent: the answer to that send has its id.
    waiting = ~Q(status__in=[*TERMINAL, Status.QUEUED, Status.SUBMITTING])
    given_up = Q(status=Status.FAILED) & (
        Q(mode=Mode.STREAM, credits_used=None) | Q(error_code__in=[NEVER_ACCEPTED, ANSWER_LOST])
    )
    now = clock.now()
    lost = rows.filter(waiting | given_up).order_by("-created_at")[: BATCH * 20]
    return [row for row in lost if not row.is_pumped(now=now)]


def _compare(
    batch: Sequence[RemoteGeneration], report: ReconcileReport, *, fix: bool
) -> list[RemoteGeneration]:
    """Compare a batch with the rows that have these ids; returns what has no row."""
    ids = [remote.id for remote in batch]
    rows = Generation.objects.filter(account=report.account, remote_id__in=ids)
    by_id = {row.remote_id: row for row in rows}
    known = [Snapshot(by_id[remote.id], remote) for remote in batch if remote.id in by_id]
    report.matched += len(known)
    _compare_status([one for one in known if not one.generation.is_final], report, fix=fix)
    final = [snapshot for snapshot in known if snapshot.generation.is_final]
    for snapshot in final:
        _compare_credits(snapshot, report, fix=fix)
    for snapshot in with_late_answer(final):
        report.missing_answer.add(snapshot.generation.pk)
        report.fixed += add_answer(snapshot) if fix else 0
    return [remote for remote in batch if remote.id not in by_id]


def _compare_status(open_rows: list[Snapshot], report: ReconcileReport, *, fix: bool) -> None:
    ended = [snapshot for snapshot in open_rows if snapshot.target in TERMINAL]
    for snapshot in ended:
        report.different_status.add(snapshot.generation.pk)
    if fix:
        moved = apply_snapshots(ended, cause=Cause.RECONCILE, now=clock.now())
        report.fixed += len(moved)


def _compare_credits(snapshot: Snapshot, report: ReconcileReport, *, fix: bool) -> None:
    row, charged = snapshot.generation, snapshot.remote.credits_used
    # The remote may report a stream as done that failed for us, or a generation that was
    # closed here before it was found.
    is_ours = row.mode == Mode.STREAM or row.error_code == FOUND_LATE
    may_differ = is_ours and row.status == Status.FAILED
    if snapshot.target in TERMINAL and snapshot.target != row.status and not may_differ:
        report.different_status.add(row.pk)
    # Before its end the remote reports 0 for a cost that it does not know yet (contract, 7).
    if snapshot.target not in TERMINAL or charged is None or charged == row.credits_used:
        return
    report.different_credits.add(row.pk)
    if fix:
        report.fixed += lifecycle.correct_credits(row, charged)


def _adopt(
    lost: list[Generation],
    unknown: Sequence[RemoteGeneration],
    report: ReconcileReport,
    *,
    fix: bool,
) -> list[Generation]:
    """Match generations without a row with rows without a remote id; returns the rest."""
    found: dict[str, Generation] = {}

    def take(generation: Generation, remote: RemoteGeneration, now: datetime) -> bool:
        is_taken = (adopt if fix else may_adopt)(generation, remote, now)
        if is_taken:
            found[remote.id] = generation
        return is_taken

    left = adopt_from(lost, unknown, now=clock.now(), by=take) if lost else []
    report.fixed += len(found) if fix else 0
    for row in found.values():
        report.adopted.add(row.pk)
    _import([remote for remote in unknown if remote.id not in found], report, fix=fix)
    return left


def _import(unknown: Iterable[RemoteGeneration], report: ReconcileReport, *, fix: bool) -> None:
    by_id = {remote.id: remote for remote in unknown}
    for remote_id in taken_ids(by_id):
        del by_id[remote_id]
    # Read again for each batch: requests are sent while a long list is read.
    waiting = rows_without_id(report.account) if by_id and fix else []
    for remote in by_id.values():
        report.remote_only.add(remote.id_in_urls)
        if fix and not is_waited_for(remote, waiting):
            report.fixed += _import_one(remote, report)


def _import_one(remote: RemoteGeneration, report: ReconcileReport) -> bool:
    try:
        return import_remote(remote, account=report.account, now=clock.now())
    except lifecycle.REFUSALS as error:
        # One value that the database refuses must not keep the rest of the list from its rows.
        if not lifecycle.is_refusal(error):
            raise
        SWEEP.error(
            "The database refuses to import %s (%s).",
            remote.id,
            type(error).__name__,
            exc_info=databases.loggable(error),
        )
        return False


def _find_undecided(report: ReconcileReport, *, since: datetime | None) -> None:
    rows = Generation.objects.filter(
        account=report.account, status=Status.EXPIRED, error_code=MAY_HAVE_BEEN_CHARGED
    )
    if since is not None:
        rows = rows.filter(created_at__gte=clock.stored_since(since))
    for pk in rows.values_list("pk", flat=True).iterator(chunk_size=BATCH):
        report.may_have_been_charged.add(pk)


def _find_ours_only(
    account: str,
    listed: sqlite3.Connection,
    report: ReconcileReport,
    *,
    since: datetime | None,
    before: datetime,
) -> None:
    rows = Generation.objects.filter(account=account, remote_id__isnull=False)
    # By its send, too: it may have waited in the queue. An imported one was not sent.
    rows = rows.filter(created_at__lt=before).exclude(submitted_at__gte=before)
    if since is not None:
        rows = rows.filter(created_at__gte=clock.stored_since(since))
    for pk, remote_id in rows.values_list("pk", "remote_id").iterator(chunk_size=BATCH):
        if not listed.execute("SELECT 1 FROM ids WHERE id = ?", (remote_id,)).fetchone():
            report.ours_only.add(pk)
