"""The row of a generation.

Only `lifecycle` writes `status`. No network and no business rules here. Invariant, which the
database ensures: a row that is not final has a `due_at`.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from creatify_textgen.exceptions import AnswerError
from creatify_textgen.models.amounts import CreditsField
from creatify_textgen.models.identifiers import uuid7
from creatify_textgen.models.querysets import GenerationManager
from creatify_textgen.models.unique_if_set import UniqueIfSet
from creatify_textgen.schemas import parse_answer
from creatify_textgen.states import TERMINAL, Mode, Status

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager

    from creatify_textgen.models.content import GenerationContent, GenerationEvent

__all__ = ["Generation"]

EXCERPT_LENGTH = 200
CUT_SHORT = "MAX_TOKENS"

T = TypeVar("T")


class Generation(models.Model):  # type: ignore[django-manager-missing]
    """One request for text, and its state and cost. Only small columns, which queries read.

    Texts are in `GenerationContent`, so that lists and sweeps do not read them.
    """

    # The order saves WAL: PostgreSQL does not log the beginning and the end that two versions of a
    # row on one page share. So the columns that seldom change are first. This is the request:
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    account: models.CharField[str, str] = models.CharField(
        max_length=64, default="default", help_text=_("The workspace whose credits it uses.")
    )
    owner: models.ForeignKey[Any, Any] = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        # `textgen_owner` begins with this column, so a second index would only cost writes.
        db_index=False,
        help_text=_("The user who asked; empty for the site itself."),
    )
    mode: models.CharField[str, str] = models.CharField(
        max_length=8, choices=Mode.choices, default=Mode.ASYNC
    )
    model_name: models.CharField[str, str] = models.CharField(
        max_length=255, help_text=_("The model that was asked for.")
    )
    excerpt = models.CharField(
        max_length=EXCERPT_LENGTH, blank=True, help_text=_("The beginning of the last prompt.")
    )
    metadata = models.JSONField(
        default=dict, blank=True, help_text=_("Data of the site; never sent to the remote.")
    )
    traceparent = models.CharField(
        max_length=55,
        blank=True,
        editable=False,
        help_text=_("Trace context (W3C) of the request that asked for it."),
    )
    # NULL and not "", because the unique constraint allows "" only once.
    idempotency_key = models.CharField(  # noqa: DJ001
        max_length=64,
        null=True,
        blank=True,
        help_text=_("Hash of owner and key; a repeated request finds this row by it."),
    )
    idempotency_hash = models.CharField(
        max_length=64, blank=True, help_text=_("Hash of the request that had the key.")
    )
    retry_of = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="retries",
        db_index=False,  # `textgen_retries` is smaller: few rows are a retry.
    )
    media: models.ManyToManyField[Any, Any] = models.ManyToManyField(
        "Media", blank=True, related_name="generations"
    )
    created_at: models.DateTimeField[datetime, datetime] = models.DateTimeField(
        default=timezone.now, editable=False
    )
    keeps_content = models.BooleanField(
        default=True, help_text=_("Whether its prompt and result stay once it is final.")
    )
    fingerprint = models.CharField(
        max_length=64, help_text=_("Hash of the request; finds it in the remote's list.")
    )
    calls_as_text = models.BooleanField(
        default=False,
        editable=False,
        help_text=_("The remote refused its function calls, so they were sent as text."),
    )

    # The sends.
    workspace = models.CharField(
        max_length=32,
        blank=True,
        editable=False,
        help_text=_("Where it was sent: a keyed hash of the account's URL and API id."),
    )
    first_submitted_at = models.DateTimeField(
        null=True, blank=True, help_text=_("The first send that may have been accepted.")
    )
    submitted_at = models.DateTimeField(null=True, blank=True, help_text=_("The last send."))
    sent_until = models.DateTimeField(
        null=True, blank=True, help_text=_("When the last send has surely ended.")
    )
    absent_since = models.DateTimeField(
        null=True,
        blank=True,
        help_text=_("When the remote's list first showed that nothing was created."),
    )
    absent_served_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text=_("The time of that list by the remote's own clock."),
    )
    attempts = models.PositiveIntegerField(
        default=0, help_text=_("How often a send was begun; also the number of the last send.")
    )
    resends = models.PositiveSmallIntegerField(
        default=0,
        help_text=_("How often it was sent again because nothing had been created: at most once."),
    )

    # The result.
    # NULL and not "", because the unique constraint allows "" only once per account.
    remote_id = models.CharField(  # noqa: DJ001
        max_length=64, null=True, blank=True, help_text=_("The id at the remote, once known.")
    )
    remote_id_as_sent = models.CharField(
        max_length=64,
        blank=True,
        help_text=_("The id as the remote writes it in its URLs, if that differs."),
    )
    credits_used: models.DecimalField[Decimal | None, Decimal | None] = CreditsField(
        max_digits=20,
        decimal_places=10,
        null=True,
        blank=True,
        help_text=_("As the remote reports; empty while unknown."),
    )
    error_code: models.CharField[str, str] = models.CharField(
        max_length=40, blank=True, help_text=_("A word for programs, such as rate_limited.")
    )
    model_version = models.CharField(
        max_length=255, blank=True, help_text=_("The model that answered; only streams report it.")
    )
    finish_reason: models.CharField[str, str] = models.CharField(
        max_length=64, blank=True, help_text=_("Why the model stopped, such as MAX_TOKENS.")
    )
    last_frame = models.PositiveIntegerField(
        null=True,
        blank=True,
        editable=False,
        help_text=_("The number of the frame with which a reader has the whole answer."),
    )
    partial: models.BooleanField[bool, bool] = models.BooleanField(
        default=False, help_text=_("The stream was cut: the text is what arrived before that.")
    )
    finished_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        null=True, blank=True
    )
    stopped_at = models.DateTimeField(
        null=True, blank=True, help_text=_("When somebody stopped its stream.")
    )
    content_removed_at = models.DateTimeField(
        null=True, blank=True, help_text=_("When its prompt and result were removed.")
    )

    # Who works on it, and when. These change most often.
    unverified_remote_id = models.CharField(
        max_length=64,
        blank=True,
        help_text=_("The id that a delivery or an answer named, until a poll confirms it."),
    )
    deliveries = models.PositiveIntegerField(
        default=0, help_text=_("Webhook deliveries received while it was not final.")
    )
    polled_at = models.DateTimeField(null=True, blank=True, help_text=_("The last poll."))
    lease_until = models.DateTimeField(
        null=True, blank=True, help_text=_("Until when no other process works on it.")
    )
    status: models.CharField[str, str] = models.CharField(
        max_length=12, choices=Status.choices, default=Status.QUEUED
    )
    polls = models.PositiveSmallIntegerField(
        default=0, help_text=_("How often it was polled since the last move or delivery.")
    )
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    claim = models.UUIDField(
        null=True, blank=True, editable=False, help_text=_("The process that works on it.")
    )
    due_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text=_("When the sweep must process it; on a final row, when its signal is due."),
    )

    objects: ClassVar[GenerationManager] = GenerationManager()

    if TYPE_CHECKING:  # What Django adds for the relations to this model.
        content: GenerationContent
        events: RelatedManager[GenerationEvent]
        retries: RelatedManager[Generation]

    class Meta:
        base_manager_name = "objects"
        ordering = ["-created_at"]
        get_latest_by = "created_at"
        verbose_name = _("generation")
        verbose_name_plural = _("generations")
        permissions = [
            ("view_content", _("Can read prompts and results of others' generations")),
            ("operate_generation", _("Can refresh, retry and cancel others' generations")),
            ("view_credits", _("Can see the balance of the workspace")),
            ("export_generation", _("Can export generations")),
            ("erase_generation", _("Can erase prompts and results")),
            ("pause_sending", _("Can pause and resume all sending")),
        ]
        # Each change of a row adds an entry to every index that has the row, so most are partial.
        # MariaDB ignores the conditions.
        indexes = [
            # For the sweep, then for the lists of a user, of the REST API and of the admin.
            models.Index(fields=["due_at"], name="textgen_due", condition=Q(due_at__isnull=False)),
            models.Index(fields=["owner", "created_at"], name="textgen_owner"),
            models.Index(fields=["created_at"], name="textgen_created"),
            # For lists by status, and for the limits of a user. The open rows are few.
            models.Index(
                fields=["status", "owner", "created_at"],
                name="textgen_open",
                condition=Q(status__in=sorted(set(Status) - TERMINAL)),
            ),
            # `done` has no such index: nearly every row is, and the order by time finds them.
            models.Index(
                fields=["status", "created_at"],
                name="textgen_not_done",
                condition=Q(status__in=[Status.CANCELLED, Status.EXPIRED, Status.FAILED]),
            ),
            models.Index(
                fields=["retry_of"],
                name="textgen_retries",
                condition=Q(retry_of__isnull=False),
            ),
        ]
        constraints = [
            # Two rows with one remote id would count its cost twice. Not for each account: two of
            # them may have keys of the same workspace.
            UniqueIfSet(fields=["remote_id"], name="textgen_remote_once"),
            UniqueIfSet(fields=["idempotency_key"], name="textgen_idempotency_once"),
            # The sweep finds rows only by `due_at`: without it, a result would be lost.
            models.CheckConstraint(
                condition=Q(status__in=sorted(TERMINAL)) | Q(due_at__isnull=False),
                name="textgen_never_forgotten",
            ),
        ]

    def __str__(self) -> str:
        # Titles, breadcrumbs and logs show this, so it has no text of a caller or of the remote.
        return f"{self.status} {self.pk}"

    def __repr__(self) -> str:
        return f"<Generation {self.pk} {self.mode} {self.status}>"

    def reloaded(self) -> Generation:
        """Return the row as it is now, with its content."""
        return type(self).objects.select_related("content").get(pk=self.pk)

    @property
    def is_final(self) -> bool:
        return self.status in TERMINAL

    @property
    def can_cancel(self) -> bool:
        """Whether it can be cancelled: only before it is sent, because the remote has no cancel."""
        return self.status == Status.QUEUED

    @property
    def can_retry(self) -> bool:
        """Whether `retry` is allowed. While a result may still arrive, a retry may pay twice."""
        has_ended = self.is_final or self.status == Status.EXPIRED
        return has_ended and self.content_removed_at is None

    @property
    def id_at_remote(self) -> str:
        """The id for the remote's URLs, maybe not confirmed yet; empty if none is known."""
        return self.remote_id_as_sent or self.remote_id or self.unverified_remote_id

    @property
    def can_settle(self) -> bool:
        """Whether a person may decide about it: it may have been charged, and has no remote id."""
        may_be = self.status in (Status.UNCONFIRMED, Status.EXPIRED, Status.FAILED)
        has_id = bool(self.remote_id or self.unverified_remote_id)
        return may_be and self.credits_used is None and not has_id

    def is_pumped(self, *, now: datetime) -> bool:
        """Whether a pump works on this row, and so knows more than the remote's list.

        A running pump moves `due_at` into the future again and again. If `due_at` is in the past,
        the pump has died, or has left the row to the sweep.
        """
        return (
            self.mode == Mode.STREAM
            and self.status in (Status.SUBMITTING, Status.RUNNING)
            and self.remote_id is None
            and self.polls == 0
            and bool(self.due_at and self.due_at > now)
        )

    @overload
    def parsed(self) -> Any: ...
    @overload
    def parsed(self, shape: type[T]) -> T: ...
    @overload
    def parsed(self, shape: Any) -> Any: ...
    def parsed(self, shape: Any = Any) -> Any:
        """Return the answer as a checked value of this type, or as plain JSON without one.

        `shape` is what `schema` was: a pydantic model, a dataclass, a TypedDict or another hint.
        Raises: AnswerError with the text and what is wrong, by path.
        """
        if self.status != Status.DONE:
            code = "not_done" if self.is_final else "not_finished"
            raise AnswerError(f"Generation {self.pk} is {self.status}: no answer.", code=code)
        is_cut = self.partial or self.finish_reason == CUT_SHORT
        subject = f"The answer of generation {self.pk}"
        return parse_answer(self.content.response_text, shape, subject=subject, is_cut=is_cut)

    @property
    def duration_seconds(self) -> float | None:
        """Seconds from the intent to the final status, or None before it."""
        end = self.finished_at
        return None if end is None else (end - self.created_at).total_seconds()
