"""What is under way, and the tests of `textgen_doctor`, which delete everything that they create.

Nothing here costs credits or writes a generation.
"""

from __future__ import annotations

import math
import secrets
from decimal import Decimal

from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from creatify_textgen import clock, enqueue, gateway
from creatify_textgen.conf import conf
from creatify_textgen.dispatch.callbacks import probe_urls
from creatify_textgen.dispatch.queues import Queue, waiting_queues
from creatify_textgen.exceptions import TextgenError
from creatify_textgen.intake.media import FOLDER
from creatify_textgen.recovery.workload import Workload, oldest_overdue, read_workload
from creatify_textgen.streams.hub import START, get_hub, word_frame

__all__ = [
    "Queue",
    "ask_balance",
    "oldest_overdue",
    "probe_urls",
    "try_broker",
    "try_cache",
    "try_media_storage",
    "try_streams",
    "waiting_queues",
    "workload",
]

FRAME_SECONDS = 10.0
"""How long a frame may take through the stream backend. It takes milliseconds; a Redis far away or
a busy machine may need longer."""


def workload() -> Workload:
    """Return what is under way and what is stuck; reads only the database."""
    return read_workload(now=clock.now())


def ask_balance(account: str, *, seconds: float = math.inf) -> Decimal:
    """Return the balance of a workspace, from the remote. Free; it proves that the keys are valid.

    Ends within `seconds`, or within the time of a GET if that is less. Raises: RemoteError;
    ImproperlyConfigured or ValueError if the keys are missing or unusable.
    """
    return gateway.client_for(account).remaining_credits(seconds=seconds)


def try_cache() -> None:
    """Write a value to the cache and read it back.

    Raises: TextgenError if the value differs; any error of the cache's client.
    """
    # Random, so that two examinations at the same time do not read each other's value. The value
    # expires by itself if this process ends before it deletes it.
    key, value = f"creatify_textgen:doctor:{secrets.token_hex(8)}", secrets.token_hex(8)
    cache.set(key, value, 60)
    if cache.get(key) != value:
        raise TextgenError("The cache did not return the value that was written.", code="cache")
    cache.delete(key)


def try_media_storage() -> None:
    """Write a file to the media storage, read it back and delete it.

    Raises: TextgenError if the content differs; any error of the storage.
    """
    storage = storages[conf.media_storage]
    # Bytes that are no text: a storage that changes line ends or encodings changes them, too.
    content = secrets.token_bytes(64)
    # `save` returns the name that the storage chose, which may differ from this one.
    name = storage.save(f"{FOLDER}/doctor-{secrets.token_hex(8)}", ContentFile(content))
    try:
        with storage.open(name) as file:
            if file.read() != content:
                raise TextgenError("The media storage changed a file.", code="media_storage")
    finally:
        storage.delete(name)


def try_broker() -> str:
    """Connect to the broker and return its kind; "" if the project has no Celery app.

    Raises: any error of the transport's driver.
    """
    return enqueue.ping_broker()


def try_streams(*, seconds: float = FRAME_SECONDS) -> None:
    """Send a frame through the stream backend to this process. Waits up to `seconds`.

    Raises: TextgenError if the frame does not arrive; ImproperlyConfigured for a wrong address.
    """
    # The frame is an end frame, so the backend forgets the stream by itself.
    stream = f"doctor-{secrets.token_hex(8)}"
    hub = get_hub()
    if (mode := hub.mode()) not in ("memory", "standalone"):
        raise TextgenError(
            f"STREAM_BACKEND leads to a Redis in the mode {mode}: streams need the address of one "
            "Redis, or of a proxy before the others.",
            code="streams",
        )
    hub.publish(stream, [word_frame(START, "end", {"status": "done"})])
    if not hub.read(stream, after=START.number, seconds=seconds):
        raise TextgenError("A frame sent through STREAM_BACKEND did not arrive.", code="streams")
