"""Sends every example of Creatify's guide through the site's REST API and shows what happens.

One method per example. A step that fails is kept in `troubles`, and the tour continues.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from example_project.demo import examples, screen
from example_project.demo.visitor import Frame, Trouble, Visitor

__all__ = ["Remote", "Tour", "visit"]


class Remote:
    """What the tour needs from Creatify. This class is for the real service."""

    has_webhooks = False
    patience_seconds = 300.0
    """How long an asynchronous generation may take."""

    def lose_next_webhook(self) -> None:
        """Drop the webhook of the next generation, so that only polling finds its result."""


class Tour:
    """Runs the examples in the guide's order, then shows the history and the credits."""

    def __init__(self, visitor: Visitor, remote: Remote) -> None:
        self.troubles: list[str] = []
        self._visitor = visitor
        self._remote = remote
        self._shown: set[str] = set()
        """Ids of the generations that the tour made."""

    def run(self) -> None:
        """Show everything. Never raises Trouble: see `troubles`."""
        if self._remote.has_webhooks:
            # The real service cannot reach this machine.
            self._step("Asynchronous, reported by a webhook", self._by_webhook)
        self._step("Asynchronous, found by polling", self._by_polling)
        self._step("Synchronous", self._synchronous)
        self._step("An image, as base64 in the JSON", self._image)
        self._step("A video, uploaded first", self._video)
        self._step("A function call", self._function_call)
        self._step("The function's response", self._function_response)
        self._step("Streaming", self._streaming)
        self._step("A conversation with a tool", self._conversation)
        self._step("History", self._history)
        self._step("Credits", self._credits)

    def _by_webhook(self) -> None:
        self._asynchronous(examples.TAGLINE)

    def _by_polling(self) -> None:
        self._remote.lose_next_webhook()
        self._asynchronous(examples.TAGLINE)

    def _synchronous(self) -> None:
        self._wait_for({**examples.TAGLINE, "sync": True})

    def _image(self) -> None:
        encoded = base64.b64encode(examples.PICTURE.read_bytes()).decode()
        self._asynchronous(examples.picture_request(encoded))

    def _video(self) -> None:
        answer = self._visitor.upload(examples.CLIP, "video/mp4")
        screen.line(f"  POST media/ -> {answer.status}, {answer.body['size']} bytes stored")
        self._asynchronous(examples.clip_request(answer.body["id"]))

    def _function_call(self) -> None:
        generation = self._wait_for(examples.FUNCTION_CALL)
        if not generation["response_function_calls"]:
            # With mode AUTO the real model may answer with text.
            screen.note("The model called no function.")

    def _function_response(self) -> None:
        self._wait_for(examples.FUNCTION_RESPONSE)

    def _streaming(self) -> None:
        frames = self._print_pieces(self._visitor.stream(examples.TAGLINE_STREAMED))
        receipts = [frame.data["creatify"] for frame in frames if "creatify" in frame.data]
        end = frames[-1] if frames else None
        if end is None or end.event != "end" or end.data.get("status") != "done" or not receipts:
            raise Trouble(f"The stream ended with {end.data if end else 'nothing'}.")
        screen.line(f"  {len(frames) - 1} frames, {_credits(receipts[-1]['credits_used'])}")
        newest = self._visitor.get("generations/?mode=stream&page_size=1")["results"][0]
        self._shown.add(newest["id"])

    def _conversation(self) -> None:
        """Do what the assistant's page does: start a conversation and a run, and await its end."""
        started = self._visitor.post("conversations/", {"title": "Weather"}).body
        path = f"conversations/{started['id']}/run/"
        answer = self._visitor.post(path, {"content": examples.WEATHER})
        screen.line(f"  POST {path} -> {answer.status}")
        run = self._visitor.await_run(answer.body, seconds=self._remote.patience_seconds)
        self._shown.update(run["generations"])
        for call in run["calls"]:
            screen.note(f"{call['name']}({call['args']}) is {call['state']}")
        if run["state"] != "done":
            raise Trouble(f"The run ended as {run['state']}: {run['error_code']}")
        screen.note(run["text"])
        screen.line(f"  {_credits(run['credits_used'])}")

    def _history(self) -> None:
        page = self._visitor.get("generations/?page_size=50&ordering=created_at")
        rows = [row for row in page["results"] if row["id"] in self._shown]
        screen.table(
            ["created", "mode", "status", "credits", "seconds", "prompt"],
            [_history_row(row) for row in rows],
        )
        unfinished = [row["id"] for row in rows if row["status"] != "done"]
        if unfinished or len(rows) != len(self._shown):
            raise Trouble("Not every generation of the tour is done and in the history.")

    def _credits(self) -> None:
        report = self._visitor.get("credits/")
        remaining = report["remaining"] or "an unknown number"
        screen.line(f"  used {report['used']}, {report['unknown']} of unknown cost")
        screen.line(f"  {remaining} left, {report['remaining_age_seconds'] or 0:.0f} seconds ago")

    def _step(self, name: str, show: Callable[[], None]) -> None:
        screen.title(name)
        try:
            show()
        except (Trouble, OSError) as error:
            self.troubles.append(name)
            screen.line(f"  FAILED: {error}")

    def _asynchronous(self, body: dict[str, Any]) -> None:
        started = time.monotonic()
        answer = self._visitor.post("generations/", body)
        screen.line(f"  POST generations/ -> {answer.status}, {answer.body['id']}")
        self._watch(answer.body, started=started)

    def _wait_for(self, body: dict[str, Any]) -> dict[str, Any]:
        started = time.monotonic()
        answer = self._visitor.post("generations/", body)
        screen.line(f"  POST generations/ -> {answer.status}")
        return self._watch(answer.body, started=started)

    def _watch(self, generation: dict[str, Any], *, started: float) -> dict[str, Any]:
        """Print each new status and the result, and return the finished generation."""
        self._shown.add(generation["id"])
        latest = generation
        seconds = self._remote.patience_seconds
        for latest in self._visitor.watch(generation, seconds=seconds):
            screen.line(f"  {time.monotonic() - started:6.2f} s  {latest['status']}")
        _show_result(latest)
        return latest

    def _print_pieces(self, frames: Iterator[Frame]) -> list[Frame]:
        """Print the text as it arrives and return all frames."""
        screen.line("  POST generations/stream/")
        seen = []
        screen.piece("    ")
        for frame in frames:
            seen.append(frame)
            if frame.event == "message":
                screen.piece(_text(frame.data))
            elif frame.event == "error":
                screen.piece(f"\n    {frame.data.get('code')}: {frame.data.get('message')}")
        screen.line()
        return seen


