"""A run: a model and the functions of a host take turns until there is an answer.

Rows only; `loop` writes them. The texts are in the generations: the arguments of a call always, its
response after the next request was saved. Invariants, which the database ensures:
a run has one step of each number, a step one call at each position, and a run that goes on has a
`due_at`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from creatify_textgen.models import Generation, WrittenManager, uuid7
from creatify_textgen.models.json_text import JSONTextField

__all__ = ["OPEN", "Run", "Step", "ToolCall"]


class RunQuerySet(models.QuerySet["Run"]):
    def for_owner(self, user: Any) -> Self:
        """Return the runs of this user; none for an anonymous user."""
        if not getattr(user, "is_authenticated", False):
            return self.none()
        return self.filter(owner_id=user.pk)


class Run(models.Model):
    """A tool loop. Each step is a generation; each call of a function is a `ToolCall`."""

    class State(models.TextChoices):
        RUNNING = "running", _("running")
        WAITING = "waiting", _("waits for approval")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        STOPPED = "stopped", _("stopped")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        # `textgen_run_owner` begins with this column.
        db_index=False,
        help_text=_("The user who asked; empty for the site itself."),
    )
    state: models.CharField[str, str] = models.CharField(
        max_length=8, choices=State.choices, default=State.RUNNING
    )
    limit = models.PositiveSmallIntegerField(help_text=_("The most steps."))
    max_credits = models.DecimalField(
        max_digits=20,
        decimal_places=10,
        null=True,
        blank=True,
        help_text=_("No step begins once this was used; empty: no limit."),
    )
    tools = JSONTextField(
        default=list, blank=True, help_text=_("Where each function is, as module:name.")
    )
    metadata = models.JSONField(
        default=dict, blank=True, help_text=_("Data of the site; never sent to the remote.")
    )
    error_code: models.CharField[str, str] = models.CharField(
        max_length=40, blank=True, help_text=_("Why it failed, such as limit_reached.")
    )
    claim = models.UUIDField(
        null=True, blank=True, editable=False, help_text=_("The process that works on it.")
    )
    due_at = models.DateTimeField(
        null=True, blank=True, help_text=_("When the sweep gives it to another process.")
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = WrittenManager.from_queryset(RunQuerySet)()

    class Meta:
        base_manager_name = "objects"
        ordering = ["-created_at"]
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        indexes = [
            models.Index(fields=["due_at"], name="textgen_run_due"),
            models.Index(fields=["owner", "created_at"], name="textgen_run_owner"),
        ]
        constraints = [
            # The sweep finds runs only by `due_at`.
            models.CheckConstraint(
                condition=~Q(state="running") | Q(due_at__isnull=False),
                name="textgen_run_never_forgotten",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.pk}"

    @property
    def has_ended(self) -> bool:
        return self.state not in OPEN

    @property
    def generation(self) -> Generation:
        """The generation of the last step, with its content. One query."""
        steps = Step.objects.filter(run=self).select_related("generation__content")
        return steps.order_by("-number")[0].generation

    @property
    def text(self) -> str:
        """The answer, or "" while there is none or if it was deleted. Two queries."""
        if self.state != self.State.DONE or not Step.objects.filter(run=self).exists():
            return ""
        return self.generation.content.response_text

    @property
    def credits_used(self) -> Decimal | None:
        """The cost of all steps, or None while the cost of a step is unknown. One query."""
        steps = Step.objects.filter(run=self)
        # Not SUM, which leaves out what is NULL and would call an unknown cost zero.
        total = Decimal(0)
        for cost in steps.values_list("generation__credits_used", flat=True):
            if cost is None:
                return None
            total += cost
        return total

    @property
    def calls(self) -> models.QuerySet[ToolCall]:
        """The calls in the order in which the model made them."""
        calls = ToolCall.objects.filter(step__run=self).select_related("step__generation__content")
        return calls.order_by("step__number", "position")


OPEN = (Run.State.RUNNING, Run.State.WAITING)
"""The states of a run that has not ended."""


class Step(models.Model):
    """One request of a run, and its answer."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="steps")
    number = models.PositiveSmallIntegerField(help_text=_("1 for the first."))
    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="steps")

    objects = WrittenManager["Step"]()

    class Meta:
        base_manager_name = "objects"
        ordering = ["run", "number"]
        verbose_name = _("step")
        verbose_name_plural = _("steps")
        constraints = [
            # Of two processes that begin the same step, the database refuses the second.
            models.UniqueConstraint(fields=["run", "number"], name="textgen_step_number"),
        ]

    def __str__(self) -> str:
        return f"{self.number} of {self.run_id}"


class ToolCall(models.Model):
    """One call of a function that the model asked for. It is executed once at most."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waits for approval")
        READY = "ready", _("ready")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        REJECTED = "rejected", _("rejected")
        LOST = "lost", _("lost: it may have run")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    step = models.ForeignKey(Step, on_delete=models.CASCADE, related_name="calls")
    position = models.PositiveIntegerField(help_text=_("0 for the first of its step."))
    name: models.CharField[str, str] = models.CharField(max_length=128)
    state: models.CharField[str, str] = models.CharField(
        max_length=8, choices=State.choices, default=State.READY
    )
    response = JSONTextField(
        null=True, blank=True, help_text=_("What the model receives; empty once it is sent.")
    )
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text=_("Who approved or rejected it."),
    )
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = WrittenManager["ToolCall"]()

    class Meta:
        base_manager_name = "objects"
        ordering = ["step", "position"]
        verbose_name = _("call of a function")
        verbose_name_plural = _("calls of functions")
        constraints = [
            # The same for the calls: two rows of one call would be two executions.
            models.UniqueConstraint(fields=["step", "position"], name="textgen_call_position"),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.pk}"

    @property
    def args(self) -> dict[str, Any]:
        """The arguments that the model gave; empty if the content was erased."""
        calls = self.step.generation.content.response_function_calls or []
        asked: dict[str, Any] = calls[self.position] if self.position < len(calls) else {}
        return dict(asked.get("args") or {})
