"""Whether the remote's list proves that a send created nothing. Pure: values in, a verdict out.

The remote takes no idempotency key, so only its list can say that a send without an answer was
not charged. The list has no documented order, length, delay or clock. The left column has the
reasons for which it may lack a generation, the right column the condition that excludes each:

    only a part was read, or an item is unreadable the list is whole, and does not say that there
                                                   is more, or that it is a stored copy
    the keys belong to another workspace by now    it is the list of the row's workspace
    the remote's clock differs from ours           its `Date` is known, and widens the window
    a clock other than `Date` dates generations    our rows have the times at which they were sent
    its old end is cut off                         it has one of our rows from before the window
    its new end is cut off, or late                it has a row that was sent after the send had
                                                   ended, and every row sent in between
    it writes requests in another form             those rows are listed with their requests, and
                                                   every generation in the window belongs to a row,
                                                   and so does every later one with this request
    the remote stores or lists minutes later       two lists agree, ten minutes apart by our clock
                                                   and by the remote's, the second ten minutes
                                                   after the send had ended

Invariant: a fact that is not known never counts as absence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from creatify_textgen.remote import RemoteClock, RemoteGeneration

__all__ = [
    "ANY_SKEW",
    "APART",
    "EARLIER",
    "LATER",
    "MOST_SKEW",
    "Finding",
    "KnownRow",
    "Listed",
    "Reading",
    "Sent",
    "Skew",
    "Verdict",
    "judge",
    "skew_of",
]

EARLIER, LATER = timedelta(minutes=2), timedelta(minutes=10)
"""How long before and after a send the remote may date its generation: clocks jump, queues wait."""
APART = timedelta(minutes=10)
"""Between two lists, and between the end of the send and the second list: longer than a gateway
waits or a replica lags."""
MOST_SKEW = timedelta(hours=6)
"""A clock that is further off is broken, and proves nothing."""
LISTED_WITHIN = timedelta(minutes=1)
"""A row that was sent less than this time ago may still be missing from a correct list."""


class Skew(NamedTuple):
    """By how much the remote's clock is ahead of our clock, at least and at most."""

    least: timedelta = timedelta()
    most: timedelta = timedelta()

    def widen(self, first: datetime, last: datetime) -> tuple[datetime, datetime]:
        """Return a window of our time in the remote's time; it misses no moment of the window."""
        nothing = timedelta()
        # Never narrower than by our clock, so a skew that was measured wrong hides nothing.
        return first + min(nothing, self.least), last + max(nothing, self.most)


ANY_SKEW = Skew(-MOST_SKEW, MOST_SKEW)
"""Every skew that is believed."""


class Sent(NamedTuple):
    """What a row knows of its sends."""

    first_at: datetime
    """The time of the first send that may have been accepted."""
    until: datetime
    """The time at which the last send had surely ended."""
    workspace: str
    fingerprint: str = ""
    """Of its request."""
    absent_since: datetime | None = None
    """When a list proved for the first time that nothing was created."""
    absent_served_at: datetime | None = None
    """The time of that list by the remote's own clock."""


class Listed(NamedTuple):
    """One generation in the list."""

    remote_id: str
    created_at: datetime | None
    fingerprint: str
    older_fingerprints: tuple[str, ...] = ()
    """Its fingerprints under former secret keys of this site."""

    def asks(self, fingerprint: str) -> bool:
        """Whether it is listed with the request of this fingerprint."""
        return fingerprint in (self.fingerprint, *self.older_fingerprints)


class Reading(NamedTuple):
    """One reading of the list: the candidates for lost rows, and what the rest of it shows."""

    candidates: Sequence[RemoteGeneration] = ()
    """Generations with the request of a lost row."""
    listed: Sequence[Listed] = ()
    """Every generation since the window began, and some older ones."""
    is_whole: bool = True
    clocks: Sequence[RemoteClock] = ()
    pages: int = 1
    workspace: str = ""

    @property
    def served_at(self) -> datetime | None:
        """The time of the list by the remote's own clock, at the latest."""
        return max((clock.served_at for clock in self.clocks), default=None)


class KnownRow(NamedTuple):
    """One of our rows, whose remote id is known."""

    remote_id: str
    fingerprint: str
    workspace: str
    sent_at: datetime | None
    """At the earliest, if the stored time is in an hour that was repeated."""
    is_imported: bool = False
    """No row here requested it, so it may belong to a lost row."""
    may_be_unlisted: bool = False
    """A stream's generation, which the remote may not list."""
    latest_sent_at: datetime | None = None
    """None: as `sent_at`."""


class Finding(Enum):
    UNPROVED = "unproved"
    """This list says nothing for sure."""
    FOUND = "found"
    """It has a generation that may be this row's, so an earlier proof of absence is void."""
    ABSENT = "absent"
    """It proves absence, but it is the first list, or too soon after the first."""
    PROVED = "proved"
    """It is the second list that proves absence."""


class Verdict(NamedTuple):
    finding: Finding
    reason: str


