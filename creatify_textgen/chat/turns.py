"""One exchange of a conversation: what the user added, and the generation that answers it.

The texts are only in the generation's content, so erasing that content erases them.
Invariant, which the database ensures: a conversation has one turn of each number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import OuterRef, Q, Subquery
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from creatify_textgen.chat.context import Message
from creatify_textgen.chat.runs import OPEN, Step
from creatify_textgen.models import Generation, WrittenManager
from creatify_textgen.states import TERMINAL, Status

if TYPE_CHECKING:
    from creatify_textgen.chat.conversations import Conversation

__all__ = ["Turn"]


class TurnQuerySet(models.QuerySet["Turn"]):
    def with_content(self) -> TurnQuerySet:
        return self.select_related("generation__content")

    def with_run(self) -> TurnQuerySet:
        """Add `run_id`: the run whose step the turn is, or None."""
        steps = Step.objects.filter(generation=OuterRef("generation"))
        # Without `output_field` SQLite would give its own form of an UUID.
        key = Subquery(steps.values("run")[:1], output_field=models.UUIDField())
        return self.annotate(run_id=key)

    def ended(self) -> TurnQuerySet:
        """Return the turns after which another may begin; see `has_ended`."""
        in_open_run = Step.objects.filter(run__state__in=OPEN).values("generation")
        settled = self.filter(generation__status__in=(*TERMINAL, Status.EXPIRED))
        return settled.exclude(generation__in=in_open_run)

    def answered(self) -> TurnQuerySet:
        """Return the turns whose generation is done and has an answer."""
        has_text = Q(generation__content__response_text__gt="")
        has_calls = ~Q(generation__content__response_function_calls=[])
        # Removed content has neither.
        kept = self.filter(generation__content__isnull=False, generation__status=Status.DONE)
        return kept.filter(has_text | has_calls)


class Turn(models.Model):
    """One exchange. A fork has rows that name the same generations."""

    conversation: models.ForeignKey[Conversation, Conversation] = models.ForeignKey(
        "creatify_textgen.Conversation", on_delete=models.CASCADE, related_name="turns"
    )
    number = models.PositiveIntegerField(help_text=_("1 for the first of its conversation."))
    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="turns")
    messages_added = models.PositiveSmallIntegerField(
        default=1, help_text=_("How many messages at the end of the request are this turn's.")
    )
    # NULL and not "", because the unique constraint allows "" only once per conversation.
    key = models.CharField(  # noqa: DJ001
        max_length=64, null=True, blank=True, help_text=_("Hash of the idempotency key, if any.")
    )
    key_hash = models.CharField(
        max_length=64, blank=True, help_text=_("Hash of the messages that had the key.")
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = WrittenManager.from_queryset(TurnQuerySet)()

    class Meta:
        base_manager_name = "objects"
        ordering = ["conversation", "number"]
        verbose_name = _("turn")
        verbose_name_plural = _("turns")
        constraints = [
            # Of two messages at once, the database refuses the second.
            models.UniqueConstraint(fields=["conversation", "number"], name="textgen_turn_number"),
            models.UniqueConstraint(fields=["conversation", "key"], name="textgen_turn_key"),
        ]

    def __str__(self) -> str:
        return f"{self.number} of {self.conversation_id}"

    @property
    def has_ended(self) -> bool:
        """Whether the next turn may begin: the answer has ended, and its run, too. One query.

        An expired generation does not block, because its answer may never come.
        """
        return Turn.objects.filter(pk=self.pk).ended().exists()

    @property
    def added(self) -> list[Message]:
        """What the user added, in the remote's shape; empty once the content was removed."""
        messages: list[Message] = self.generation.content.messages or []
        return messages[-self.messages_added :]

    @property
    def answer(self) -> list[Message]:
        """The model's messages, with their opaque fields; empty unless the generation is done."""
        if self.generation.status != Status.DONE:
            return []
        return self.generation.content.answer_messages()
