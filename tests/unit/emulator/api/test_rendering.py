"""Generations as the vendor writes them, and what is delivered when."""

from __future__ import annotations

from typing import Any

import pytest

from creatify_textgen.emulator.api.rendering import render_generation
from creatify_textgen.emulator.api.webhooks import payloads
from tests.unit.emulator.builders import (
    GENERATION_ID,
    PNG,
    generation_with,
    media_of,
    request_with,
    settings_with,
)

FIELDS = [
    "id", "model_name", "messages", "system_instruction", "config", "status", "response_text",
    "response_function_calls", "failed_reason", "credits_used", "created_at", "updated_at",
]  # fmt: skip


def render(*, legacy: bool = False, **switches: Any) -> dict[str, Any]:
    generation = generation_with(request_with(config={"seed": 1}))
    return render_generation(generation, settings=settings_with(**switches), legacy=legacy)


class TestRenderGeneration:
    def test_has_the_documented_fields_in_order(self) -> None:
        assert list(render()) == FIELDS

    def test_older_twin_has_no_function_calls(self) -> None:
        assert "response_function_calls" not in render(legacy=True)

    @pytest.mark.parametrize(
        ("style", "created"),
        [
            ("pacific", "2026-11-22T09:00:00.123456-08:00"),
            ("z", "2026-11-22T17:00:00Z"),
            ("utc", "2026-11-22T17:00:00.123456+00:00"),
        ],
    )
    def test_writes_times_in_the_style_switched_on(self, style: str, created: str) -> None:
        assert render(timestamps=style)["created_at"] == created

    def test_writes_unset_texts_as_empty_or_null(self) -> None:
        assert (render()["response_text"], render()["failed_reason"]) == ("", "")
        nulls = render(null_style="null")
        assert (nulls["response_text"], nulls["failed_reason"]) == (None, None)

    def test_can_speak_like_its_siblings(self) -> None:
        assert render(status_words="sibling")["status"] == "in_queue"

    def test_leaves_media_out_of_the_echo(self) -> None:
        part = {"type": "image", "data": media_of(PNG), "mime_type": "image/png"}
        generation = generation_with(request_with([part]))
        echoed = render_generation(generation, settings=settings_with())["messages"][0]
        assert echoed["content"] == [{"type": "image", "mime_type": "image/png"}]


class TestPayloads:
    def found(self, *, status: str, **switches: Any) -> list[dict[str, Any]]:
        return payloads(generation_with(status=status, **switches))

    @pytest.mark.parametrize(
        ("manner", "statuses"),
        [
            ("once", ["done"]),
            ("none", []),
            ("early", []),
            ("duplicate", ["done", "done"]),
            ("progress", ["done"]),
            ("out_of_order", ["done", "running", "pending"]),
        ],
    )
    def test_at_the_end_are_as_switched_on(self, manner: str, statuses: list[str]) -> None:
        found = self.found(status="done", webhook=manner)
        assert [payload["status"] for payload in found] == statuses

    def test_before_the_end_are_sent_only_as_progress(self) -> None:
        assert self.found(status="running", webhook="duplicate") == []
        (progress,) = self.found(status="running", webhook="progress")
        assert (progress["status"], progress["response_text"]) == ("running", "")

    def test_have_the_documented_fields(self) -> None:
        (payload,) = self.found(status="done")
        assert list(payload) == [
            "id",
            "status",
            "response_text",
            "response_function_calls",
            "failed_reason",
            "credits_used",
        ]
        assert payload["id"] == GENERATION_ID

    def test_may_name_somebody_else(self) -> None:
        (payload,) = self.found(status="done", webhook="wrong_id")
        assert payload["id"] != GENERATION_ID

    def test_may_be_full_of_nulls(self) -> None:
        (payload,) = self.found(status="done", webhook="null_fields")
        assert payload["response_text"] is None
        assert payload["credits_used"] is None
