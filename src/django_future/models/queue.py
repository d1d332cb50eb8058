"""The model of a paused queue."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_future.databases import RowsWithJobs
from django_future.models.fields import InstantField, KeyField
from django_future.options import MAX_QUEUE_NAME_LENGTH


class PausedQueue(models.Model):
    """A queue whose jobs workers do not claim."""

    queue_name = KeyField(_("queue"), max_length=MAX_QUEUE_NAME_LENGTH, primary_key=True)
    reason = models.CharField(_("reason"), max_length=255, default="", blank=True)
    paused_at = InstantField(_("paused at"))

    objects = RowsWithJobs.as_manager()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("paused queue")
        verbose_name_plural = _("paused queues")

    def __str__(self) -> str:
        return str(self.queue_name)
