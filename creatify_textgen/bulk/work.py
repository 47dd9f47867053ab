"""A job in the hands of one process: what is done to each generation, and how it is counted.

Invariant: what is counted has happened, and nothing happens to a generation that is counted.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseFault
from django.db import transaction
from django.db.models import ProtectedError, RestrictedError

from creatify_textgen import clock, databases, services
from creatify_textgen.bulk.selection import is_permitted, read_keys
from creatify_textgen.clock import TimeLimit
from creatify_textgen.exceptions import PolicyRefusal, TextgenError
from creatify_textgen.logs import BULK
from creatify_textgen.models import BulkJob, Generation
from creatify_textgen.services.submission import retry_linked

__all__ = ["Work", "claim_job"]

LEASE_SECONDS = 120.0
RETRIES_AT_ONCE = 20
"""Their content is loaded together, and each may have megabytes."""
STEP = 100
"""Rows that are cancelled or deleted before the job is counted."""
WAITABLE = {429, 503}
"""Statuses of a refusal that passes by itself: a limit of what is in flight, a pause."""
WAIT_SECONDS = 60.0
EXAMPLES = 10
Failures = dict[str, list[uuid.UUID]]


class _LostClaimError(Exception):
    """Another process goes on with the job, or a person has stopped it."""


class _MustWaitError(Exception):
    def __init__(self, refusal: PolicyRefusal) -> None:
        super().__init__(refusal.code)
        self.code = refusal.code
        self.seconds = max(1.0, min(refusal.retry_after or WAIT_SECONDS, 10 * WAIT_SECONDS))


def claim_job(job_id: uuid.UUID) -> Work | None:
    """Take a job that goes on and that no process works on; None if there is none to take."""
    now, claim = clock.now(), uuid.uuid4()
    running = BulkJob.objects.filter(pk=job_id, state=BulkJob.State.RUNNING)
    free = running.filter(claim=None) | running.filter(due_at__lte=now)
    if not free.update(claim=claim, due_at=clock.after(now, LEASE_SECONDS)):
        return None
    return Work(BulkJob.objects.select_related("requested_by").get(pk=job_id))


class Work:
    """What one process does for a job until its time is up."""

    def __init__(self, job: BulkJob) -> None:
        self.job = job
        self._claim = job.claim

    def go_on(self, limit: TimeLimit) -> bool:
        """Work until the job ends, has to wait, or the time is up; whether it is the latter."""
        steps = {"retry": self._retry, "cancel": self._cancel, "delete": self._delete}
        step: Callable[[list[uuid.UUID], TimeLimit], None] = steps[self.job.verb]
        size = RETRIES_AT_ONCE if self.job.verb == BulkJob.Verb.RETRY else STEP
        try:
            while keys := read_keys(self.job, limit=size):
                if limit.is_over:
                    self._write(claim=None, error_code="")
                    return True
                if not self._is_permitted():
                    self._end(BulkJob.State.FAILED, error_code="permission_lost")
                    return False
                step(keys, limit)
            self._end(BulkJob.State.DONE, error_code="")
        except _MustWaitError as wait:
            self._write(due_in=wait.seconds, claim=None, error_code=wait.code)
        except _LostClaimError:
            BULK.info("Another process goes on with bulk job %s, or it was stopped.", self.job.pk)
        return False

    def _is_permitted(self) -> bool:
        user = self.job.requested_by
        if user is None:
            return False
        # A user remembers permissions, so each step asks a new one.
        fresh = type(user)._default_manager.filter(pk=user.pk).first()
        return is_permitted(fresh, verb=self.job.verb)

    def _retry(self, keys: list[uuid.UUID], limit: TimeLimit) -> None:
        rows = Generation.objects.select_related("owner", "content").in_bulk(keys)
        for key in keys:
            if limit.is_over:
                return
            self._try(key, rows.get(key), self._retry_one)

    def _retry_one(self, row: Generation) -> None:
        counted = self._counted(done=1)
        retry_linked(row, link=lambda _: self._write(**counted))
        self._note(counted)

    def _cancel(self, keys: list[uuid.UUID], limit: TimeLimit) -> None:
        rows = Generation.objects.in_bulk(keys)
        for key in keys:
            if limit.is_over:
                return
            self._try(key, rows.get(key), self._cancel_one)

    def _cancel_one(self, row: Generation) -> None:
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
        with transaction.atomic(using=databases.alias()):
            services.delete_many(keys)
            kept = list(Generation.objects.filter(pk__in=keys).values_list("pk", flat=True))
            failures = {"not_finished": kept} if kept else {}
            counted = self._counted(done=len(keys) - len(kept), failures=failures)
            self._write(**counted)
        self._note(counted)

    def _try(
        self, key: uuid.UUID, row: Generation | None, act: Callable[[Generation], None]
    ) -> None:
        """Do it to one generation. What it raises is counted, and keeps no other waiting."""
        if row is None:
            self._count(failures={"not_found": [key]})
            return
        try:
            act(row)
        except (_LostClaimError, DatabaseFault):
            raise
        except PolicyRefusal as refusal:
            if refusal.status in WAITABLE:
                raise _MustWaitError(refusal) from refusal
            self._count(failures={refusal.code: [key]})
        except TextgenError as error:
            self._count(failures={error.code: [key]})
        except ImproperlyConfigured:
            self._count(failures={"not_configured": [key]})
        except Exception:  # noqa: BLE001  a bug with one row must not hold up the others
            BULK.exception("Bulk job %s failed at generation %s.", self.job.pk, key)
            self._count(failures={"internal_error": [key]})

    def _count(self, **counts: Any) -> None:
        counted = self._counted(**counts)
        self._write(**counted)
        self._note(counted)

    def _counted(self, *, done: int = 0, failures: Failures | None = None) -> dict[str, Any]:
        """Return the job's counts after this; `failures` names the generations by error code."""
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
        self._write(state=state, error_code=error_code, finished_at=now, claim=None, due_at=None)

    def _write(self, *, due_in: float = LEASE_SECONDS, **values: Any) -> None:
        """Save this and renew the claim. Raises: _LostClaimError, and nothing is saved."""
        values.setdefault("due_at", clock.after(clock.now(), due_in))
        mine = BulkJob.objects.filter(
            pk=self.job.pk,
            state=BulkJob.State.RUNNING,
            claim=self._claim,
            done=self.job.done,
            failed=self.job.failed,
        )
        if not mine.update(**values):
            raise _LostClaimError
