"""The examinations of `textgen_doctor`. Each one tries one thing and yields findings.

Invariant: a finding never contains a key, a token or the password of an address. Nothing here
spends credits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from celery import current_app
from django.core.checks import ERROR, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db.migrations.executor import MigrationExecutor
from django.urls import NoReverseMatch

from creatify_textgen import clock, databases, services
from creatify_textgen.conf import conf
from creatify_textgen.exceptions import TextgenError
from creatify_textgen.services import health

__all__ = ["EXAMINATIONS", "NEEDS", "Finding", "examine"]

APP = "creatify_textgen"
SECONDS = 3
"""How long a worker may take to answer."""
WEBHOOK_SECONDS = 10.0
"""How long an answer of this site's own receiver may take, through the proxies before it."""
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""If the file that one of these names is missing, no connection to Creatify succeeds."""
SUBMIT = "creatify_textgen.submit"
HINTS = {
    "database": "Is the database of DATABASES running, and may this process connect to it?",
    "cache": "Is the server of CACHES['default'] running, and is its LOCATION right?",
    "media storage": "Does the storage of MEDIA_STORAGE exist, and may this process write to it?",
    "streams": "Is the Redis of STREAM_BACKEND running, and is its address right?",
    "broker": "Is the broker running, and is its address right (CELERY_BROKER_URL)?",
    "workers": "Workers are asked through the broker: does it answer?",
}
"""What to do if an examination fails with an error of a driver."""
NEEDS = {"workers": "broker", "sweep": "database", "queue": "database", "models": "database"}
"""An examination, and the earlier one that examines what it uses."""


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
    """Run one examination. An exception becomes a finding."""
    findings: list[Finding] = []
    try:
        # `extend` keeps the findings before an exception.
        findings.extend(examination())
    except Exception as error:  # noqa: BLE001  # the others must still run
        findings.append(Finding(name, "failed", _message_of(error), HINTS.get(name, "")))
    return findings


def check_settings() -> Findings:
    problems = run_checks(tags=[APP])
    for problem in problems:
        status = "failed" if problem.level >= ERROR else "warning"
        yield Finding("settings", status, f"{problem.msg} ({problem.id})", problem.hint or "")
    if not problems:
        yield Finding("settings", "ok", "CREATIFY_TEXTGEN is valid.")


def check_accounts() -> Findings:
    for name in conf.accounts:
        # Caught here and not in `examine`: the accounts after one that fails are asked, too.
        try:
            balance = health.ask_balance(name)
        except (ImproperlyConfigured, ValueError, TextgenError) as error:
            yield Finding(f"account {name}", "failed", _message_of(error), _hint_of(error))
        else:
            status = "ok" if balance > 0 else "warning"
            yield Finding(f"account {name}", status, f"{balance.normalize():f} credits are left.")


def check_database() -> Findings:
    executor = MigrationExecutor(databases.connection())
    # The leaves of this app alone: the plan adds what they depend on in other apps.
    leaves = [node for node in executor.loader.graph.leaf_nodes() if node[0] == APP]
    missing = [migration.name for migration, _ in executor.migration_plan(leaves)]
    if missing:
        message = f"Migrations are not applied: {', '.join(missing)}."
        yield Finding("database", "failed", message, "Run manage.py migrate.")
    else:
        yield Finding("database", "ok", "All migrations are applied.")


def check_cache() -> Findings:
    health.try_cache()
    yield Finding("cache", "ok", "Stores and returns values.")


def check_media_storage() -> Findings:
    health.try_media_storage()
    yield Finding("media storage", "ok", f"{conf.media_storage!r} writes, reads and deletes.")


def check_streams() -> Findings:
    health.try_streams()
    scheme = conf.stream_backend.partition("://")[0]
    yield Finding("streams", "ok", f"{scheme}:// delivers frames.")


def check_broker() -> Findings:
    kind = health.try_broker()
    if kind:
        yield Finding("broker", "ok", f"{kind} answers.")
    else:
        yield Finding("broker", "skipped", "The project has no Celery app.")


def check_workers() -> Findings:
    # Nobody knows how many workers exist, so this waits for the whole time.
    queues = current_app.control.inspect(timeout=SECONDS).active_queues() or {}
    if not queues:
        message = "No worker answered."
        yield Finding("workers", "failed", message, "Start one: celery -A <project> worker.")
        return
    yield Finding("workers", "ok", f"{len(queues)} answered.")
    served = {queue["name"] for rows in queues.values() for queue in rows}
    yield from _queue_findings(served)
    # The limit ends the wait as soon as all of them have answered.
    known = current_app.control.inspect(list(queues), timeout=SECONDS, limit=len(queues))
    rows = (known.registered() or {}).values()
    # Celery may add a task's settings in brackets after its name.
    registered = {task.partition(" ")[0] for tasks in rows for task in tasks}
    # No answer proves nothing: a worker may have ended after the first question.
    if registered and SUBMIT not in registered:
        message = "No worker has loaded the tasks of this app."
        yield Finding("workers", "failed", message, "Call app.autodiscover_tasks().")


def check_webhook() -> Findings:
    if conf.webhook_base_url is None:
        yield Finding(
            "webhook", "skipped", "WEBHOOK_BASE_URL is not set: results are found by polling."
        )
        return
    try:
        right, wrong = health.probe_urls()
    except NoReverseMatch:
        hint = "Include creatify_textgen.urls in ROOT_URLCONF."
        yield Finding("webhook", "failed", "No URL leads to the receiver.", hint)
        return
    # Two requests: another site may well answer 400, or 404, but hardly each to the right one.
    yield _webhook_finding(_post(right), _post(wrong))


def check_sweep() -> Findings:
    now = clock.now()
    # The rows are asked, not the time of the last sweep: a sweep that runs but does not reach its
    # rows is no better than none.
    late = health.oldest_overdue(now=now)
    if late is None or late.due_at is None:
        yield Finding("sweep", "ok", "Nothing is overdue.")
        return
    minutes = (now - late.due_at).total_seconds() / 60
    message = (
        f"Generation {late.pk} of account {late.account!r} is overdue: it has been due for "
        f"{minutes:.0f} minutes."
    )
    hint = "Run a worker, schedule creatify_textgen.sweep, or run manage.py textgen_sweep by cron."
    yield Finding("sweep", "failed", message, hint)


def check_queue() -> Findings:
    now = clock.now()
    queues = health.waiting_queues(since=now - services.OVERDUE_AFTER, now=now)
    for queue in queues:
        minutes = (now - queue.oldest_at).total_seconds() / 60
        message = (
            f"{queue.length} requests of account {queue.account!r} are overdue, the oldest for "
            f"{minutes:.0f} minutes: {queue.reason}."
        )
        yield Finding("queue", "warning", message, "They are sent when that is over.")
    if not queues:
        yield Finding("queue", "ok", "No request waits to be sent.")


def check_models() -> Findings:
    rerouted = services.rerouted_models()
    for asked, answered in rerouted.items():
        message = f"{answered} answers for {asked}, at its own price."
        yield Finding("models", "warning", message, "Request the model that you want by its name.")
    if not rerouted:
        yield Finding("models", "ok", "Recent streams were answered by the requested models.")


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
    "queue": check_queue,
    "models": check_models,
}


def _queue_findings(served: set[str]) -> Findings:
    default = current_app.conf.task_default_queue
    wanted = {conf.celery_queue or default}
    # With memory:// the pump is a thread of the web process, and no worker reads streams.
    if not conf.stream_backend.startswith("memory://"):
        wanted.add(conf.stream_queue or default)
    for queue in sorted(wanted - served):
        hint = f"Start one: celery -A <project> worker --queues {queue}."
        yield Finding("workers", "failed", f"No worker takes from the queue {queue!r}.", hint)


def _webhook_finding(right: int | str, wrong: int | str) -> Finding:
    if isinstance(right, str) or isinstance(wrong, str):
        reason = right if isinstance(right, str) else wrong
        return Finding("webhook", "failed", f"WEBHOOK_BASE_URL does not answer: {reason}.")
    # The receiver answers 400 to a right token with an unreadable body, and 404 to a wrong token.
    if (right, wrong) == (400, 404):
        return Finding("webhook", "ok", "WEBHOOK_BASE_URL leads to this site's receiver.")
    message = f"WEBHOOK_BASE_URL answers {right} and {wrong}; the receiver answers 400 and 404."
    hint = "Does it lead to this site, with the same SECRET_KEY, without login or redirect?"
    return Finding("webhook", "failed", message, hint)


class _NoRedirects(HTTPRedirectHandler):
    # Whether Creatify follows a redirect is unknown, so one counts as a failure. If no new request
    # is returned, urllib raises HTTPError with the status of the redirect.
    def redirect_request(self, *args: object, **kwargs: object) -> None:
        return None


def _post(url: str) -> int | str:
    """Post a body that is not a delivery. Return the status, or why there was none."""
    request = Request(  # noqa: S310  # the system checks allow only http(s)
        url, data=b"textgen_doctor", headers={"Content-Type": "application/json"}, method="POST"
    )
    try:
        with build_opener(_NoRedirects).open(request, timeout=WEBHOOK_SECONDS) as response:
            return int(response.status)
    except HTTPError as error:
        with error:
            return error.code
    except (OSError, HTTPException) as error:
        # Some errors contain the URL and so the token; the type of the reason does not.
        return type(getattr(error, "reason", error)).__name__


def _hint_of(error: Exception) -> str:
    if getattr(error, "code", "") == "authentication":
        return "Creatify does not accept these keys."
    # Before the hint at the network: a missing bundle is reported as an unreachable remote, too.
    for name in BUNDLES:
        path = os.environ.get(name, "")
        if path and not Path(path).exists():
            return f"{name} names a bundle of certificates that does not exist: {path}"
    if getattr(error, "code", "") == "remote_unavailable":
        return "Look at Creatify's status, and at the network and the proxy of this machine."
    return ""


def _message_of(error: Exception) -> str:
    """Return the text of our errors. A driver's may quote an address with a password."""
    if isinstance(error, TextgenError | ImproperlyConfigured):
        return str(error)
    return f"It failed with {type(error).__name__}."
