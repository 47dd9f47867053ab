"""Images and videos: a row an owner, a file a content. The bytes live in Django's storage."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from creatify_textgen.models.identifiers import uuid7

__all__ = ["Media"]


class Media(models.Model):
    """A stored image or video, usable in a message part as `{"type": …, "media": "<id>"}`.

    Two owners of the same content have a row each and share the file, which is named by the
    SHA-256 of its bytes.
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
    size = models.PositiveBigIntegerField(help_text=_("Decoded bytes."))
    sha256 = models.CharField(max_length=64, help_text=_("Of the decoded bytes, in hex."))
    path = models.CharField(max_length=255, help_text=_("Name within the storage."))
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = _("media file")
        verbose_name_plural = _("media files")
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "sha256", "mime_type"], name="textgen_media_once"
            ),
        ]
        indexes = [models.Index(fields=["sha256"], name="textgen_media_content")]

    def __str__(self) -> str:
        return f"{self.mime_type} {self.pk}"
