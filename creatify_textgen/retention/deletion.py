"""Follows the deletion of a user, a generation, a medium or a budget, whoever deletes it.

Rows and files are given up in the transaction that deletes, and files are deleted after its commit.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db.models.signals import post_delete, pre_delete

from creatify_textgen import clock, databases, lifecycle
from creatify_textgen.models import (
    Budget,
    BudgetHold,
    BudgetPeriod,
    DeletedGeneration,
    Generation,
    Media,
)
from creatify_textgen.retention.erasure import erase_owner
from creatify_textgen.retention.pruning import delete_all_discarded

__all__ = ["connect_deletions"]

MEDIA = "_textgen_media"


def connect_deletions() -> None:
    """Connect the receivers of Django's deletion signals; `AppConfig.ready` calls this once."""
    # Each model of users by itself. With a receiver for all models, Django would load each
    # row of the site before it deletes it (`Collector.can_fast_delete`).
    user_class = get_user_model()._meta.concrete_model or get_user_model()
    for model in apps.get_models():
        # Proxies and subclasses, too: the sender of a signal is the class of the deleted object.
        if issubclass(model, user_class):
            pre_delete.connect(_erase_owner, sender=model)
    pre_delete.connect(_prepare_deletion, sender=Generation)
    post_delete.connect(_give_up, sender=Generation)
    post_delete.connect(_delete_file, sender=Media)
    pre_delete.connect(_delete_periods, sender=Budget)


def _erase_owner(instance: Any, **_: Any) -> None:
    # Before the deletion: it sets `owner` to NULL, and then nobody could say whose these rows were.
    erase_owner(instance.pk, detail="content erased: its owner was deleted")


def _prepare_deletion(instance: Generation, **_: Any) -> None:
    if not instance.is_final:  # A final one has nothing reserved, and there may be many of them.
        lifecycle.drop_holds(instance)
    if instance.remote_id is None:
        # The host may have read the object before the remote accepted its request.
        known = Generation.objects.filter(pk=instance.pk).values_list("remote_id", flat=True)
        instance.remote_id = known.first()
    # For `_give_up`, which runs when the links to the media are deleted, too.
    setattr(instance, MEDIA, list(instance.media.values_list("pk", flat=True)))


def _give_up(instance: Generation, **_: Any) -> None:
    now = clock.now()
    if instance.remote_id:
        # The remote's list still has it. `reconcile` would take it for a charge without a row.
        DeletedGeneration.objects.get_or_create(
            account=instance.account, remote_id=instance.remote_id, defaults={"deleted_at": now}
        )
    media = getattr(instance, MEDIA, [])
    if media and lifecycle.discard_media(media, now=now):
        databases.after_commit(delete_all_discarded)


def _delete_file(instance: Media, **_: Any) -> None:
    others = Media.objects.filter(sha256=instance.sha256, path=instance.path)
    # `delete_discarded` deletes the file before the row, whose deletion arrives here, too.
    if instance.discarded_at is None and not others.exists():
        # A row without an owner keeps the file's name until the file is gone.
        Media.objects.create(
            kind=instance.kind,
            mime_type=instance.mime_type,
            size=instance.size,
            sha256=instance.sha256,
            path=instance.path,
            discarded_at=clock.now(),
        )
        databases.after_commit(delete_all_discarded)


def _delete_periods(instance: Budget, **_: Any) -> None:
    """Delete what belongs to the budget once no request can add to it.

    A request that has reserved adds its hold before it commits. Django deletes the holds first and
    then waits for such a request, whose hold would then refer to a deleted period.
    """
    # Evaluated for its lock alone.
    list(Budget.objects.select_for_update().filter(pk=instance.pk))
    periods = BudgetPeriod.objects.filter(budget=instance)
    # In the order in which requests lock them. In another one, two could wait for each other.
    list(periods.select_for_update().order_by("pk").values_list("pk"))
    BudgetHold.objects.filter(period__budget=instance).delete()
    periods.delete()
