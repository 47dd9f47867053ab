"""Webhook deliveries: which payloads a generation sends and when, and the POST itself.

A delivery that fails is logged and counted like any other. It never raises.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit

from creatify_textgen.emulator.http.exchange import dump_json

from .rendering import render_payload
from .state import RemoteGeneration, State

__all__ = ["Deliveries", "Post", "payloads"]

# A benchmark ends thousands of generations at once, and a process has some 1024 file descriptors.
AT_ONCE = 64
NULL_FIELDS = ("response_text", "response_function_calls", "failed_reason", "credits_used")


def payloads(
    generation: RemoteGeneration, *, another: RemoteGeneration | None = None
) -> list[dict[str, Any]]:
    """Return the payloads to deliver for the generation's current status.

    `another` is the generation that a delivery names if it is to name a wrong one.
    """
    manner = generation.settings.webhook
    if manner == "progress":
        return [render_payload(generation)]
    # `early` is delivered by `deliver_early`, while the create waits.
    if not generation.is_final or manner in ("none", "early"):
        return []
    terminal = render_payload(generation)
    if manner == "duplicate":
        return [terminal, terminal]
    if manner == "wrong_id":
        return [{**terminal, "id": str(uuid.uuid4())}]
    if manner == "another":
        return [{**terminal, "id": (another or generation).id}]
    if manner == "out_of_order":
        earlier = [render_payload(generation, status=status) for status in ("running", "pending")]
        return [terminal, *earlier]
    if manner == "null_fields":
        return [{**terminal, **dict.fromkeys(NULL_FIELDS)}]
    return [terminal]


class Post(Protocol):
    """Sends a webhook."""

    async def __call__(self, url: str, *, body: bytes) -> int:
        """Post JSON and return the status of the answer."""


class Deliveries:
    """Posts webhooks, a limited number at once."""

    def __init__(self, state: State, *, post: Post | None = None) -> None:
        """`post` sends the payload to the URL and returns the status of the answer."""
        self._state = state
        self._post = post or _post
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def announce(self, generation: RemoteGeneration) -> None:
        """Deliver the payloads of the current status in the background."""
        if not _is_wanted(generation):
            return
        # Rendered now: a delivery that is delayed still says what was true at this status.
        due = payloads(generation, another=self._state.latest_but(generation))
        if due:
            task = asyncio.get_running_loop().create_task(self._deliver(generation, due=due))
            # asyncio keeps only a weak reference to a task (`create_task`, "Important").
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def deliver_early(self, generation: RemoteGeneration) -> None:
        """Deliver the end before the create is answered; return once it was answered."""
        if _is_wanted(generation):
            await self._deliver(generation, due=[render_payload(generation)])

    def cancel(self) -> None:
        """Cancel the deliveries under way."""
        for task in self._tasks:
            task.cancel()

    async def stop(self) -> None:
        """Cancel the deliveries under way; return once none runs any more."""
        self.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _deliver(self, generation: RemoteGeneration, *, due: list[dict[str, Any]]) -> None:
        if generation.settings.webhook_delay:
            await asyncio.sleep(generation.settings.webhook_delay)
        async with self._slots:
            for payload in due:
                for _ in range(max(1, generation.settings.webhook_attempts)):
                    if await self._attempt(generation, payload=payload):
                        break

    async def _attempt(self, generation: RemoteGeneration, *, payload: dict[str, Any]) -> bool:
        # Logged before it is sent: a receiver that reads the log finds its delivery there.
        url = generation.request["webhook_url"]
        headers = {"content-type": "application/json"}
        record = self._state.record(
            "webhook", method="POST", path=url, headers=headers, body=payload
        )
        self._state.count("webhooks")
        try:
            timeout = generation.settings.webhook_timeout
            sending = self._post(url, body=dump_json(payload))
            record.status = await asyncio.wait_for(sending, timeout)
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError) as error:
            record.error = f"{type(error).__name__}: {error}"
            return False
        return 200 <= record.status < 300


def _is_wanted(generation: RemoteGeneration) -> bool:
    # The guide offers webhooks for the async mode alone (contract, section 5).
    if generation.mode == "stream" or not generation.request.get("webhook_url"):
        return False
    return generation.mode == "async" or generation.settings.webhook_on_sync


async def _post(url: str, *, body: bytes) -> int:
    """Post JSON and return the status of the answer; its body is not read."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=secure or None)
    try:
        writer.write(_post_head(parts, length=len(body)) + body)
        await writer.drain()
        # The status is all that a sender needs. A body without an end must not hold a slot.
        status_line = await reader.readuntil(b"\r\n")
        return int(status_line.split(b" ", 2)[1])
    except (IndexError, asyncio.LimitOverrunError) as error:
        raise ValueError("the receiver did not answer in HTTP") from error
    finally:
        writer.close()


def _post_head(parts: SplitResult, *, length: int) -> bytes:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [
        f"POST {target} HTTP/1.1",
        # Without a user and a password, which do not belong there (RFC 9110, section 4.2.4).
        f"Host: {parts.netloc.rpartition('@')[2]}",
        "User-Agent: creatify-emulator",
        "Content-Type: application/json",
        f"Content-Length: {length}",
        "Connection: close",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")
