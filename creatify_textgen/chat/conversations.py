"""A conversation: its settings, and the verbs that add to it, repeat it and read it.

A turn is saved in the transaction that saves its generation, so that each answer is in its
conversation. Invariant: a turn begins only after the previous turn has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Self, Unpack

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from creatify_textgen import clock, databases, services
from creatify_textgen.chat.addition import Addition, busy
from creatify_textgen.chat.context import Message
from creatify_textgen.chat.declarations import declarations_of
from creatify_textgen.chat.forks import fork, unshared
from creatify_textgen.chat.runs import Run
from creatify_textgen.chat.settings import read_settings, read_title
from creatify_textgen.chat.turns import Turn
from creatify_textgen.intake import expect_row
from creatify_textgen.models import Generation, WrittenManager, uuid7
from creatify_textgen.models.json_text import JSONTextField
from creatify_textgen.services.asynchronous import closing_connections
from creatify_textgen.services.blocking import generate_intake
from creatify_textgen.services.submission import submit_intake
from creatify_textgen.streams import database
from creatify_textgen.streams.begin import begin_accepted
from creatify_textgen.streams.sessions import follow_begun
from creatify_textgen.types import Content, TurnOptions

__all__ = ["Conversation"]

LONGEST_TITLE = 200


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def for_owner(self, user: Any) -> Self:
        """Return the conversations of this user; none for an anonymous user."""
        if not getattr(user, "is_authenticated", False):
            return self.none()
        return self.filter(owner_id=user.pk)


class Conversation(models.Model):
    """A series of exchanges with a model. Each exchange is a `Turn` with its `Generation`.

    Failed turns are left out of what the model receives. It is deleted with its owner.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        # `textgen_conversation_owner` begins with this column.
        db_index=False,
        help_text=_("The user whose conversation it is; empty for the site itself."),
    )
    account = models.CharField(
        max_length=64, default="default", help_text=_("The workspace whose credits it uses.")
    )
    title: models.CharField[str, str] = models.CharField(max_length=LONGEST_TITLE, blank=True)
    system_instruction = models.TextField(blank=True)
    model_name = models.CharField(max_length=255)
    config = JSONTextField(default=dict, blank=True)
    tools = JSONTextField(default=list, blank=True)
    tool_config = JSONTextField(default=dict, blank=True)
    metadata = models.JSONField(
        default=dict, blank=True, help_text=_("Data of the site; never sent to the remote.")
    )
    window_messages = models.PositiveIntegerField(
        null=True, blank=True, help_text=_("How many earlier messages are sent; empty: all.")
    )
    window_tokens = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text=_("About how many tokens of earlier messages are sent; empty: all."),
    )
    forked_from = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="forks"
    )
    forked_at = models.PositiveIntegerField(
        null=True, blank=True, help_text=_("The last turn that a fork shares.")
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(
        default=timezone.now, editable=False, help_text=_("When the last turn began.")
    )

    objects = WrittenManager.from_queryset(ConversationQuerySet)()

    class Meta:
        base_manager_name = "objects"
        ordering = ["-updated_at"]
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        indexes = [
            models.Index(fields=["owner", "updated_at"], name="textgen_conversation_owner"),
            models.Index(fields=["updated_at"], name="textgen_conversation_new"),
        ]

    def __str__(self) -> str:
        # Without the title, which may quote the first message: lists and logs show this text.
        return str(self.pk)

    @property
    def last_turn(self) -> Turn | None:
        """The last exchange, with its content; None before the first. One query."""
        return self.turns.all().with_content().order_by("-number").first()

    @classmethod
    def start(
        cls,
        *,
        owner: Any = None,
        title: str = "",
        system_instruction: str = "",
        model_name: str | None = None,
        tools: Sequence[Any] | None = None,
        tool_config: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        account: str = "default",
        metadata: Mapping[str, Any] | None = None,
        window_messages: int | None = None,
        window_tokens: int | None = None,
    ) -> Conversation:
        """Save a new conversation and return it. Nothing is sent yet.

        `tools` are functions, which are declared by `declare`, or declarations. A window limits
        what is sent of the past: the latest messages, or about so many tokens of them (four
        characters count as one). Raises: RequestError, and then nothing was saved.
        """
        fields = read_settings(
            owner=owner,
            title=title,
            system_instruction=system_instruction,
            model_name=model_name,
            tools=declarations_of(tools),
            tool_config=tool_config,
            config=config,
            account=account,
            metadata=metadata,
            windows={"window_messages": window_messages, "window_tokens": window_tokens},
            longest_title=LONGEST_TITLE,
        )
        now = clock.now()
        return cls.objects.create(**fields, created_at=now, updated_at=now)

    def say(self, content: Content, **options: Unpack[TurnOptions]) -> Generation:
        """Add a message and have a worker send it; returns the generation at once.

        `content` is a text, a list of parts, or a list of messages, such as the responses of
        functions. `options` are those of `TurnOptions`, for this turn.

        Raises: RequestError, and then nothing was saved or sent; TransitionError with code
        `conversation_busy` until the turn before has ended.
        """
        return self._add(submit_intake, content, options)

    def ask(
        self,
        content: Content,
        *,
        timeout: float | None = None,
        **options: Unpack[TurnOptions],
    ) -> Generation:
        """As `say`, and wait for the answer, for `timeout` seconds at most; see `generate`.

        Raises: also RuntimeError inside a transaction.
        """
        databases.refuse_transaction("ask")

        def send(intake: Any, *, link: Callable[[Generation], object]) -> Generation:
            return generate_intake(intake, timeout=timeout, link=link)

        return self._add(send, content, options)

    def begin_stream(
        self, content: Content, **options: Unpack[TurnOptions]
    ) -> tuple[Generation, bool]:
        """As `say`, but streamed; returns the generation at once, and whether it is new."""
        databases.refuse_transaction("stream")
        # Stays empty if the key was used before: then `send` is not called.
        new: list[Generation] = []

        def send(intake: Any, *, link: Callable[[Generation], object]) -> Generation:
            new.append(begin_accepted(intake, link=link)[0])
            return new[0]

        return self._add(send, content, options), bool(new)

    def stream(self, content: Content, **options: Unpack[TurnOptions]) -> services.GenerationStream:
        """As `say`, and return the chunks of the answer as they arrive; see `services.stream`."""
        generation, _ = self.begin_stream(content, **options)
        return follow_begun(generation)

    def history(self) -> list[Message]:
        """Return all messages of the turns that are done, in the remote's shape."""
        turns = self.turns.all().answered().with_content().order_by("number")
        return [message for turn in turns for message in (*turn.added, *turn.answer)]

    def rename(self, title: str) -> None:
        """Set the title. Raises: RequestError."""
        self.write(title=read_title(title, longest=LONGEST_TITLE))

    def write(self, **columns: Any) -> None:
        """Set these columns. Raises: DoesNotExist if it was deleted since it was read."""
        # Not `save()`, which inserts the row again if its UPDATE finds none.
        if not type(self).objects.filter(pk=self.pk).update(**columns):
            raise self.DoesNotExist(f"Conversation {self.pk} was deleted.")
        for name, value in columns.items():
            setattr(self, name, value)

    def fork(self, at: int | None = None) -> Conversation:
        """Return a new conversation with the turns up to this number, or with all that have ended.

        Nothing is sent again, and the two go on apart. Raises: RequestError if no turn of this
        number has ended.
        """
        return fork(self, at)

    def erase(self) -> None:
        """Delete the conversation, and its generations that no fork of it needs.

        What they cost stays in the sums. Raises: TransitionError with code `conversation_busy`
        until the last turn has ended.
        """
        last = self.last_turn
        if last is not None and not last.has_ended:
            raise busy(self)
        # First of all: once the turns are deleted, nothing says which generations were theirs.
        alone = unshared(self)
        Run.objects.filter(steps__generation__in=alone).delete()
        self.delete()
        for generation in alone:
            services.delete(generation)

    @classmethod
    async def astart(cls, **fields: Any) -> Conversation:
        """As `start`, for a coroutine."""
        return await sync_to_async(cls.start)(**fields)

    async def asay(self, content: Content, **options: Unpack[TurnOptions]) -> Generation:
        """As `say`, for a coroutine."""
        return await sync_to_async(self.say)(content, **options)

    async def aask(
        self,
        content: Content,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  as `ask`: the request goes on after it
        **options: Unpack[TurnOptions],
    ) -> Generation:
        """As `ask`, for a coroutine; it waits in a separate thread."""
        return await ask_apart(self, content, timeout=timeout, **options)

    async def astream(
        self, content: Content, **options: Unpack[TurnOptions]
    ) -> services.AsyncGenerationStream:
        """As `stream`, for a coroutine."""
        begun = await database.run_async(partial(self.begin_stream, content, **options))
        return await services.aattach(begun[0])

    async def ahistory(self) -> list[Message]:
        """As `history`, for a coroutine."""
        return await sync_to_async(self.history)()

    async def aerase(self) -> None:
        """As `erase`, for a coroutine."""
        await sync_to_async(self.erase)()

    async def afork(self, at: int | None = None) -> Conversation:
        """As `fork`, for a coroutine."""
        return await sync_to_async(self.fork)(at)

    def _add(
        self,
        send: Callable[..., Generation],
        content: Content,
        options: TurnOptions,
    ) -> Generation:
        expect_row(self, Conversation)
        fields: dict[str, Any] = {**options}
        key = fields.pop("idempotency_key", None)
        return Addition.read(self, content, key=key, options=fields).send(send)


# For minutes, so not in the one thread that Django shares between coroutines.
ask_apart = sync_to_async(closing_connections(Conversation.ask), thread_sensitive=False)
