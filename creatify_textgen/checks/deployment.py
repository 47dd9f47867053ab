"""Compares the setting with the rest of the site: URLs, storages, apps, Celery, processes.

Invariant: reads configuration only. `textgen_doctor` checks what needs an answer from a server.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from celery import current_app
from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution
from django.db import connections, router
from django.urls import NoReverseMatch

from creatify_textgen import services
from creatify_textgen.checks.rules import RULES
from creatify_textgen.conf import conf
from creatify_textgen.dispatch.callbacks import TOKEN_LENGTH, webhook_path
from creatify_textgen.models import uuid7

__all__ = ["check_deployment"]

APP = "creatify_textgen"
LONGEST_WEBHOOK_URL = 200
"""Characters that Creatify accepts (contract, section 3)."""
MODEL_NOTICE = timedelta(days=60)
"""How long before a model ends the check begins to warn."""
FILE_SYSTEM = "django.core.files.storage.FileSystemStorage"
LOCAL_BROKERS = ("memory", "filesystem")
# Brokers that deliver a message again if no worker acknowledged it in time.
BROKERS_WITH_VISIBILITY = ("redis", "rediss", "sentinel", "sqs")
KOMBU_VISIBILITY_SECONDS = 3600


def check_deployment(**_: Any) -> list[CheckMessage]:
    """Check that the site has what the setting requires."""
    configured = getattr(settings, "CREATIFY_TEXTGEN", None) or {}
    if not isinstance(configured, dict) or not all(
        RULES[key].holds(configured[key]) for key in RULES if key in configured
    ):
        return []  # the checks of values report these
    return [
        *_app_messages(),
        *_model_messages(),
        *_database_messages(),
        *_tenant_messages(),
        *_webhook_messages(),
        *_storage_messages(),
        *_celery_messages(),
        *_process_messages(),
        *_metrics_messages(),
    ]


def _app_messages() -> Iterator[CheckMessage]:
    if _webhook_path() is not None and not apps.is_installed("rest_framework"):
        yield Error(
            "creatify_textgen.urls are included, but 'rest_framework' is not installed.",
            hint="Add 'rest_framework' to INSTALLED_APPS.",
            id="creatify_textgen.E010",
        )


def _model_messages() -> Iterator[CheckMessage]:
    facts = services.known_models()[0]
    today = datetime.now(tz=UTC).date()
    if facts.ends_on is None or facts.ends_on > today + MODEL_NOTICE:
        return
    verb = "ended" if facts.has_ended(today) else "ends"
    yield Caution(
        f"CREATIFY_TEXTGEN['DEFAULT_MODEL'] is {facts.name}, which {verb} on {facts.ends_on}: "
        f"from then on {facts.successor} answers, at its own price.",
        hint=f"Choose another model ({facts.source}, read on {facts.read_on}).",
        id="creatify_textgen.W015",
    )


def _database_messages() -> Iterator[CheckMessage]:
    models = apps.get_app_config("creatify_textgen").get_models(include_auto_created=True)
    aliases = {router.db_for_write(model) for model in models}
    if len(aliases) > 1:
        yield Error(
            f"DATABASE_ROUTERS write the tables of creatify_textgen to {', '.join(sorted(aliases))}"
            ": a generation and what belongs to it change in one transaction.",
            hint="Send the whole app to one alias.",
            id="creatify_textgen.E015",
        )
    for alias in sorted(aliases):
        if not connections.settings.get(alias, {}).get("AUTOCOMMIT", True):
            yield Error(
                f"DATABASES[{alias!r}] has AUTOCOMMIT False: a generation would be paid for before "
                "its row is committed, and paid for again after a rollback.",
                hint="Remove AUTOCOMMIT, or send the app to another alias.",
                id="creatify_textgen.E017",
            )


def _tenant_messages() -> Iterator[CheckMessage]:
    """Look at the settings of django-tenants: workers and pumps know no tenant."""
    shared, tenant = (getattr(settings, f"{kind}_APPS", ()) for kind in ("SHARED", "TENANT"))
    if APP in tenant and APP not in shared:
        yield Error(
            "creatify_textgen is listed in TENANT_APPS: workers, sweeps and streams run in no "
            "tenant's schema and would not find its tables.",
            hint="List it in SHARED_APPS, and keep the tenant in the owner or in metadata.",
            id="creatify_textgen.E016",
        )


def _webhook_messages() -> Iterator[CheckMessage]:
    base_url = conf.webhook_base_url
    if base_url is None:
        return
    path = _webhook_path()
    if path is None:
        yield Error(
            "CREATIFY_TEXTGEN['WEBHOOK_BASE_URL'] is set, but no URL leads to the receiver.",
            hint='Add path("textgen/", include("creatify_textgen.urls")) to ROOT_URLCONF.',
            id="creatify_textgen.E011",
        )
    elif len(base_url + path) > LONGEST_WEBHOOK_URL:
        yield Error(
            f"Webhook URLs would have {len(base_url + path)} characters; Creatify accepts at most "
            f"{LONGEST_WEBHOOK_URL}.",
            hint="Include creatify_textgen.urls under a shorter path, or use a shorter host name.",
            id="creatify_textgen.E012",
        )
    if urlsplit(base_url).scheme != "https" and not _is_loopback(base_url):
        yield Caution(
            "CREATIFY_TEXTGEN['WEBHOOK_BASE_URL'] is not https: tokens and results of webhooks "
            "are sent without encryption.",
            hint="Use https://; http is for loopback only.",
            id="creatify_textgen.W010",
        )


def _storage_messages() -> Iterator[CheckMessage]:
    if conf.media_storage not in settings.STORAGES:
        yield Error(
            f"CREATIFY_TEXTGEN['MEDIA_STORAGE'] is {conf.media_storage!r}: no alias in STORAGES.",
            hint=f"STORAGES has {', '.join(sorted(settings.STORAGES))}.",
            id="creatify_textgen.E013",
        )
        return
    storage = settings.STORAGES[conf.media_storage]
    has_place = settings.MEDIA_ROOT or "location" in storage.get("OPTIONS", {})
    if storage["BACKEND"] == FILE_SYSTEM and not has_place:
        yield Caution(
            "MEDIA_ROOT is empty: images and videos are stored below the folder in which each "
            "process was started, so a worker may not find what the site stored.",
            hint='Set MEDIA_ROOT to an absolute path, such as BASE_DIR / "media".',
            id="creatify_textgen.W020",
        )


def _celery_messages() -> Iterator[CheckMessage]:
    if current_app.main == "default":
        yield Caution(
            "No Celery app of this project is loaded: tasks would go to Celery's default broker.",
            hint="Import the project's Celery app in its __init__.py, as Celery's guide for "
            "Django says.",
            id="creatify_textgen.W011",
        )
        return
    if current_app.conf.task_always_eager and not settings.DEBUG:
        yield Caution(
            "task_always_eager is on: generations are sent within web requests, and nothing "
            "polls for their results.",
            hint="Turn CELERY_TASK_ALWAYS_EAGER off and run a worker.",
            id="creatify_textgen.W012",
        )
    yield from _visibility_messages()


def _visibility_messages() -> Iterator[CheckMessage]:
    if _broker_scheme() not in BROKERS_WITH_VISIBILITY:
        return
    options = current_app.conf.broker_transport_options or {}
    visibility = options.get("visibility_timeout", KOMBU_VISIBILITY_SECONDS)
    needed = _longest_unacknowledged()
    if visibility <= needed:
        yield Caution(
            f"The broker's visibility_timeout ({visibility} s) is not longer than the {needed:g} s "
            "for which our messages may stay unacknowledged: they would be delivered repeatedly.",
            hint="Raise visibility_timeout in broker_transport_options.",
            id="creatify_textgen.W013",
        )


def _longest_unacknowledged() -> float:
    """Return how many seconds a worker may hold a message without acknowledging it.

    That is the longest countdown, or the longest send if tasks are acknowledged late.
    """
    if not current_app.conf.task_acks_late:
        return conf.poll_max_interval
    send = conf.timeouts["connect"] + conf.timeouts["sync"] + conf.submit_lease
    return max(conf.poll_max_interval, send)


def _process_messages() -> Iterator[CheckMessage]:
    if not conf.stream_backend.startswith("memory://"):
        return
    web_processes = os.environ.get("WEB_CONCURRENCY", "")
    hint = 'Set STREAM_BACKEND to a Redis, such as "redis://127.0.0.1:6379/1".'
    if web_processes.isdecimal() and int(web_processes) > 1:
        yield Error(
            f"STREAM_BACKEND is memory://, but WEB_CONCURRENCY asks for {web_processes} web "
            "processes: a reader would find its stream only in the process that started it.",
            hint=hint,
            id="creatify_textgen.E014",
        )
    elif not settings.DEBUG and _broker_scheme() not in LOCAL_BROKERS:
        yield Caution(
            "STREAM_BACKEND is memory://, but the broker is for separate workers: streams run in "
            "the web process, end with it, and no other process finds them.",
            hint=hint,
            id="creatify_textgen.W014",
        )


def _metrics_messages() -> Iterator[CheckMessage]:
    is_shared = settings.DEBUG or os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not is_shared and apps.is_installed("creatify_textgen.contrib.prometheus"):
        yield Caution(
            "PROMETHEUS_MULTIPROC_DIR is not set: metrics/ counts only the ends that its own "
            "process saw, and most ends are seen by workers.",
            hint="Set it to one empty folder for all web and worker processes of a machine.",
            id="creatify_textgen.W017",
        )


def _webhook_path() -> str | None:
    """Return an example path of the receiver, or None if our URLs are not included.

    All paths of the receiver have the same length.
    """
    try:
        return webhook_path(uuid7(), token="0" * TOKEN_LENGTH)
    except NoReverseMatch:
        return None


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _broker_scheme() -> str:
    broker: Any = current_app.conf.broker_write_url or current_app.conf.broker_url or "amqp://"
    first = broker[0] if isinstance(broker, list | tuple) else broker
    return str(first).partition("://")[0].partition("+")[0]