@contextmanager
def visit(origin: str, *, name: str, password: str) -> Iterator[Visitor]:
    """Log in to the site, and close the connection at the end."""
    visitor = Visitor(origin)
    try:
        visitor.log_in(name, password)
        yield visitor
    finally:
        visitor.close()


def _show_result(generation: dict[str, Any]) -> None:
    if generation["status"] != "done":
        reason = generation["failed_reason"] or generation["error_code"]
        raise Trouble(f"It ended as {generation['status']}: {reason}")
    for call in generation["response_function_calls"]:
        screen.note(f"calls {call['name']}({call['args']})")
    if generation["response_text"]:
        screen.note(generation["response_text"])
    screen.line(f"  {_credits(generation['credits_used'])}")


def _credits(amount: Any) -> str:
    return "cost not known yet" if amount is None else f"{amount} credits"


def _text(chunk: dict[str, Any]) -> str:
    parts = [
        part
        for candidate in chunk.get("candidates") or ()
        for part in (candidate.get("content") or {}).get("parts") or ()
    ]
    return "".join(part.get("text") or "" for part in parts if not part.get("thought"))


def _history_row(row: dict[str, Any]) -> list[str]:
    return [
        row["created_at"][11:19],
        row["mode"],
        row["status"],
        row["credits_used"] or "unknown",
        _duration(row),
        _prompt(row)[:44],
    ]


def _duration(row: dict[str, Any]) -> str:
    if not row["finished_at"]:
        return ""
    created, finished = (
        datetime.fromisoformat(row[name]) for name in ("created_at", "finished_at")
    )
    return f"{(finished - created).total_seconds():.2f}"


def _prompt(row: dict[str, Any]) -> str:
    content = next(m["content"] for m in reversed(row["messages"]) if m.get("content"))
    if isinstance(content, str):
        return content
    return " ".join(part.get("text") or f"[{part['type']}]" for part in content)
