"""Images and videos: one row per owner and content, one file per content in Django's storage."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from creatify_textgen.models.identifiers import uuid7
from creatify_textgen.models.querysets import WrittenManager

__all__ = ["Media"]


class Media(models.Model):
    """A stored image or video. A message part names it: `{"type": "image", "media": "<id>"}`.

    If two owners upload the same content, each has a row, and both rows name one file. The file's
    name is the SHA-256 of its bytes.
    """

    class Kind(models.TextChoices):
        IMAGE = "image", _("image")
        VIDEO = "video", _("video")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    kind = models.CharField(max_length=8, choices=Kind.choices)
    mime_type = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField(help_text=_("In decoded bytes."))
    sha256 = models.CharField(max_length=64, help_text=_("Of the decoded bytes, in hex."))
    path = models.CharField(max_length=255, help_text=_("Name within the storage."))
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # A storage takes part in no transaction. So the row is marked, then the file is deleted, then
    # the row. After a crash in between, the next pass goes on.
    discarded_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text=_("When it was given up: its file is deleted, and then this row."),
    )

    objects = WrittenManager["Media"]()

    class Meta:
        base_manager_name = "objects"
        ordering = ["-created_at"]
        verbose_name = _("media file")
        verbose_name_plural = _("media files")
        constraints = [
            # It does not hold for rows without an owner: in SQL no NULL equals another.
            models.UniqueConstraint(
                fields=["owner", "sha256", "mime_type"], name="textgen_media_once"
            ),
        ]
        indexes = [
            # Finds the other rows that name a file, before the file is deleted.
            models.Index(fields=["sha256"], name="textgen_media_content"),
            models.Index(fields=["owner", "created_at"], name="textgen_media_owner"),
            models.Index(fields=["discarded_at"], name="textgen_media_discarded"),
        ]

    def __str__(self) -> str:
        return str(self.pk)