def judge(
    sent: Sent,
    reading: Reading,
    known: Mapping[str, KnownRow],
    *,
    skew: Skew | None,
    asked_at: tuple[datetime, datetime],
) -> Verdict:
    """Return what one reading of the list proves about a row that is not found in it.

    `known` has every row that a listed id names, and every row that was sent in the window.
    `asked_at` is a time of our clock before the list was requested, at the earliest and at the
    latest.
    """
    if not sent.workspace or reading.workspace != sent.workspace:
        return _unproved("It is not the list of the workspace that it was sent to.")
    if not reading.is_whole:
        return _unproved("The list could not be read whole.")
    if skew is None:
        return _unproved("The remote's clock is not known.")
    begins, ends = skew.widen(sent.first_at - EARLIER, sent.until + LATER)
    # Before the other conditions: what may be the row's also voids an earlier proof.
    for one in _strangers(reading.listed, known):
        if one.created_at is None or begins <= one.created_at <= ends:
            return Verdict(Finding.FOUND, f"{one.remote_id} was created in its time.")
        # A generation that waits in a queue may be dated when it leaves the queue.
        if one.created_at > ends and one.asks(sent.fingerprint):
            return Verdict(Finding.FOUND, f"{one.remote_id} asks the same, and was created later.")
    first, last = asked_at
    if fault := _unfaithful(sent, reading.listed, known, skew=skew, asked_at=last):
        return _unproved(fault)
    return _by_time(sent, first, min((clock.served_at for clock in reading.clocks), default=None))


def skew_of(reading: Reading, *, now: tuple[datetime, datetime], monotonic: float) -> Skew | None:
    """Return the remote's skew in this reading; None unless every page showed a credible clock.

    `now` has the earliest and the latest time that it may be by our clock.
    """
    if not reading.clocks or len(reading.clocks) < reading.pages:
        return None
    # Pages may come from several machines, so the skew is the one of all of them together.
    skews = [clock.skew(now=one, monotonic=monotonic) for clock in reading.clocks for one in now]
    least, most = min(least for least, _ in skews), max(most for _, most in skews)
    is_credible = least >= -MOST_SKEW and most <= MOST_SKEW
    return Skew(least, most) if is_credible else None


def _unproved(reason: str) -> Verdict:
    return Verdict(Finding.UNPROVED, reason)


def _strangers(listed: Iterable[Listed], known: Mapping[str, KnownRow]) -> Iterator[Listed]:
    """Yield the generations that none of our rows requested."""
    for one in listed:
        row = known.get(one.remote_id)
        if row is None or row.is_imported:
            yield one


def _unfaithful(
    sent: Sent,
    listed: Iterable[Listed],
    known: Mapping[str, KnownRow],
    *,
    skew: Skew,
    asked_at: datetime,
) -> str:
    """Return why the list may lack what the remote has; empty if it can be trusted."""
    by_id = {one.remote_id: one for one in listed}
    witnesses = [row for row in known.values() if _is_witness(row, sent)]
    for row in witnesses:
        one = by_id.get(row.remote_id)
        if one is None:
            if _must_be_listed(row, sent, asked_at):
                return f"{row.remote_id}, which we know, is missing from the list."
        elif not one.asks(row.fingerprint):
            return f"{row.remote_id}, which we know, is listed with another request."
    return _cut_off(sent, [(row, by_id.get(row.remote_id)) for row in witnesses], skew=skew)


def _cut_off(sent: Sent, witnesses: Iterable[tuple[KnownRow, Listed | None]], *, skew: Skew) -> str:
    """Return which end of the list may be missing, or that its dates are not those of its clock."""
    begins = sent.first_at - EARLIER
    reaches_back = reaches_on = False
    for row, one in witnesses:
        if one is None or row.sent_at is None or one.created_at is None:
            continue
        first, last = skew.widen(row.sent_at - EARLIER, row.sent_at + LATER)
        if first <= one.created_at <= last:
            # By the dates of the list for its old end, and by ours for its new end: a list that has
            # a later send was written after this send had ended.
            reaches_back = reaches_back or one.created_at < skew.widen(begins, begins)[0]
            reaches_on = reaches_on or row.sent_at >= sent.until
        elif row.sent_at >= begins:
            # `Date` comes from a gateway; another machine dates the generations.
            return f"{row.remote_id}, which we know, is dated at another time than it was sent."
    if not reaches_back:
        return "None of our generations from before its send is in the list."
    return "" if reaches_on else "None of our generations from after its send is in the list."


def _is_witness(row: KnownRow, sent: Sent) -> bool:
    # A row whose content was erased no longer knows its request.
    return bool(row.fingerprint) and not row.is_imported and row.workspace == sent.workspace


def _must_be_listed(row: KnownRow, sent: Sent, asked_at: datetime) -> bool:
    if row.may_be_unlisted or row.sent_at is None:
        return False
    # Rows from before the window may be missing, because the remote may drop old results (contract,
    # 11.21). One that is listed is enough to show that the list reaches back so far.
    latest_sent_at = row.latest_sent_at or row.sent_at
    begins, ends = sent.first_at - EARLIER, asked_at - LISTED_WITHIN
    # Each row that may have been sent in this time.
    return begins <= latest_sent_at and row.sent_at <= ends


def _by_time(sent: Sent, asked_at: datetime, served_at: datetime | None) -> Verdict:
    if sent.absent_since is None or sent.absent_served_at is None:
        return Verdict(Finding.ABSENT, "The list has none, for the first time.")
    # A database that is moved to another machine, or is set right, may jump by minutes.
    if served_at is None or served_at < sent.absent_served_at + APART:
        return Verdict(Finding.ABSENT, "By the remote's clock the first list was a moment ago.")
    if asked_at < sent.absent_since + APART or asked_at < sent.until + APART:
        return Verdict(Finding.ABSENT, "The list has none; a later one must say so, too.")
    return Verdict(Finding.PROVED, "Two lists have none: nothing was created.")
