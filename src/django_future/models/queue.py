"""The model of a paused queue."""

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_future.databases import RowsWithJobs
from django_future.models.failures import MAX_AUTHOR_LENGTH
from django_future.models.fields import InstantField, attribute
from django_future.models.key_field import KeyField
from django_future.options import MAX_QUEUE_NAME_LENGTH
from django_future.rows import TypedModel


class PausedQueue(TypedModel):
    """A queue whose jobs workers do not claim."""

    queue_name: str = attribute(
        KeyField(_("queue"), max_length=MAX_QUEUE_NAME_LENGTH, primary_key=True)
    )
    reason: str = attribute(models.CharField(_("reason"), max_length=255, default="", blank=True))
    paused_at: datetime = attribute(InstantField(_("paused at")))
    paused_by: str = attribute(
        models.CharField(_("paused by"), max_length=MAX_AUTHOR_LENGTH, default="", blank=True)
    )

    objects: "ClassVar[RowsWithJobs[PausedQueue]]" = attribute(RowsWithJobs.as_manager())

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("paused queue")
        verbose_name_plural = _("paused queues")
        permissions = [("pause_queue", _("Can pause and resume queues"))]

    def __str__(self) -> str:
        return self.queue_name
