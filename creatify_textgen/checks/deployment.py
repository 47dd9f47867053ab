"""Compares the setting with the rest of the site: URLs, apps, Celery, processes.

Invariant: reads only configuration. `textgen_doctor` checks what needs an answer from a server.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from celery import current_app
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_backends, get_permission_codename
from django.contrib.auth.backends import ModelBackend
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution
from django.core.exceptions import ImproperlyConfigured
from django.http.request import split_domain_port, validate_host
from django.urls import NoReverseMatch

from creatify_textgen import services
from creatify_textgen.checks.addresses import is_loopback
from creatify_textgen.checks.rules import RULES, TIMEOUT
from creatify_textgen.checks.servers import broker_scheme, server_messages
from creatify_textgen.conf import conf
from creatify_textgen.dispatch.callbacks import LONGEST_URL, TOKEN_LENGTH, webhook_path
from creatify_textgen.models import uuid7

__all__ = ["check_deployment"]

APP = "creatify_textgen"
MODEL_NOTICE = timedelta(days=60)
"""How long before a model ends the check begins to warn."""
DEBUG_HOSTS = [".localhost", "127.0.0.1", "[::1]"]
"""What Django allows with DEBUG and an empty ALLOWED_HOSTS."""
# Transports of kombu that lead to no other machine.
LOCAL_BROKERS = ("memory", "filesystem")


def check_deployment(**_: Any) -> list[CheckMessage]:
    """Check that the site has what the setting requires."""
    configured = getattr(settings, "CREATIFY_TEXTGEN", None) or {}
    if not _can_be_read(configured):
        return []  # `check_values` reports them, and the checks below would raise.
    return [
        *_app_messages(),
        *_model_messages(),
        *_permission_messages(),
        *_tenant_messages(),
        *_webhook_messages(),
        *_celery_messages(),
        *server_messages(),
        *_process_messages(),
        *_metrics_messages(),
    ]


def _can_be_read(configured: Any) -> bool:
    """Whether each value that `conf` reads has the right type."""
    if not isinstance(configured, dict):
        return False
    are_right = (RULES[key].holds(configured[key]) for key in RULES if key in configured)
    return all(are_right) and all(map(TIMEOUT.holds, configured.get("TIMEOUTS", {}).values()))


def _app_messages() -> Iterator[CheckMessage]:
    # Without our URLs, no REST API is served; the admin, the commands and `services` work.
    if _webhook_path() is not None and not apps.is_installed("rest_framework"):
        yield Error(
            "creatify_textgen.urls are included, but 'rest_framework' is not installed.",
            hint="Add 'rest_framework' to INSTALLED_APPS.",
            id="creatify_textgen.E010",
        )


def _model_messages() -> Iterator[CheckMessage]:
    # The first of them is the default model. UTC, because no zone is known for the vendor's dates,
    # and a day does not matter in a notice of two months.
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


def _permission_messages() -> Iterator[CheckMessage]:
    wanted = conf.create_permission
    if wanted is None or _have_own_rules():
        return
    # Not from the database, which may not exist yet: the names that `migrate` creates.
    label, _, codename = wanted.partition(".")
    known = {
        name
        for model in apps.get_models()
        if model._meta.app_label == label
        for name in (
            *(
                get_permission_codename(verb, model._meta)
                for verb in model._meta.default_permissions
            ),
            *(name for name, _ in model._meta.permissions),
        )
    }
    if codename not in known:
        yield Caution(
            f"CREATIFY_TEXTGEN['CREATE_PERMISSION'] is {wanted!r}, which no model of this site "
            "has: unless you create it elsewhere, only superusers can use the REST API.",
            hint='Correct it, for instance to "creatify_textgen.add_generation".',
            id="creatify_textgen.W023",
        )


def _have_own_rules() -> bool:
    """Whether a backend may grant permissions that no model has."""
    usual = ModelBackend.has_perm
    try:
        return any(getattr(type(one), "has_perm", usual) is not usual for one in get_backends())
    except (ImportError, ImproperlyConfigured):
        return True  # Nobody can sign in, which Django reports.


def _tenant_messages() -> Iterator[CheckMessage]:
    """Check the settings of django-tenants: workers and pumps know no tenant."""
    shared, tenant = (
        getattr(settings, f"{kind}_APPS", None) or () for kind in ("SHARED", "TENANT")
    )
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
    elif len(base_url + path) > LONGEST_URL:
        yield Error(
            f"Webhook URLs would have {len(base_url + path)} characters; Creatify accepts at most "
            f"{LONGEST_URL}.",
            hint="Include creatify_textgen.urls under a shorter path, or use a shorter host name.",
            id="creatify_textgen.E012",
        )
    # Empty for a name that Django does not accept as a host, such as one with an underscore.
    host = split_domain_port(urlsplit(base_url).netloc)[0]
    allowed = settings.ALLOWED_HOSTS or (DEBUG_HOSTS if settings.DEBUG else [])
    if not (host and validate_host(host, allowed)):
        yield Caution(
            f"Django does not allow {urlsplit(base_url).hostname!r}, the host of WEBHOOK_BASE_URL: "
            "it answers 400 to each webhook, unless a proxy sends another Host.",
            hint="Add the host to ALLOWED_HOSTS; Django allows no host with an underscore.",
            id="creatify_textgen.W024",
        )
    if urlsplit(base_url).scheme != "https" and not is_loopback(base_url):
        yield Caution(
            "CREATIFY_TEXTGEN['WEBHOOK_BASE_URL'] is not https: tokens and results of webhooks "
            "are sent without encryption.",
            hint="Use https://; http is for loopback only.",
            id="creatify_textgen.W010",
        )


def _celery_messages() -> Iterator[CheckMessage]:
    # The name of the app that Celery makes if the project has none (`celery._state`).
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


def _process_messages() -> Iterator[CheckMessage]:
    if not conf.stream_backend.startswith("memory://"):
        return
    # gunicorn and uvicorn read WEB_CONCURRENCY. A number in a file of gunicorn is not known here.
    web_processes = os.environ.get("WEB_CONCURRENCY", "").strip()
    hint = 'Set STREAM_BACKEND to a Redis, such as "redis://127.0.0.1:6379/1".'
    if web_processes.isdecimal() and int(web_processes) > 1:
        yield Error(
            f"STREAM_BACKEND is memory://, but WEB_CONCURRENCY asks for {web_processes} web "
            "processes: a reader would find its stream only in the process that started it.",
            hint=hint,
            id="creatify_textgen.E014",
        )
    elif not settings.DEBUG and broker_scheme() not in LOCAL_BROKERS:
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
