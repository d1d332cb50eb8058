"""The failed attempts and the progress of a job."""

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_future.databases import RowsWithJobs
from django_future.models.fields import InstantField, attribute
from django_future.models.job import ScheduledJob
from django_future.models.key_field import KeyField
from django_future.rows import TypedModel


class JobAttempt(TypedModel):
    """A failed attempt at a job."""

    id: int
    job_id: int
    # A constraint in the database would slow down each claim and the pruning of jobs.
    job: ScheduledJob = attribute(
        models.ForeignKey(
            ScheduledJob, models.CASCADE, related_name="failed_attempts", db_constraint=False
        )
    )
    number: int = attribute(models.PositiveIntegerField(_("attempt")))
    worker: str = attribute(KeyField(_("worker"), max_length=100))
    started_at: datetime = attribute(InstantField(_("started at")))
    finished_at: datetime = attribute(InstantField(_("finished at")))
    exception: str = attribute(models.CharField(_("exception"), max_length=255))
    traceback: str = attribute(models.TextField(_("traceback")))

    objects: "ClassVar[RowsWithJobs[JobAttempt]]" = attribute(RowsWithJobs.as_manager())

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("failed attempt")
        verbose_name_plural = _("failed attempts")

    def __str__(self) -> str:
        return f"{self.number}: {self.exception}"


class JobProgress(TypedModel):
    """The progress and the log that the handler of a job has reported."""

    job_id: int
    job: ScheduledJob = attribute(
        models.OneToOneField(
            ScheduledJob,
            models.CASCADE,
            primary_key=True,
            related_name="current_progress",
            db_constraint=False,
        )
    )
    done: int | None = attribute(models.BigIntegerField(_("done"), null=True, blank=True))
    total: int | None = attribute(models.BigIntegerField(_("total"), null=True, blank=True))
    message: str = attribute(models.CharField(_("message"), max_length=255, default="", blank=True))
    log: str = attribute(models.TextField(_("log"), default="", blank=True))
    updated_at: datetime = attribute(InstantField(_("updated at")))

    objects: "ClassVar[RowsWithJobs[JobProgress]]" = attribute(RowsWithJobs.as_manager())

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("progress")
        verbose_name_plural = _("progress of jobs")

    def __str__(self) -> str:
        return f"{self.done}/{self.total} {self.message}"
