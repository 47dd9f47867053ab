"""What belongs to a generation: its content, and its timeline.

The columns are large or many, so they are read only where they are shown. `lifecycle` writes them
in the transaction that changes the row.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from creatify_textgen.models.generation import Generation
from creatify_textgen.models.json_text import JSONTextField
from creatify_textgen.models.querysets import WrittenManager
from creatify_textgen.models.removable import RemovableField
from creatify_textgen.states import Cause, Status

__all__ = ["GenerationContent", "GenerationEvent"]


class GenerationContent(models.Model):
    """The request and the answer. The columns are large, so only pages that show them read them.

    The row is deleted when its content is removed; `generation.content` is then empty.
    """

    generation = RemovableField(
        Generation, primary_key=True, on_delete=models.CASCADE, related_name="content"
    )
    messages = JSONTextField(
        default=list, help_text=_("The list as the remote receives it, with ids instead of media.")
    )
    system_instruction: models.TextField[str, str] = models.TextField(blank=True)
    config = JSONTextField(default=dict, blank=True)
    tools = JSONTextField(default=list, blank=True)
    tool_config = JSONTextField(default=dict, blank=True)
    response_text: models.TextField[str, str] = models.TextField(blank=True)
    response_thoughts: models.TextField[str, str] = models.TextField(blank=True)
    response_function_calls = JSONTextField(
        default=list,
        blank=True,
        help_text=_('A list of {"name": …, "args": {…}}, with id and thought_signature if given.'),
    )
    failed_reason: models.TextField[str, str] = models.TextField(blank=True)
    usage = JSONTextField(
        null=True, blank=True, help_text=_("Token counts, from the last chunk that had them.")
    )
    citations = JSONTextField(default=list, blank=True)
    extra = JSONTextField(
        default=dict, blank=True, help_text=_("Fields of the request that this app does not know.")
    )

    objects = WrittenManager["GenerationContent"]()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("content")
        verbose_name_plural = _("contents")

    def __str__(self) -> str:
        return str(self.generation_id)

    def __repr__(self) -> str:
        return f"<GenerationContent of {self.generation_id}>"

    def answer_messages(self) -> list[dict[str, Any]]:
        """Return the answer as messages to continue with: its text, and each call as it came."""
        text = [{"role": "model", "content": self.response_text}] if self.response_text else []
        # A message of the remote holds one call (contract, 3.1), so each call is a message.
        calls = self.response_function_calls
        return [*text, *({"role": "model", "function_call": call} for call in calls)]

    def request_fields(self) -> dict[str, Any]:
        """Return the six fields of the request, to create a new generation from them."""
        names = ("messages", "system_instruction", "config", "tools", "tool_config", "extra")
        return {name: getattr(self, name) for name in names}


class GenerationEvent(models.Model):
    """One entry of a generation's timeline: its new status, when it changed, and the cause."""

    # Rows are only added, in the transaction that makes the change. None is changed later.
    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    status = models.CharField(max_length=12, choices=Status.choices)
    cause = models.CharField(max_length=12, choices=Cause.choices)
    detail = models.CharField(max_length=255, blank=True)

    objects = WrittenManager["GenerationEvent"]()

    class Meta:
        base_manager_name = "objects"
        # Not by `at`: the clocks of two nodes differ.
        ordering = ["id"]
        verbose_name = _("event")
        verbose_name_plural = _("events")

    def __str__(self) -> str:
        return f"{self.status} by {self.cause}"
