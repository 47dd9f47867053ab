"""Retry, cancel or delete any number of generations, as a job that survives a kill.

What can happen, in which order, and why it is still right:

1. `start` saves a job with the ids of its generations. No id is added later.
2. A process claims the job for `LEASE_SECONDS`, and renews the claim with each step. If it dies,
   the sweep gives the job to another process. `done + failed` is the place of the next id.
3. A retry moves this place in the transaction that saves the new generation, and a deletion in the
   transaction that deletes: both happen or neither. To cancel twice changes nothing.
4. Each step checks again whether the user still has the permission.
5. An id that the site refuses for now changes places with the last id that was not tried yet, in
   one transaction. If only such ids are left, the job waits; after three days they have failed.

Invariant: a job retries a generation at most once, even if processes die.
"""

from creatify_textgen.bulk.jobs import go_on, resume, start, stop, sweep_jobs
from creatify_textgen.bulk.selection import eligible, is_permitted
from creatify_textgen.bulk.work import job_ended

__all__ = [
    "eligible",
    "go_on",
    "is_permitted",
    "job_ended",
    "resume",
    "start",
    "stop",
    "sweep_jobs",
]
