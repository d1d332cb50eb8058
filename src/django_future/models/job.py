"""The model of a job."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.db import models
from django.db.models import Q
from django.db.models.base import ModelState
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_future import clock, progress, signatures
from django_future.databases import jobs_database
from django_future.models.columns import JobColumns
from django_future.models.fields import attribute, without_decoding
from django_future.models.indexes import PartialIndex
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.options import MAX_PRIORITY, MIN_PRIORITY, UNSET, Unset
from django_future.status import Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Unpack

    from django_future.databases import RowsWithJobs
    from django_future.handlers import Target
    from django_future.models.history import JobAttempt, JobProgress
    from django_future.scheduling.builder import Options
    from django_future.when import When

SCHEDULED = Q(status=Status.SCHEDULED.value)
FAILED = Q(status=Status.FAILED.value)
SIGNED_COLUMNS = frozenset({*signatures.SIGNED, "signature"})
SIGNED_FIELDS = SIGNED_COLUMNS | {"content_type"}
# A row that is created later than this after its scheduled time was scheduled for the past.
MAX_INSERT_DELAY = timedelta(seconds=10)


class ScheduledJob(JobColumns):
    """A scheduled call: a callable, its arguments, its time, and its result."""

    # Attributes that Django adds, declared for type checkers without a plugin for Django.
    recurring_id: int | None
    failure_note_id: int | None
    failed_attempts: "RowsWithJobs[JobAttempt]"
    current_progress: "JobProgress"
    objects: ClassVar[ScheduledJobQuerySet] = attribute(ScheduledJobQuerySet.as_manager())

    # Whether code scheduled this call. False if the job was loaded without all signed columns, or
    # with a signature that is not valid.
    is_signed = True

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("scheduled job")
        verbose_name_plural = _("scheduled jobs")
        permissions = [("operate_scheduledjob", _("Can run, move, cancel and retry jobs"))]
        indexes = [
            PartialIndex(
                where=SCHEDULED,
                lead=("status",),
                fields=["-priority", "scheduled_at", "id"],
                name="future_job_due",
            ),
            PartialIndex(
                where=SCHEDULED,
                lead=("status",),
                fields=["queue_name", "-priority", "scheduled_at", "id"],
                name="future_job_queue",
            ),
            PartialIndex(
                where=SCHEDULED & Q(expires_at__isnull=False),
                lead=("status",),
                fields=["expires_at"],
                name="future_job_expires",
            ),
            # For the lists of the admin, which read them backward. PostgreSQL fills the pages of an
            # ascending index, because ids grow.
            models.Index(fields=["status", "id"], name="future_job_status"),
            models.Index(fields=["callable_name", "id"], name="future_job_handler"),
            models.Index(fields=["queue_name", "id"], name="future_job_queue_id"),
            # Many jobs have no object, and each index slows down every claim and every completion.
            PartialIndex(
                where=Q(object_id__isnull=False),
                fields=["content_type", "object_id"],
                name="future_job_object",
            ),
            PartialIndex(
                where=Q(unique_key__isnull=False),
                fields=["unique_key", "callable_name"],
                name="future_job_unique",
                is_unique=True,
            ),
            # One run for each instant of a recurring job.
            PartialIndex(
                where=Q(recurring__isnull=False),
                fields=["recurring", "recurs_at"],
                name="future_job_recurring",
                is_unique=True,
            ),
            # For groups of failures. On a database without partial indexes, a claim and a
            # completion change none of these columns.
            PartialIndex(
                where=FAILED,
                fields=["failure_note", "error_kind", "callable_name", "id"],
                name="future_job_failures",
            ),
            # For pruning.
            PartialIndex(
                where=Q(finished_at__isnull=False),
                fields=["status", "finished_at"],
                name="future_job_finished",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=Status.values), name="future_job_status_known"
            ),
            models.CheckConstraint(
                condition=Q(priority__range=(MIN_PRIORITY, MAX_PRIORITY)),
                name="future_job_priority_in_range",
            ),
        ]

    def __str__(self) -> str:
        local = clock.from_row(self.scheduled_at).astimezone(clock.current_zone())
        details = {"callable": self.callable_name, "time": f"{local:%Y-%m-%d %H:%M:%S}"}
        return gettext("%(callable)s at %(time)s") % details

    def __repr__(self) -> str:
        return f"<ScheduledJob ({self.status}) callable={self.callable_name!r}>"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the job, and sign it if a signed column is saved."""
        names = kwargs.get("update_fields")
        if names and not {*names}.isdisjoint(SIGNED_FIELDS):
            kwargs["update_fields"] = {*names, *SIGNED_FIELDS}
        super().save(*args, **kwargs)

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Self:
        """Return the job of a row, and check its signature."""
        job = super().from_db(*args, **kwargs)
        job._check_signature()
        return job

    @classmethod
    def from_values(
        cls, values: dict[str, Any], alias: str, *, is_new: bool = False
    ) -> "ScheduledJob":
        """Return a job with just `values`; other fields are loaded on access.

        This takes a fraction of the time of `ScheduledJob()`. Workers create thousands of jobs
        a second.
        """
        job = cls.__new__(cls)
        job.__dict__.update(values)
        job._state = ModelState()
        job._state.adding, job._state.db = is_new, alias
        return job

    @property
    def lifetime(self) -> timedelta | None:
        """The time from when the job was first due until it expires; None if it never expires.

        For a job that was scheduled for the past, the time since it was created.
        """
        if self.expires_at is None:
            return None
        if missing := {"first_due_at", "created_at"} & self.get_deferred_fields():
            self.refresh_from_db(fields=list(missing))
        due_at = clock.from_row(self.first_due_at or self.scheduled_at)
        created_at: datetime | None = self.created_at  # None in a job that is not saved
        if created_at and clock.from_row(created_at) - due_at > MAX_INSERT_DELAY:
            due_at = clock.from_row(created_at)
        return clock.from_row(self.expires_at) - due_at

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        """Reload the row from the database of the job, even if a stored value is unreadable."""
        if not args and not kwargs.get("using"):
            kwargs["using"] = jobs_database(instance=self)
        names = args[1] if len(args) > 1 else kwargs.get("fields")
        with without_decoding():
            super().refresh_from_db(*args, **kwargs)
            if names is None:
                self._check_signature()
            elif not {*names}.isdisjoint(SIGNED_FIELDS):
                self.is_signed = False

    def reschedule(
        self,
        when: "When",
        callable: "Target | None" = None,  # noqa: A002
        content_object: models.Model | Unset | None = UNSET,
        expires: "When | Unset | None" = UNSET,
        args: "Sequence[Any] | None" = None,
        kwargs: "Mapping[str, Any] | None" = None,
        **options: "Unpack[Options]",
    ) -> "ScheduledJob":
        """Schedule a new job like this one, with the given changes; see `reschedule_job`."""
        from django_future.scheduling.jobs import reschedule_job  # noqa: PLC0415

        return reschedule_job(
            self, when, callable, content_object, expires, args, kwargs, **options
        )

    def cancel(self, *, running: bool = False, reason: str = "") -> None:
        """Cancel this job, with `running` also while it runs; see `cancel_job`."""
        from django_future.scheduling.cancel import cancel_job  # noqa: PLC0415

        cancel_job(self, running=running, reason=reason)

    def _check_signature(self) -> None:
        columns = self.__dict__
        is_whole = all(name in columns for name in SIGNED_COLUMNS)
        self.is_signed = is_whole and signatures.is_valid(columns)

    def progress(self, done: int, total: int | None = None, message: str = "") -> None:
        """Report the progress of this job from its handler, visible while the job runs.

        Raises `InvalidProgress`.
        """
        progress.report_progress(self, done, total, message)

    def log(self, text: str) -> None:
        """Append lines to the log of this job from its handler, visible while the job runs.

        Raises `InvalidProgress`.
        """
        progress.append_log(self, text)

    def move(self, when: "When") -> None:
        """Schedule this job for another time; see `move_job`."""
        from django_future.scheduling.move import move_job  # noqa: PLC0415

        move_job(self, when)

    def run_now(self) -> None:
        """Make this job due now; see `run_job_now`."""
        from django_future.scheduling.move import run_job_now  # noqa: PLC0415

        run_job_now(self)

    def retry(self) -> None:
        """Schedule this job again, due now, if it ended without success; see `retry_job`."""
        from django_future.scheduling.retry import retry_job  # noqa: PLC0415

        retry_job(self)
