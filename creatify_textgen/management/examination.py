"""What `textgen_doctor` looks at: each examination tries one thing and yields findings.

Invariant: a finding never shows a key, a token or the password in an address; nothing here
spends credits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from celery import current_app
from django.core.checks import ERROR, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor
from django.urls import NoReverseMatch
from django.utils import timezone

from creatify_textgen.conf import conf
from creatify_textgen.exceptions import TextgenError
from creatify_textgen.services import health

__all__ = ["EXAMINATIONS", "Finding", "examine"]

APP = "creatify_textgen"
SECONDS = 3
"""How long a worker may take to answer."""
WEBHOOK_SECONDS = 10.0
OVERDUE = timedelta(seconds=180)
"""Longer than a sweep holds a row, so that one at work is not taken for one that is missing."""
SUBMIT = "creatify_textgen.submit"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    name: str
    status: str
    """`ok`, `warning`, `failed` or `skipped`."""
    message: str
    hint: str = ""


Findings = Iterator[Finding]


def examine(name: str, examination: Callable[[], Findings]) -> list[Finding]:
    """Run one examination; whatever it raises is a finding, too."""
    findings: list[Finding] = []
    try:
        findings.extend(examination())
    except Exception as error:  # noqa: BLE001  # a doctor must not die of what it finds
        findings.append(Finding(name, "failed", _told(error)))
    return findings


def check_settings() -> Findings:
    problems = run_checks(tags=[APP])
    for problem in problems:
        status = "failed" if problem.level >= ERROR else "warning"
        yield Finding("settings", status, f"{problem.msg} ({problem.id})", problem.hint or "")
    if not problems:
        yield Finding("settings", "ok", "CREATIFY_TEXTGEN is in order.")


def check_accounts() -> Findings:
    for name in conf.accounts:
        try:
            balance = health.ask_balance(name)
        except (ImproperlyConfigured, ValueError, TextgenError) as error:
            hint = "Creatify knows other keys." if _code(error) == "authentication" else ""
            yield Finding(f"account {name}", "failed", _told(error), hint)
        else:
            status = "ok" if balance > 0 else "warning"
            yield Finding(f"account {name}", status, f"{balance.normalize():f} credits are left.")


def check_database() -> Findings:
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    leaves = [node for node in executor.loader.graph.leaf_nodes() if node[0] == APP]
    missing = [migration.name for migration, _ in executor.migration_plan(leaves)]
    if missing:
        told = f"Migrations are not applied: {', '.join(missing)}."
        yield Finding("database", "failed", told, "Run manage.py migrate.")
    else:
        yield Finding("database", "ok", "All migrations are applied.")


def check_cache() -> Findings:
    health.try_cache()
    yield Finding("cache", "ok", "Keeps what it is given.")


def check_media_storage() -> Findings:
    health.try_media_storage()
    yield Finding("media storage", "ok", f"{conf.media_storage!r} writes, reads and deletes.")


def check_streams() -> Findings:
    health.try_streams()
    scheme = conf.stream_backend.partition("://")[0]
    yield Finding("streams", "ok", f"{scheme}:// hands frames on.")


def check_broker() -> Findings:
    with current_app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=SECONDS)
        yield Finding("broker", "ok", f"{connection.transport.driver_type} answers.")


def check_workers() -> Findings:
    queues = current_app.control.inspect(timeout=SECONDS).active_queues() or {}
    if not queues:
        told = "No worker answered."
        yield Finding("workers", "failed", told, "Start one: celery -A <project> worker.")
        return
    yield Finding("workers", "ok", f"{len(queues)} answered.")
    served = {queue["name"] for rows in queues.values() for queue in rows}
    yield from _queue_findings(served)
    known = current_app.control.inspect(list(queues), timeout=SECONDS, limit=len(queues))
    rows = (known.registered() or {}).values()
    # A name may be followed by its settings, in brackets.
    registered = {task.partition(" ")[0] for tasks in rows for task in tasks}
    if registered and SUBMIT not in registered:
        told = "No worker knows our tasks."
        yield Finding("workers", "failed", told, "Call app.autodiscover_tasks().")


def check_webhook() -> Findings:
    if conf.webhook_base_url is None:
        yield Finding("webhook", "skipped", "WEBHOOK_BASE_URL is not set: results are polled for.")
        return
    try:
        right, wrong = health.probe_urls()
    except NoReverseMatch:
        hint = "Include creatify_textgen.urls in ROOT_URLCONF."
        yield Finding("webhook", "failed", "No URL leads to the receiver.", hint)
        return
    yield _webhook_finding(_post(right), _post(wrong))


def check_sweep() -> Findings:
    now = timezone.now()
    late = health.oldest_overdue(before=now - OVERDUE)
    if late is None or late.next_check_at is None:
        yield Finding("sweep", "ok", "Nothing is overdue.")
        return
    minutes = (now - late.next_check_at).total_seconds() / 60
    told = f"Nothing has looked at generation {late.pk} for {minutes:.0f} minutes."
    hint = "Run a worker, schedule creatify_textgen.sweep, or run manage.py textgen_sweep by cron."
    yield Finding("sweep", "failed", told, hint)


EXAMINATIONS: dict[str, Callable[[], Findings]] = {
    "settings": check_settings,
    "accounts": check_accounts,
    "database": check_database,
    "cache": check_cache,
    "media storage": check_media_storage,
    "streams": check_streams,
    "broker": check_broker,
    "workers": check_workers,
    "webhook": check_webhook,
    "sweep": check_sweep,
}


def _queue_findings(served: set[str]) -> Findings:
    default = current_app.conf.task_default_queue
    wanted = {conf.celery_queue or default}
    if not conf.stream_backend.startswith("memory://"):
        wanted.add(conf.stream_queue or default)
    for queue in sorted(wanted - served):
        hint = f"Start one: celery -A <project> worker --queues {queue}."
        yield Finding("workers", "failed", f"No worker takes from the queue {queue!r}.", hint)


def _webhook_finding(right: int | str, wrong: int | str) -> Finding:
    if isinstance(right, str) or isinstance(wrong, str):
        told = right if isinstance(right, str) else wrong
        return Finding("webhook", "failed", f"WEBHOOK_BASE_URL does not answer: {told}.")
    # A right token with a body that nobody can read is a 400 of the receiver's own; a wrong
    # token gets no further than a 404.
    if (right, wrong) == (400, 404):
        return Finding("webhook", "ok", "WEBHOOK_BASE_URL leads to this site's receiver.")
    told = f"WEBHOOK_BASE_URL answers {right} and {wrong} where the receiver says 400 and 404."
    hint = "Does it lead to this site, with the same SECRET_KEY, without login or redirect?"
    return Finding("webhook", "failed", told, hint)


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *args: object, **kwargs: object) -> None:
        return None


def _post(url: str) -> int | str:
    """Post a body that is no delivery; return the status, or why there was none."""
    request = Request(  # noqa: S310  # http(s) only: the checks hold the setting to that
        url, data=b"textgen_doctor", headers={"Content-Type": "application/json"}, method="POST"
    )
    try:
        with build_opener(_NoRedirects).open(request, timeout=WEBHOOK_SECONDS) as response:
            return int(response.status)
    except HTTPError as error:
        with error:
            return error.code
    except (OSError, HTTPException) as error:
        # The reason, not the error: some name the URL, and with it the token.
        return type(getattr(error, "reason", error)).__name__


def _code(error: Exception) -> str:
    return str(getattr(error, "code", ""))


def _told(error: Exception) -> str:
    """Our own messages hold no secret; those of drivers may quote an address."""
    if isinstance(error, TextgenError | ImproperlyConfigured):
        return str(error)
    return f"It failed with {type(error).__name__}."
