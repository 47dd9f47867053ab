"""The work of one process on a job: each generation is processed and counted.

A generation that the site refuses for now, such as while sending is paused, changes places with the
last one that was not tried yet, so that others do not wait for it. If nothing else is left, the job
waits.

Invariant: a generation is counted only after it was processed, and is not processed again.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseFault
from django.db.models import ProtectedError, RestrictedError
from django.dispatch import Signal

from creatify_textgen import clock, databases, services
from creatify_textgen.bulk.selection import is_permitted, read_keys, swap_keys
from creatify_textgen.clock import TimeLimit
from creatify_textgen.exceptions import PolicyRefusal, TextgenError
from creatify_textgen.logs import BULK
from creatify_textgen.models import BulkJob, BulkSlice, Generation
from creatify_textgen.services.submission import retry_linked

__all__ = ["Work", "claim_job", "job_ended"]

job_ended = Signal()
"""A job is done, has failed or was stopped, or was resumed while it was running. Sent after it is
saved, with `job=`. What was done since the last time is `job.done - job.done_before`."""

# Longer than any step between two writes: STEP deletions, or one generation with a slow rule.
LEASE_SECONDS = 120.0
RETRIES_AT_ONCE = 20
"""Generations whose content is loaded together; each may have megabytes."""
STEP = 100
"""Rows that are cancelled or deleted before the job is counted."""
WAITABLE = {429, 503}
"""Statuses of temporary refusals: too many in flight, a pause."""
WAIT_SECONDS = 60.0
LONGEST_WAIT = timedelta(days=3)
"""How long after its start a job repeats temporary refusals. Later they count as failed."""
MOST_REFUSALS = 200
"""After so many refusals in a row the job waits, because the others may be refused, too."""
EXAMPLES = 10
Failures = dict[str, list[uuid.UUID]]


class _LostClaimError(Exception):
    """Another process goes on with the job, or a person has stopped it."""


def claim_job(job_id: uuid.UUID) -> Work | None:
    """Claim a running job on which no process works; None if that is impossible.

    A job that waits has an error code, and is not taken before it is due.
    """
    now, claim = clock.now(), uuid.uuid4()
    running = BulkJob.objects.filter(pk=job_id, state=BulkJob.State.RUNNING)
    # A job that waits has no claim, but an error code, and a job whose process died still has its
    # claim. Only time makes these two free.
    free = running.filter(claim=None, error_code="") | running.filter(due_at__lte=now)
    values = {"claim": claim, "due_at": clock.after(now, LEASE_SECONDS), "error_code": ""}
    if not free.update(**values):
        return None
    return Work(BulkJob.objects.select_related("requested_by").get(pk=job_id))


class Work:
    """The work of one process on a job, for a limited time."""

    def __init__(self, job: BulkJob) -> None:
        self.job = job
        self._claim = job.claim
        self._put_off = 0
        """How many were refused for now, and are the last of the job's ids."""
        self._in_a_row = 0
        self._wait_seconds, self._wait_code = math.inf, ""

    def go_on(self, limit: TimeLimit) -> float | None:
        """Work until the job ends, has to wait, or the time is up.

        Returns after how many seconds a process should continue it; None if this is not needed.
        """
        try:
            return self._work(limit)
        except _LostClaimError:
            BULK.info("Another process goes on with bulk job %s, or it was stopped.", self.job.pk)
            return None

    def _work(self, limit: TimeLimit) -> float | None:
        steps = {"retry": self._retry, "cancel": self._cancel, "delete": self._delete}
        step: Callable[[list[uuid.UUID], TimeLimit], None] = steps[self.job.verb]
        while keys := self._next_keys():
            # After a refusal the next one is probably refused as well: wait, as if all were tried,
            # instead of giving the job to a worker that would begin at once.
            if limit.is_over and self._in_a_row:
                break
            if limit.is_over:
                self._write(claim=None, error_code="")
                return 0
            if not self._is_permitted():
                self._end(BulkJob.State.FAILED, error_code="permission_lost")
                return None
            step(keys, limit)
        if self._put_off:
            code, seconds = self._wait_code, self._wait_seconds
            self._write(due_in=seconds, claim=None, error_code=code)
            return seconds
        self._end(BulkJob.State.DONE, error_code="")
        return None

    def _next_keys(self) -> list[uuid.UUID]:
        # Those that were put off are at the end of the ids.
        untried = self.job.total - self.job.handled - self._put_off
        if untried <= 0 or self._in_a_row >= MOST_REFUSALS:
            return []
        size = RETRIES_AT_ONCE if self.job.verb == BulkJob.Verb.RETRY else STEP
        # The next one may be refused, too. Then the contents beside it are loaded again.
        return read_keys(self.job, limit=1 if self._in_a_row else min(size, untried))

    def _is_permitted(self) -> bool:
        user = self.job.requested_by
        if user is None:
            return False
        # A user object caches its permissions, so each step loads the user again.
        fresh = type(user)._default_manager.filter(pk=user.pk).first()
        return is_permitted(fresh, verb=self.job.verb)

    def _retry(self, keys: list[uuid.UUID], limit: TimeLimit) -> None:
        rows = Generation.objects.select_related("owner", "content").in_bulk(keys)
        for key in keys:
            if limit.is_over or not self._try(key, rows.get(key), self._retry_one):
                return

    def _retry_one(self, row: Generation) -> None:
        # Counted in the transaction that saves the new row: a process that dies after it has
        # counted, and one that dies before has neither, so nothing is paid for twice.
        counted = self._counted(done=1)
        retry_linked(row, link=lambda _: self._write(**counted))
        self._note(counted)

    def _cancel(self, keys: list[uuid.UUID], limit: TimeLimit) -> None:
        rows = Generation.objects.in_bulk(keys)
        for key in keys:
            if limit.is_over or not self._try(key, rows.get(key), self._cancel_one):
                return

    def _cancel_one(self, row: Generation) -> None:
        # Two transactions are enough here. If the process dies between them, the next one finds a
        # cancelled row, and `cancel` returns it as it is.
        services.cancel(row)
        self._count(done=1)

    def _delete(self, keys: list[uuid.UUID], limit: TimeLimit) -> None:
        try:
            self._delete_all(keys)
        except (ProtectedError, RestrictedError):
            # Other rows of the site need some of them; the rest is deleted one at a time.
            for key in keys:
                self._try_to_delete(key)

    def _try_to_delete(self, key: uuid.UUID) -> None:
        try:
            self._delete_all([key])
        except (ProtectedError, RestrictedError):
            self._count(failures={"protected": [key]})

    def _delete_all(self, keys: list[uuid.UUID]) -> None:
        with databases.short_transaction():
            services.delete_many(keys)
            # Only a generation that has ended is deleted. What a person has deleted meanwhile
            # counts as done.
            kept = list(Generation.objects.filter(pk__in=keys).values_list("pk", flat=True))
            failures = {"not_finished": kept} if kept else {}
            counted = self._counted(done=len(keys) - len(kept), failures=failures)
            self._write(**counted)
        self._note(counted)

    def _try(
        self, key: uuid.UUID, row: Generation | None, act: Callable[[Generation], None]
    ) -> bool:
        """Process one generation. An error is counted, and the job goes on with the others.

        Returns False if it was put off, so that another id takes its place.
        """
        if row is None:
            self._count(failures={"not_found": [key]})
            return True
        try:
            act(row)
        except (_LostClaimError, DatabaseFault):
            # Nothing can be counted now. The claim ends, and the sweep gives the job to another.
            raise
        except PolicyRefusal as refusal:
            if refusal.status in WAITABLE and self._may_wait():
                self._put_off_next(refusal)
                return False
            self._count(failures={refusal.code: [key]})
        except TextgenError as error:
            self._count(failures={error.code: [key]})
        except ImproperlyConfigured:
            self._count(failures={"not_configured": [key]})
        except Exception as error:  # noqa: BLE001  a bug with one row must not hold up the others
            text = "Bulk job %s failed at generation %s."
            BULK.error(text, self.job.pk, key, exc_info=databases.loggable(error))
            self._count(failures={"internal_error": [key]})
        self._in_a_row = 0
        return True

    def _may_wait(self) -> bool:
        return clock.now() - self.job.created_at < LONGEST_WAIT

    def _put_off_next(self, refusal: PolicyRefusal) -> None:
        self._put_off += 1
        with databases.short_transaction():
            # Two processes must not change the order of the same ids.
            self._write()
            swap_keys(self.job, self.job.handled, self.job.total - self._put_off)
        self._in_a_row += 1
        # Bounds for what a rule of the site may say: 0 would be a loop without a pause, and a long
        # time may be longer than the reason lasts.
        seconds = max(1.0, min(refusal.retry_after or WAIT_SECONDS, 10 * WAIT_SECONDS))
        self._wait_seconds = min(self._wait_seconds, seconds)
        # A `POLICY` may have a code of any length; the column has 40 characters.
        self._wait_code = refusal.code[:40]

    def _count(self, **counts: Any) -> None:
        counted = self._counted(**counts)
        self._write(**counted)
        self._note(counted)

    def _counted(self, *, done: int = 0, failures: Failures | None = None) -> dict[str, Any]:
        """Return the job's counts after this; `failures` names the generations by error code."""
        # A copy, because the transaction that saves it may still fail.
        noted: dict[str, Any] = deepcopy(self.job.failures)
        for code, keys in (failures or {}).items():
            found = noted.setdefault(code, {"count": 0, "examples": []})
            found["count"] += len(keys)
            examples = [*found["examples"], *map(str, keys)]
            found["examples"] = examples[:EXAMPLES]
        failed = self.job.failed + sum(map(len, (failures or {}).values()))
        return {"done": self.job.done + done, "failed": failed, "failures": noted}

    def _note(self, counted: dict[str, Any]) -> None:
        # After the commit: a transaction that failed has counted nothing.
        for name, value in counted.items():
            setattr(self.job, name, value)

    def _end(self, state: BulkJob.State, *, error_code: str) -> None:
        now = clock.now()
        ended: dict[str, Any] = {"state": state, "finished_at": now, "claim": None, "due_at": None}
        with databases.short_transaction():
            self._write(**ended, error_code=error_code)
            # A job that failed or was stopped needs them if somebody resumes it.
            if state == BulkJob.State.DONE:
                BulkSlice.objects.filter(job=self.job).delete()
        self._note({**ended, "error_code": error_code})
        job_ended.send_robust(sender=BulkJob, job=self.job)

    def _write(self, *, due_in: float = LEASE_SECONDS, **values: Any) -> None:
        """Save this and renew the claim. Raises: _LostClaimError, and nothing is saved."""
        values.setdefault("due_at", clock.after(clock.now(), due_in))
        # The counts are part of the condition: after an error that followed the commit of a count,
        # this object's are old, and the next process goes on from those that were saved.
        mine = BulkJob.objects.filter(
            pk=self.job.pk,
            state=BulkJob.State.RUNNING,
            claim=self._claim,
            done=self.job.done,
            failed=self.job.failed,
        )
        if not mine.update(**values):
            raise _LostClaimError
