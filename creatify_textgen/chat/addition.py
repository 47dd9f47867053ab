"""One addition to a conversation: checked, joined with the past, and saved as the next turn.

Two messages at once never mix: both read the same last turn and try to save the next number, and
the database refuses the second (`textgen_turn_number`). Invariant: nothing of the second is saved.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError
from django.utils.translation import gettext as _

from creatify_textgen.chat import context
from creatify_textgen.chat.settings import refuse_unstored
from creatify_textgen.chat.turns import Turn
from creatify_textgen.exceptions import PolicyRefusal, RequestError, TransitionError
from creatify_textgen.intake import Intake, check_options, key_digest, sealed
from creatify_textgen.intake.reading import summary
from creatify_textgen.models import Generation, Media
from creatify_textgen.services.submission import accept_request

if TYPE_CHECKING:
    from creatify_textgen.chat.conversations import Conversation

__all__ = ["Addition", "busy"]

# What may differ from turn to turn. Everything else is a setting of the conversation.
OPTIONS = frozenset({"config", "extra", "metadata", "schema", "tool_config"})
SETTINGS = (
    "owner",
    "account",
    "model_name",
    "system_instruction",
    "config",
    "tools",
    "tool_config",
)
"""The settings of a conversation for each request."""
_OF_CONVERSATION = dict.fromkeys(
    {*SETTINGS} - OPTIONS, "the conversation has it; see Conversation.start."
)
_NEW_MESSAGE = re.compile(r"^messages\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Addition:
    """A message that is added to a conversation; `send` saves and sends it."""

    conversation: Conversation
    new: list[context.Message] = field(repr=False)
    key: str | None
    """Hash of the idempotency key, or None."""
    options: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(
        cls,
        conversation: Conversation,
        content: Any,
        *,
        key: str | None,
        options: Mapping[str, Any],
        tools: Sequence[Any] | None = None,
    ) -> Addition:
        """Return the addition; `tools` are declarations in the place of the conversation's.

        Raises: RequestError; TypeError for an unknown option.
        """
        check_options(options, known=OPTIONS, hints=_OF_CONVERSATION)
        refuse_unstored()
        new = context.new_messages(content)
        if tools is not None:
            options = {**options, "tools": tools}
        digest = None if key is None else key_digest(key, scope=str(conversation.pk))
        return cls(conversation, new, digest, options)

    def send(self, send: Callable[..., Generation]) -> Generation:
        """Save the turn and its generation in one transaction, and return the generation.

        `send` takes an Intake and `link`, as `submit_intake` does. With a key that was used, the
        generation of its turn is returned. Raises: as `Conversation.say`.
        """
        if repeated := self._repeated():
            return repeated
        # Read without a lock: of two messages that find the same last turn, the second is refused
        # when its turn is saved.
        last = self.conversation.last_turn
        if last is not None and not last.has_ended:
            return self._repeated_or_busy()
        number = last.number + 1 if last else 1
        try:
            return send(self._accept(), link=lambda generation: self._link(generation, number))
        except PolicyRefusal:
            # A faster request with the same key may have reached a limit.
            if repeated := self._repeated():
                return repeated
            raise
        except IntegrityError:
            # The number or the key was taken at this moment. Any other violation is raised.
            is_taken = self.conversation.turns.filter(number=number).exists()
            if not is_taken and self._repeated() is None:
                raise
        return self._repeated_or_busy()

    def _repeated_or_busy(self) -> Generation:
        # Another request with the same key may have been faster.
        if repeated := self._repeated():
            return repeated
        raise busy(self.conversation)

    def _accept(self) -> Intake:
        conversation = self.conversation
        before = _past(conversation)
        messages = context.join(before, self.new)
        settings = {name: getattr(conversation, name) for name in SETTINGS}
        try:
            return accept_request(messages, **{**settings, **self.options})
        except RequestError as error:
            # The paths count from the first message of the past, which the caller did not pass.
            raise _about_new(error, total=len(messages), new=len(self.new)) from error

    def _link(self, generation: Generation, number: int) -> None:
        conversation = self.conversation
        conversation.write(updated_at=generation.created_at)
        Turn.objects.create(
            conversation=conversation,
            number=number,
            generation=generation,
            messages_added=len(self.new),
            key=self.key,
            key_hash=self._hashes[0] if self.key else "",
            created_at=generation.created_at,
        )

    def _repeated(self) -> Generation | None:
        if self.key is None:
            return None
        turn = self.conversation.turns.with_content().filter(key=self.key).first()
        if turn is not None and turn.key_hash not in self._hashes:
            raise RequestError(
                _(
                    "This Idempotency-Key was used for another message: use a new key for a new "
                    "one."
                ),
                code="idempotency_conflict",
            )
        return turn.generation if turn else None

    @property
    def _hashes(self) -> tuple[str, ...]:
        # By their `repr`, values that are no JSON: bytes by content, a file by its name alone.
        written = json.dumps(self.new, sort_keys=True, default=repr)
        # Keyed, so that a reader of the column cannot check a guess about the message.
        return sealed(hashlib.sha256(written.encode()).hexdigest())


def busy(conversation: Conversation) -> TransitionError:
    """Return the error of a conversation whose last turn has not ended."""
    return TransitionError(
        _(
            "Conversation %(id)s waits for its last answer: wait until that has ended, or fork the "
            "conversation."
        )
        % {"id": conversation.pk},
        code="conversation_busy",
    )


def _past(conversation: Conversation) -> list[context.Message]:
    """Return the past to send: the messages of the last answered turn, and its answer.

    Older turns are not read, because each request already has the whole past.
    """
    last = conversation.turns.answered().with_content().order_by("-number").first()
    if last is None:
        return []
    messages = context.windowed(
        [*last.generation.content.messages, *last.answer],
        count=conversation.window_messages,
        tokens=conversation.window_tokens,
    )
    ids = {
        part["media"]
        for message in messages
        if isinstance(message.get("content"), list)
        for part in message["content"]
        if part.get("media")
    }
    if not ids:
        return messages
    # Media may be pruned while a conversation goes on. The turn must not fail because of them.
    mine = Media.objects.filter(owner_id=conversation.owner_id, discarded_at=None)
    stored = mine.filter(pk__in=ids)
    return context.without_media(messages, missing=ids - {str(one.pk) for one in stored})


def _about_new(error: RequestError, *, total: int, new: int) -> RequestError:
    """Return the error with the paths of the caller's arguments: `content[0].text`."""

    def renamed(path: str) -> str:
        found = _NEW_MESSAGE.match(path)
        if not found or int(found[1]) < total - new:
            return path
        rest = path[found.end() :]
        one = f"content[{int(found[1]) - total + new}]{rest}"
        return rest.removeprefix(".") if new == 1 else one

    errors = {renamed(path): texts for path, texts in error.errors.items()}
    return RequestError(summary(errors), errors=errors, code=error.code)
