"""Rows to JSON. Written out by hand: a field costs no more here than its place in a dict.

The declared fields are what the OpenAPI schema shows; a test holds both together.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cached_property
from typing import Any

from rest_framework import serializers

from creatify_textgen.http.permissions import is_staff_with
from creatify_textgen.models import Generation, GenerationContent, Media
from creatify_textgen.rest.moments import to_text
from creatify_textgen.services import CreditReport
from creatify_textgen.states import Mode, Status

__all__ = ["GenerationSerializer", "MediaSerializer", "decimal_text", "represent_credits"]

PART_KEYS = ("type", "text", "mime_type", "media")


class GenerationSerializer(serializers.Serializer[Generation]):
    """A generation in the remote's own field names, then in ours.

    Content is null for staff who may see that a generation exists, but not what it says.
    """

    id = serializers.UUIDField()
    model_name = serializers.CharField()
    messages = serializers.ListField(child=serializers.JSONField(), allow_null=True)
    system_instruction = serializers.CharField(allow_null=True, allow_blank=True)
    config = serializers.DictField(allow_null=True)
    status = serializers.ChoiceField(choices=Status.choices)
    response_text = serializers.CharField(allow_null=True, allow_blank=True)
    response_function_calls = serializers.ListField(child=serializers.JSONField(), allow_null=True)
    failed_reason = serializers.CharField(allow_null=True, allow_blank=True)
    credits_used = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    mode = serializers.ChoiceField(choices=Mode.choices)
    remote_id = serializers.CharField(allow_null=True)
    account = serializers.CharField()
    tools = serializers.ListField(child=serializers.JSONField(), allow_null=True)
    tool_config = serializers.DictField(allow_null=True)
    error_code = serializers.CharField(allow_blank=True)
    finish_reason = serializers.CharField(allow_blank=True)
    usage = serializers.DictField(allow_null=True)
    partial = serializers.BooleanField()  # type: ignore[assignment]
    metadata = serializers.DictField()
    submitted_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)

    def to_representation(self, instance: Generation) -> dict[str, Any]:
        content = instance.content
        shown = _content(content) if self._may_read(instance) else HIDDEN
        return {
            "id": str(instance.pk),
            "model_name": instance.model_name,
            "messages": shown["messages"],
            "system_instruction": shown["system_instruction"],
            "config": shown["config"],
            "status": instance.status,
            "response_text": shown["response_text"],
            "response_function_calls": shown["response_function_calls"],
            "failed_reason": shown["failed_reason"],
            "credits_used": decimal_text(instance.credits_used),
            "created_at": to_text(instance.created_at),
            "updated_at": to_text(instance.updated_at),
            "mode": instance.mode,
            "remote_id": instance.remote_id,
            "account": instance.account,
            "tools": shown["tools"],
            "tool_config": shown["tool_config"],
            "error_code": instance.error_code,
            "finish_reason": instance.finish_reason,
            "usage": content.usage,
            "partial": instance.partial,
            "metadata": instance.metadata,
            "submitted_at": to_text(instance.submitted_at),
            "finished_at": to_text(instance.finished_at),
        }

    def _may_read(self, generation: Generation) -> bool:
        return generation.owner_id == self._reader.pk or self._reads_others

    @property
    def _reader(self) -> Any:
        return self.context["request"].user

    @cached_property
    def _reads_others(self) -> bool:
        return is_staff_with(self._reader, "view_content")


class MediaSerializer(serializers.Serializer[Media]):
    """An uploaded image or video; its id serves in a part as `{"type": …, "media": "<id>"}`."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=Media.Kind.choices)
    mime_type = serializers.CharField()
    size = serializers.IntegerField()
    sha256 = serializers.CharField()
    created_at = serializers.DateTimeField()

    def to_representation(self, instance: Media) -> dict[str, Any]:
        return {
            "id": str(instance.pk),
            "kind": instance.kind,
            "mime_type": instance.mime_type,
            "size": instance.size,
            "sha256": instance.sha256,
            "created_at": to_text(instance.created_at),
        }


HIDDEN: dict[str, None] = dict.fromkeys(
    (
        "messages",
        "system_instruction",
        "config",
        "response_text",
        "response_function_calls",
        "failed_reason",
        "tools",
        "tool_config",
    )
)


def _content(content: GenerationContent) -> dict[str, Any]:
    shown: dict[str, Any] = {name: getattr(content, name) for name in HIDDEN}
    shown["messages"] = [_message(message) for message in content.messages]
    return shown


def _message(message: dict[str, Any]) -> dict[str, Any]:
    parts = message.get("content")
    if not isinstance(parts, list):
        return message
    # A stored part also knows the hash of its file, which is no reader's business.
    shown = [{key: part[key] for key in PART_KEYS if key in part} for part in parts]
    return {**message, "content": shown}


def decimal_text(number: Decimal | None) -> str | None:
    """Return `0.0005` rather than `5E-4` or `0.0005000000`, and None for unknown."""
    return None if number is None else format(number.normalize(), "f")


def represent_credits(report: CreditReport) -> dict[str, Any]:
    """Return the report with every amount as a decimal string."""
    return {
        "remaining": decimal_text(report.remaining),
        "remaining_age_seconds": report.remaining_age_seconds,
        "used": decimal_text(report.used),
        "unknown": report.unknown,
        "by_day": _amounts(report.by_day),
        "by_model": _amounts(report.by_model),
        "by_status": _amounts(report.by_status),
    }


def _amounts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            name: decimal_text(value) if isinstance(value, Decimal) else value
            for name, value in row.items()
        }
        for row in rows
    ]
