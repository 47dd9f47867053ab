"""Compares the remote's list with our rows, and applies what is certain.

Memory stays bounded whatever the list's length: the list is read in batches, and which ids it
had is kept in a file. Invariant: a remote generation that is not ours is counted and shown,
never made a row.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from django.db.models import Q
from django.utils import timezone

from creatify_textgen import gateway, lifecycle
from creatify_textgen.models import Generation
from creatify_textgen.remote import RemoteGeneration
from creatify_textgen.services.adoption import adopt_from
from creatify_textgen.services.matching import fingerprint_of
from creatify_textgen.services.snapshots import Sighting, apply_sightings
from creatify_textgen.services.streaming.checkpoints import is_pumped
from creatify_textgen.states import TERMINAL, Cause, Mode, Status

__all__ = ["ReconcileReport", "reconcile"]

BATCH = 500
EXAMPLES = 20
"""Ids shown of each kind; the counts are whole."""
SETTLED_AFTER = timedelta(minutes=5)
"""A younger row may not be listed yet."""


@dataclass(slots=True)
class Findings:
    """How many, and the first few ids."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: object) -> None:
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(str(example))


@dataclass(slots=True)
class ReconcileReport:
    """What the comparison of one account found; `fixed` counts rows that were changed."""

    account: str
    remote_total: int = 0
    matched: int = 0
    adopted: Findings = field(default_factory=Findings)
    """Rows whose remote id was found by what they asked (`fix`), or could be (without it)."""
    remote_only: Findings = field(default_factory=Findings)
    """Remote ids that are no row of ours: somebody else used the keys, or rows were deleted."""
    ours_only: Findings = field(default_factory=Findings)
    """Rows whose remote id the list does not have."""
    different_credits: Findings = field(default_factory=Findings)
    different_status: Findings = field(default_factory=Findings)
    fixed: int = 0

    @property
    def is_clean(self) -> bool:
        """Nothing to look into."""
        return not any(findings.count for findings in self._differences().values())

    def __str__(self) -> str:
        """One line: what was compared, and what differs, with examples."""
        told = [
            f"{name}: {findings.count} ({', '.join(findings.examples)})"
            for name, findings in self._differences().items()
            if findings.count
        ]
        compared = f"{self.account}: {self.remote_total} at the remote, {self.matched} matched"
        return "; ".join([compared, *told, f"fixed: {self.fixed}"])

    def _differences(self) -> dict[str, Findings]:
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in fields.items() if isinstance(value, Findings)}


def reconcile(
    *,
    account: str = "default",
    fix: bool = False,
    since: datetime | None = None,
) -> ReconcileReport:
    """Compare the whole list of a workspace with its rows; free at the remote.

    `fix` finishes rows that the remote has finished, corrects credits and adopts what was asked
    by rows without a remote id. `since` leaves out what the remote dated before it.

    Raises: RemoteError where the list could not be read whole; what was applied by then stays.
    """
    report = ReconcileReport(account)
    lost = _lost(account)
    with tempfile.NamedTemporaryFile(suffix=".ids") as file, closing(_ids(file.name)) as listed:
        remotes = gateway.client_for(account).list()
        if since is not None:
            remotes = (r for r in remotes if r.created_at is None or r.created_at >= since)
        for batch in _batches(remotes, BATCH):
            report.remote_total += len(batch)
            listed.executemany("INSERT OR IGNORE INTO ids VALUES (?)", [(r.id,) for r in batch])
            unknown = _compare(batch, report, fix=fix)
            lost = _adopt(lost, unknown, report, fix=fix)
        _find_ours_only(account, listed, report, since=since)
    return report


def _ids(path: str) -> sqlite3.Connection:
    listed = sqlite3.connect(path, isolation_level=None)
    listed.execute("PRAGMA journal_mode = OFF")
    listed.execute("CREATE TABLE ids (id TEXT PRIMARY KEY) WITHOUT ROWID")
    return listed


