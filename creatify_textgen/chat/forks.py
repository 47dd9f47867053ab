"""Forks: they share the generations of their first turns, which the last of them deletes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from creatify_textgen import clock, databases
from creatify_textgen.chat.turns import Turn
from creatify_textgen.exceptions import RequestError
from creatify_textgen.models import Generation

if TYPE_CHECKING:
    from creatify_textgen.chat.conversations import Conversation

__all__ = ["fork", "unshared"]

NOT_FORKED = {"id", "forked_from", "forked_at", "created_at", "updated_at"}


def fork(conversation: Conversation, at: int | None) -> Conversation:
    """Return a new conversation with the turns up to this number, or with all that have ended.

    Raises: RequestError if no turn of this number has ended.
    """
    # A turn that is under way would keep the fork busy, too.
    turns = list(conversation.turns.all().ended().order_by("number"))
    if at is not None:
        # The type, too: True equals 1, and would fork the wrong turn.
        if type(at) is not int or at not in {turn.number for turn in turns}:
            rule = _("Must be the number of a turn that has ended.")
            raise RequestError.about("at", rule)
        turns = [turn for turn in turns if turn.number <= at]
    now = clock.now()
    copied = [
        field.name for field in conversation._meta.concrete_fields if field.name not in NOT_FORKED
    ]
    copy = type(conversation)(
        **{name: getattr(conversation, name) for name in copied},
        # Not the conversation object, so that the fork can be saved after that was erased.
        forked_from_id=conversation.pk,
        forked_at=turns[-1].number if turns else None,
        created_at=now,
        updated_at=now,
    )
    with databases.short_transaction():
        # Raises DoesNotExist if it was deleted since it was read.
        type(conversation).objects.select_for_update().get(pk=conversation.pk)
        copy.save(force_insert=True)
        Turn.objects.bulk_create(
            Turn(
                conversation=copy,
                number=turn.number,
                generation_id=turn.generation_id,
                messages_added=turn.messages_added,
                created_at=turn.created_at,
            )
            for turn in turns
        )
    return copy


def unshared(conversation: Conversation) -> list[Generation]:
    """Return the generations that have ended and are in no other conversation."""
    turns = Turn.objects.filter(conversation=conversation).select_related("generation")
    mine = {turn.generation_id: turn.generation for turn in turns}
    others = Turn.objects.filter(generation__in=mine).exclude(conversation=conversation)
    shared = set(others.values_list("generation_id", flat=True))
    # An expired generation may still be charged, and its row waits for the cost.
    return [row for key, row in mine.items() if key not in shared and row.is_final]
