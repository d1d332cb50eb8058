"""The rows of workers."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_future.databases import RowsWithJobs
from django_future.models.fields import InstantField, KeyField, StoredField


class Worker(models.Model):
    """A process that runs jobs, for as long as it lives."""

    name = KeyField(_("name"), max_length=100, unique=True)
    host = models.CharField(_("host"), max_length=255)
    pid = models.PositiveIntegerField(_("process id"))
    queues = models.CharField(_("queues"), max_length=255, default="all")
    version = models.CharField(_("version"), max_length=20, default="")
    running = models.PositiveIntegerField(_("running jobs"), default=0)
    sessions = StoredField(
        _("sessions"), default=list, help_text=_("Its connections, by the server's count.")
    )
    started_at = InstantField(_("started at"))
    seen_at = InstantField(_("last seen at"))

    objects = RowsWithJobs.as_manager()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("worker")
        verbose_name_plural = _("workers")

    def __str__(self) -> str:
        return str(self.name)
