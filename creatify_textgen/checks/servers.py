"""Compares the setting with the databases, caches, storages and brokers of the site.

Invariant: creates the objects that the site would create, and connects to nothing (a storage of the
site may connect when it is created). Only `textgen_doctor` tests whether a server answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from celery import current_app
from django.apps import apps
from django.conf import settings
from django.core.cache import caches
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution
from django.core.files.storage import FileSystemStorage, storages
from django.core.files.storage.handler import InvalidStorageError
from django.db import connections, router
from django.db.models import Model

from creatify_textgen.conf import conf
from creatify_textgen.streams import try_address

__all__ = ["broker_scheme", "server_messages"]

APP = "creatify_textgen"
VISIBILITY_SECONDS = {"redis": 3600, "rediss": 3600, "sentinel": 3600, "sqs": 1800}
"""After how long these brokers deliver a message again that no worker has acknowledged, unless
visibility_timeout is set: the defaults of kombu."""
MISTAKES = (InvalidStorageError, AttributeError, KeyError, TypeError)
"""What is raised if the entry of a storage is wrong, wherever it is read."""


def server_messages() -> Iterator[CheckMessage]:
    """Check what the site says of its servers."""
    yield from _database_messages()
    yield from _storage_messages()
    yield from _cache_messages()
    yield from _stream_messages()
    # Without a Celery app of the project, `_celery_messages` reports that alone.
    if current_app.main != "default":
        yield from _broker_messages()


def broker_scheme() -> str:
    """Return the kind of the broker, such as `redis`."""
    return _broker_url().partition("://")[0].partition("+")[0].lower()


def _broker_url() -> str:
    # A list is for failover, and Celery begins with its first. "amqp://" is Celery's default.
    broker: Any = current_app.conf.broker_write_url or current_app.conf.broker_url or "amqp://"
    first = broker[0] if isinstance(broker, list | tuple) else broker
    return str(first)


def _database_messages() -> Iterator[CheckMessage]:
    # With the tables of many-to-many fields, for which a router may decide by name.
    models = list(apps.get_app_config(APP).get_models(include_auto_created=True))
    written = sorted({router.db_for_write(model) for model in models})
    if len(written) > 1:
        yield Error(
            f"DATABASE_ROUTERS write the tables of creatify_textgen to {', '.join(written)}"
            ": a generation and what belongs to it change in one transaction.",
            hint="Send the whole app to one alias.",
            id="creatify_textgen.E015",
        )
        return
    for alias in sorted({*written, *map(router.db_for_read, models)}):
        if alias not in connections.settings:
            yield Error(
                f"DATABASE_ROUTERS send creatify_textgen to {alias!r}, which is not in DATABASES.",
                hint=f"DATABASES has {', '.join(sorted(connections.settings))}.",
                id="creatify_textgen.E018",
            )
        elif alias in written:
            yield from _written_messages(alias, models)


def _written_messages(alias: str, models: Iterable[type[Model]]) -> Iterator[CheckMessage]:
    if not connections.settings[alias].get("AUTOCOMMIT", True):
        yield Error(
            f"DATABASES[{alias!r}] has AUTOCOMMIT False: a generation would be paid for before "
            "its row is committed, and paid for again after a rollback.",
            hint="Remove AUTOCOMMIT, or send the app to another alias.",
            id="creatify_textgen.E017",
        )
    if not all(router.allow_migrate_model(alias, model) for model in models):
        yield Caution(
            f"DATABASE_ROUTERS write creatify_textgen to {alias!r} and allow no migration there: "
            "migrate says that it was applied, and creates no tables.",
            hint="Let allow_migrate return True or None for this app and alias.",
            id="creatify_textgen.W022",
        )


def _storage_messages() -> Iterator[CheckMessage]:
    alias = conf.media_storage
    if alias not in settings.STORAGES:
        yield Error(
            f"CREATIFY_TEXTGEN['MEDIA_STORAGE'] is {alias!r}: no alias in STORAGES.",
            hint=f"STORAGES has {', '.join(sorted(settings.STORAGES))}.",
            id="creatify_textgen.E013",
        )
        return
    try:
        storage = storages[alias]
    except MISTAKES as error:
        # The text of InvalidStorageError names a path. Any other may quote a secret of OPTIONS.
        is_path = isinstance(error, InvalidStorageError)
        yield Error(
            f"STORAGES[{alias!r}] cannot be used ({type(error).__name__}): images and videos could "
            "not be stored.",
            hint=str(error) if is_path else "Correct its BACKEND and its OPTIONS.",
            id="creatify_textgen.E019",
        )
        return
    except Exception as error:  # noqa: BLE001  a storage may raise anything
        # Not an error: images are built without secrets, and without the storage's server.
        yield Caution(
            f"STORAGES[{alias!r}] cannot be used here ({type(error).__name__}): images and videos "
            "could not be stored.",
            hint="Check that its settings and secrets are complete, and that its server answers.",
            id="creatify_textgen.W025",
        )
        return
    # Only a storage of files has a folder.
    if not isinstance(storage, FileSystemStorage):
        return
    if not Path(str(storage.base_location or "")).is_absolute():
        yield Caution(
            "MEDIA_ROOT is empty or relative: images and videos are stored below the folder in "
            "which each process was started, so a worker may not find what the site stored.",
            hint='Set MEDIA_ROOT to an absolute path, such as BASE_DIR / "media".',
            id="creatify_textgen.W020",
        )


def _cache_messages() -> Iterator[CheckMessage]:
    try:
        caches["default"]
    except Exception as error:  # noqa: BLE001  a cache may raise anything
        yield Error(
            f"CACHES['default'] cannot be used ({type(error).__name__}).",
            hint="Correct its BACKEND, LOCATION and OPTIONS.",
            id="creatify_textgen.E020",
        )


def _stream_messages() -> Iterator[CheckMessage]:
    # Makes the connection's object, in which redis-py reads the options, and does not connect.
    try:
        try_address()
    except Exception as error:  # noqa: BLE001  the driver has several
        yield Error(
            "CREATIFY_TEXTGEN['STREAM_BACKEND'] has an option that redis-py does not accept: "
            f"{error}",
            hint="Correct the part of the address after the question mark.",
            id="creatify_textgen.E021",
        )


def _broker_messages() -> Iterator[CheckMessage]:
    try:
        _try_broker_url()
    except Exception as error:  # noqa: BLE001  each transport has its own
        # Without the error's text, because it may quote the password.
        yield Error(
            f"The address of Celery's broker cannot be used ({type(error).__name__}): no task "
            "would be sent.",
            hint="Write it as redis://host:6379/0 or amqp://user:password@host:5672//, and install "
            "what Celery needs for that broker.",
            id="creatify_textgen.E022",
        )
        return
    yield from _visibility_messages()


def _try_broker_url() -> None:
    """Make what sends to the broker, but do not connect. Raises: whatever is wrong with it."""
    url = _broker_url()
    if "://" not in url:
        raise ValueError("no scheme")
    with current_app.connection_for_write(url) as connection:
        is_redis = connection.transport.driver_type == "redis"
        number = str(connection.virtual_host or "").strip("/")
        # kombu converts it only when it connects, and raises then.
        if is_redis and broker_scheme() != "sentinel" and "socket" not in url.partition("://")[0]:
            int(number or 0)


def _visibility_messages() -> Iterator[CheckMessage]:
    default = VISIBILITY_SECONDS.get(broker_scheme())
    if default is None:
        return
    # AMQP delivers a message again if the connection of its worker ends. These brokers do it after
    # a time, also while a worker still waits for the countdown of the message.
    options = current_app.conf.broker_transport_options or {}
    if not isinstance(options, Mapping):
        yield Error("broker_transport_options must be a dict.", id="creatify_textgen.E003")
        return
    visibility = options.get("visibility_timeout", default)
    if isinstance(visibility, bool) or not isinstance(visibility, int | float):
        yield Error(
            "visibility_timeout in broker_transport_options must be a number of seconds.",
            id="creatify_textgen.E003",
        )
        return
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
    # A worker receives a task with a countdown at once, and acknowledges it when it begins it.
    if not current_app.conf.task_acks_late:
        return conf.poll_max_interval
    send = conf.timeouts["connect"] + conf.timeouts["sync"] + conf.submit_lease
    return max(conf.poll_max_interval, send)
