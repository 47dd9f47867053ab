"""What a doctor asks of the site: each function tries one thing for real and cleans up.

Nothing here spends credits or touches a generation.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from decimal import Decimal

from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from creatify_textgen import gateway
from creatify_textgen.conf import conf
from creatify_textgen.exceptions import TextgenError
from creatify_textgen.hub import START, get_hub, word_frame
from creatify_textgen.models import Generation, uuid7
from creatify_textgen.services.callbacks import make_token, webhook_path

__all__ = [
    "ask_balance",
    "oldest_overdue",
    "probe_urls",
    "try_cache",
    "try_media_storage",
    "try_streams",
]

FRAME_SECONDS = 10.0


def ask_balance(account: str) -> Decimal:
    """Ask the remote for the balance of a workspace; free, and proves the credentials.

    Raises: RemoteError; ImproperlyConfigured or ValueError for credentials that can't be sent.
    """
    return gateway.client_for(account).remaining_credits()


def probe_urls() -> tuple[str, str]:
    """Return two webhook URLs of a generation that does not exist: a right token, a wrong one.

    Raises: NoReverseMatch where the receiver is not mounted.
    """
    generation_id = uuid7()
    right = webhook_path(generation_id, token=make_token(generation_id))
    wrong = webhook_path(generation_id, token=secrets.token_hex(16))
    return f"{conf.webhook_base_url}{right}", f"{conf.webhook_base_url}{wrong}"


def oldest_overdue(*, before: datetime) -> Generation | None:
    """Return the row that something should have looked at longest ago, and before this time."""
    return Generation.objects.due(before).first()


def try_cache() -> None:
    """Write to the cache and read it back. Raises: TextgenError; what the cache's client raises."""
    key, value = f"creatify_textgen:doctor:{secrets.token_hex(8)}", secrets.token_hex(8)
    cache.set(key, value, 60)
    if cache.get(key) != value:
        raise TextgenError("The cache did not give back what was put into it.", code="cache")
    cache.delete(key)


def try_media_storage() -> None:
    """Write a file to the media storage, read it back and delete it.

    Raises: TextgenError; what the storage raises.
    """
    storage = storages[conf.media_storage]
    content = secrets.token_bytes(64)
    name = storage.save(f"creatify_textgen/doctor-{secrets.token_hex(8)}", ContentFile(content))
    try:
        with storage.open(name) as file:
            if file.read() != content:
                raise TextgenError("The media storage changed a file.", code="media_storage")
    finally:
        storage.delete(name)


def try_streams() -> None:
    """Send a frame through the stream backend to this process.

    Raises: TextgenError where it does not arrive; ImproperlyConfigured for a wrong address.
    """
    stream = f"doctor-{secrets.token_hex(8)}"
    hub = get_hub()
    hub.publish(stream, [word_frame(START, "end", {"status": "done"})])
    if not hub.read(stream, after=START.number, seconds=FRAME_SECONDS):
        raise TextgenError("A frame sent through STREAM_BACKEND did not arrive.", code="streams")
