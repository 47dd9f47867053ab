"""The setting against the rest of the site: URLs, storages, apps, Celery, processes.

Invariant: reads configuration only; what needs a server to answer is `textgen_doctor`'s.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from celery import current_app
from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution
from django.urls import NoReverseMatch

from creatify_textgen.checks.values import RULES
from creatify_textgen.conf import conf
from creatify_textgen.models import uuid7
from creatify_textgen.services.callbacks import TOKEN_LENGTH, webhook_path

__all__ = ["check_deployment"]

LONGEST_WEBHOOK_URL = 200
"""Characters that Creatify takes (contract, section 3)."""
LOCAL_BROKERS = ("memory", "filesystem")
# Brokers that hand a message out again when nobody acknowledged it in time.
BROKERS_WITH_VISIBILITY = ("redis", "rediss", "sentinel", "sqs")
KOMBU_VISIBILITY_SECONDS = 3600


def check_deployment(**_: Any) -> list[CheckMessage]:
    """Check what the site gives us against what the setting asks for."""
    configured = getattr(settings, "CREATIFY_TEXTGEN", None) or {}
    if not isinstance(configured, dict) or not all(
        RULES[key].holds(configured[key]) for key in RULES if key in configured
    ):
        return []  # told by the checks of values
    return [
        *_app_messages(),
        *_webhook_messages(),
        *_storage_messages(),
        *_celery_messages(),
        *_process_messages(),
    ]


def _app_messages() -> Iterator[CheckMessage]:
    if _webhook_path() is not None and not apps.is_installed("rest_framework"):
        yield Error(
            "creatify_textgen.urls are included, but 'rest_framework' is not installed.",
            hint="Add 'rest_framework' to INSTALLED_APPS.",
            id="creatify_textgen.E010",
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
            f"Webhook URLs would have {len(base_url + path)} characters; Creatify takes at most "
            f"{LONGEST_WEBHOOK_URL}.",
            hint="Mount creatify_textgen.urls under a shorter path, or use a shorter host.",
            id="creatify_textgen.E012",
        )
    if urlsplit(base_url).scheme != "https" and not _is_loopback(base_url):
        yield Caution(
            "CREATIFY_TEXTGEN['WEBHOOK_BASE_URL'] is not https: tokens and results of webhooks "
            "cross the network in clear.",
            hint="Use https://; http is for loopback only.",
            id="creatify_textgen.W010",
        )


def _storage_messages() -> Iterator[CheckMessage]:
    if conf.media_storage not in settings.STORAGES:
        yield Error(
            f"CREATIFY_TEXTGEN['MEDIA_STORAGE'] is {conf.media_storage!r}, which STORAGES lacks.",
            hint=f"STORAGES has {', '.join(sorted(settings.STORAGES))}.",
            id="creatify_textgen.E013",
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
            f"The broker's visibility_timeout ({visibility} s) is not above the {needed:g} s for "
            "which our messages may stay unacknowledged: they would be delivered again and again.",
            hint="Raise visibility_timeout in broker_transport_options.",
            id="creatify_textgen.W013",
        )


def _longest_unacknowledged() -> float:
    """Seconds a message may be with a worker: the longest countdown, or a send if acked late."""
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
            "processes: a reader would find its stream only in the one that began it.",
            hint=hint,
            id="creatify_textgen.E014",
        )
    elif not settings.DEBUG and _broker_scheme() not in LOCAL_BROKERS:
        yield Caution(
            "STREAM_BACKEND is memory:// beside workers of their own: streams run in the web "
            "process, end with it, and are found by no other.",
            hint=hint,
            id="creatify_textgen.W014",
        )


def _webhook_path() -> str | None:
    """A path of the receiver, as long as all are; None where our URLs are not mounted."""
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
