"""Turns rows into JSON. The dicts are written by hand, because DRF's fields are slow for many rows.

The declared fields are for the OpenAPI schema. A test compares them with the dicts.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any

from rest_framework import serializers

from creatify_textgen.models import Generation, GenerationContent, Media, credits_text
from creatify_textgen.permissions import is_staff_with
from creatify_textgen.rest.moments import to_text
from creatify_textgen.services import CreditReport, Estimate, ModelFacts
from creatify_textgen.services.credits import LatestGenerations
from creatify_textgen.states import Mode, Status

__all__ = [
    "GenerationSerializer",
    "MediaSerializer",
    "decimal_text",
    "represent_credits",
    "represent_message",
    "represent_estimate",
    "represent_model",
]

PART_KEYS = ("type", "text", "mime_type", "media")


class WordField(serializers.ChoiceField):
    """One of a few words. In OpenAPI it is not a component, whose name the host might also use."""


class GenerationSerializer(serializers.Serializer[Generation]):
    """A generation: first the remote's fields, then ours.

    Content is null for staff who may see generations but may not read their content, and empty once
    it was removed.
    """

    id = serializers.UUIDField()
    model_name = serializers.CharField()
    messages = serializers.ListField(child=serializers.JSONField(), allow_null=True)
    system_instruction = serializers.CharField(allow_null=True, allow_blank=True)
    config = serializers.DictField(allow_null=True)
    status = WordField(choices=Status.choices)
    response_text = serializers.CharField(allow_null=True, allow_blank=True)
    response_function_calls = serializers.ListField(child=serializers.JSONField(), allow_null=True)
    failed_reason = serializers.CharField(allow_null=True, allow_blank=True)
    credits_used = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    mode = WordField(choices=Mode.choices)
    remote_id = serializers.CharField(allow_null=True)
    account = serializers.CharField()
    tools = serializers.ListField(child=serializers.JSONField(), allow_null=True)
    tool_config = serializers.DictField(allow_null=True)
    error_code = serializers.CharField(allow_blank=True)
    finish_reason = serializers.CharField(allow_blank=True)
    usage = serializers.DictField(allow_null=True)
    partial = serializers.BooleanField()  # type: ignore[assignment]
    metadata = serializers.DictField(allow_null=True)
    submitted_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    content_removed_at = serializers.DateTimeField(allow_null=True)

    def to_representation(self, instance: Generation) -> dict[str, Any]:
        # An erased generation that has not ended keeps its content, which its end needs. The
        # content is not shown.
        is_erased = instance.content_removed_at is not None and not instance.is_final
        content = NOTHING if is_erased else instance.content
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
            # Counts of tokens say nothing of the content, so all who see the row see them.
            "usage": content.usage,
            "partial": instance.partial,
            "metadata": instance.metadata if shown is not HIDDEN else None,
            "submitted_at": to_text(instance.submitted_at),
            "finished_at": to_text(instance.finished_at),
            "content_removed_at": to_text(instance.content_removed_at),
        }

    def _may_read(self, generation: Generation) -> bool:
        return generation.owner_id == self._reader.pk or self._reads_others

    @property
    def _reader(self) -> Any:
        return self.context["request"].user

    # Once for a page, and not for each of its rows.
    @cached_property
    def _reads_others(self) -> bool:
        return is_staff_with(self._reader, "view_content")


class MediaSerializer(serializers.Serializer[Media]):
    """An uploaded image or video. A part refers to it as `{"type": …, "media": "<id>"}`."""

    id = serializers.UUIDField()
    kind = WordField(choices=Media.Kind.choices)
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


NOTHING = GenerationContent()
"""Empty, as a content that was removed."""
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
    shown["messages"] = [represent_message(message) for message in content.messages]
    return shown


def represent_message(message: dict[str, Any]) -> dict[str, Any]:
    """Return a stored message in the remote's shape."""
    parts = message.get("content")
    # A text, or nothing beside a function call or its response (contract, 3.1).
    if not isinstance(parts, list):
        return message
    # A stored part also contains the hash of its file, which is internal.
    shown = [{key: part[key] for key in PART_KEYS if key in part} for part in parts]
    return {**message, "content": shown}


def decimal_text(number: Decimal | None) -> str | None:
    """Return `0.0005` instead of `5E-4` or `0.0005000000`, and None if it is unknown."""
    # A text, because most clients read a number of JSON as a binary fraction.
    return None if number is None else credits_text(number)


def represent_credits(
    report: CreditReport, latest: LatestGenerations, *, by_owner: bool = False
) -> dict[str, Any]:
    """Return the report with every amount as a decimal string, and how long the latest took."""
    forecast = report.forecast
    owners = {"by_owner": _amounts(report.by_owner)} if by_owner else {}
    return {
        "remaining": decimal_text(report.remaining),
        "remaining_age_seconds": report.remaining_age_seconds,
        "lasts_days": report.lasts_days,
        "used": decimal_text(report.used),
        "unknown": report.unknown,
        # A mean has up to 28 digits; a cost has ten places.
        "used_a_day": decimal_text(round(forecast.daily, 10)),
        "used_this_month": decimal_text(forecast.month_used),
        "projected_this_month": decimal_text(round(forecast.month_projected, 10)),
        "by_day": _amounts(report.by_day),
        "by_model": _amounts(report.by_model),
        "by_status": _amounts(report.by_status),
        **owners,
        "durations": {"sample": latest.count, **latest.durations()},
    }


def represent_estimate(estimate: Estimate) -> dict[str, Any]:
    """Return what a model costs here, each amount as a decimal string, or null if unknown."""
    amounts = ("median", "p95", "mean", "median_per_1000_tokens", "p95_per_1000_tokens")
    return {
        "model_name": estimate.model_name,
        "sample": estimate.sample,
        "token_sample": estimate.token_sample,
        **{name: decimal_text(getattr(estimate, name)) for name in amounts},
        "since": estimate.since,
    }


def represent_model(facts: ModelFacts, *, today: date) -> dict[str, Any]:
    """Return what is known of a model; `ends_on` is a day, or null if it is unknown."""
    return {
        "name": facts.name,
        "ends_on": facts.ends_on and facts.ends_on.isoformat(),
        "has_ended": facts.has_ended(today),
        "successor": facts.successor,
        "ignores": list(facts.ignores),
        "refuses": list(facts.refuses),
        "source": facts.source,
        "read_on": facts.read_on.isoformat(),
    }


def _amounts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            name: decimal_text(value) if isinstance(value, Decimal) else value
            for name, value in row.items()
        }
        for row in rows
    ]
