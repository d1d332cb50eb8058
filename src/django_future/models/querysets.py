"""The queryset of jobs. Its methods only read."""

from datetime import datetime
from typing import TYPE_CHECKING, Self

from django.apps import apps
from django.db import models
from django.db.models import Exists, OuterRef, Q

from django_future import clock, remedies
from django_future.content_objects import bound_to
from django_future.databases import RowsWithJobs
from django_future.exceptions import InvalidObject
from django_future.status import Status
from django_future.when import When, parse_when

if TYPE_CHECKING:
    from django_future.models import ScheduledJob  # noqa: F401 - named in a string below


class ScheduledJobQuerySet(RowsWithJobs["ScheduledJob"]):
    """Jobs, with filters by object, queue and status."""

    def for_object(self, content_object: models.Model) -> Self:
        """Return the jobs that are bound to `content_object`.

        Raises `InvalidObject` if it is no model instance, or not saved.
        """
        if not isinstance(content_object, models.Model):
            raise InvalidObject(
                f"A value of type {remedies.kind_of(content_object)} is no model instance. Pass "
                "a saved object."
            )
        if content_object.pk is None:
            raise InvalidObject(
                f"{content_object!r} is not saved, so no job is bound to it. Save it first."
            )
        return self.filter(bound_to(content_object, self.db))

    def scheduled(self) -> Self:
        """Return the jobs that wait for their time, or for a worker."""
        return self.filter(status=Status.SCHEDULED)

    def paused(self) -> Self:
        """Return the jobs that wait in a paused queue."""
        return self.scheduled().filter(self._in_paused_queue())

    def due(self, at: When = "0s") -> Self:
        """Return the jobs that may start at `at`, in the order in which they start.

        Raises `InvalidTime`.
        """
        instant = _row_time(at)
        return (
            self.scheduled()
            .exclude(self._in_paused_queue())
            .filter(Q(expires_at=None) | Q(expires_at__gt=instant), scheduled_at__lte=instant)
            .order_by("-priority", "scheduled_at", "pk")
        )

    def overdue(self, at: When = "0s") -> Self:
        """Return the jobs that still wait although they expired at `at` or before.

        Raises `InvalidTime`.
        """
        return self.scheduled().filter(expires_at__lte=_row_time(at))

    def running(self) -> Self:
        """Return the jobs that a worker has claimed and not yet finished."""
        return self.filter(status=Status.RUNNING)

    def unfinished(self) -> Self:
        """Return the jobs that wait, or that a worker has claimed."""
        return self.filter(status__in=[Status.SCHEDULED, Status.RUNNING])

    def parked(self) -> Self:
        """Return the jobs that do not run, because their signature is not valid."""
        return self.filter(status=Status.PARKED)

    def cancellable(self, *, running: bool = False) -> Self:
        """Return the jobs that wait or are parked, and with `running` also those that run."""
        return self.filter(status__in=Status.cancellable(running=running))

    def finished(self) -> Self:
        """Return the jobs whose status is final."""
        return self.filter(status__in=Status.final())

    def _in_paused_queue(self) -> Exists:
        # The models are defined after their querysets.
        paused = apps.get_model("django_future", "PausedQueue")._default_manager
        return Exists(paused.filter(queue_name=OuterRef("queue_name")))


def _row_time(at: When) -> datetime:
    return clock.to_row(parse_when(at, now=clock.now(), zone=clock.current_zone()))