def _lost(account: str) -> list[Generation]:
    """Return the rows without a remote id that were sent; among them streams that were given up."""
    rows = Generation.objects.filter(account=account, remote_id=None)
    waiting = ~Q(status__in=[*TERMINAL, Status.QUEUED, Status.SUBMITTING])
    given_up = Q(mode=Mode.STREAM, status=Status.FAILED, credits_used=None)
    now = timezone.now()
    lost = rows.filter(waiting | given_up).order_by("-created_at")[: BATCH * 20]
    return [row for row in lost if not is_pumped(row, now=now)]


def _compare(
    batch: Sequence[RemoteGeneration], report: ReconcileReport, *, fix: bool
) -> list[RemoteGeneration]:
    """Compare a batch with the rows that have these ids; returns what has no row."""
    ids = [remote.id for remote in batch]
    rows = Generation.objects.filter(account=report.account, remote_id__in=ids)
    by_id = {row.remote_id: row for row in rows}
    known = [Sighting(by_id[remote.id], remote) for remote in batch if remote.id in by_id]
    report.matched += len(known)
    _compare_status([s for s in known if not s.generation.is_final], report, fix=fix)
    for sighting in known:
        if sighting.generation.is_final:
            _compare_credits(sighting, report, fix=fix)
    return [remote for remote in batch if remote.id not in by_id]


def _compare_status(open_rows: list[Sighting], report: ReconcileReport, *, fix: bool) -> None:
    ended = [sighting for sighting in open_rows if sighting.target in TERMINAL]
    for sighting in ended:
        report.different_status.add(sighting.generation.pk)
    if fix:
        moved = apply_sightings(ended, cause=Cause.RECONCILE, now=timezone.now())
        report.fixed += len(moved)


def _compare_credits(sighting: Sighting, report: ReconcileReport, *, fix: bool) -> None:
    row, told = sighting.generation, sighting.remote.credits_used
    # A stream that failed did so for what we heard ourselves; the remote may call it done.
    heard = row.mode == Mode.STREAM and row.status == Status.FAILED
    if sighting.target in TERMINAL and sighting.target != row.status and not heard:
        report.different_status.add(row.pk)
    if sighting.target not in TERMINAL or told is None or told == row.credits_used:
        return
    report.different_credits.add(row.pk)
    if fix:
        report.fixed += lifecycle.correct_credits(row, told)


def _adopt(
    lost: list[Generation],
    unknown: Sequence[RemoteGeneration],
    report: ReconcileReport,
    *,
    fix: bool,
) -> list[Generation]:
    """Match what has no row with rows that have no remote id; returns those still without."""
    if fix:
        left = adopt_from(lost, unknown, now=timezone.now()) if lost else []
    else:
        seen = {fingerprint_of(remote) for remote in unknown} if lost else set()
        left = [row for row in lost if row.fingerprint not in seen]
    still_lost = {row.pk for row in left}
    adopted = [row for row in lost if row.pk not in still_lost]
    report.fixed += len(adopted) if fix else 0
    for row in adopted:
        report.adopted.add(row.pk)
    taken = _taken(unknown) if fix else set()
    for remote in unknown:
        if remote.id not in taken:
            report.remote_only.add(remote.id)
    return left


def _taken(unknown: Iterable[RemoteGeneration]) -> set[str | None]:
    ids = [remote.id for remote in unknown]
    rows = Generation.objects.filter(remote_id__in=ids)
    return set(rows.values_list("remote_id", flat=True))


def _find_ours_only(
    account: str, listed: sqlite3.Connection, report: ReconcileReport, *, since: datetime | None
) -> None:
    rows = Generation.objects.filter(
        account=account,
        remote_id__isnull=False,
        created_at__lt=timezone.now() - SETTLED_AFTER,
    )
    if since is not None:
        rows = rows.filter(created_at__gte=since)
    for pk, remote_id in rows.values_list("pk", "remote_id").iterator(chunk_size=BATCH):
        if not listed.execute("SELECT 1 FROM ids WHERE id = ?", (remote_id,)).fetchone():
            report.ours_only.add(pk)


def _batches(remotes: Iterable[RemoteGeneration], size: int) -> Iterator[list[RemoteGeneration]]:
    iterator = iter(remotes)
    while batch := list(islice(iterator, size)):
        yield batch
