"""The questions people and workers ask of jobs. Nothing here writes."""

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

if TYPE_CHECKING:
    from django_future.models import ScheduledJob  # noqa: F401 - named in a string below


class ScheduledJobQuerySet(RowsWithJobs["ScheduledJob"]):
    """Jobs by what has become of them."""

    def for_object(self, content_object: models.Model) -> Self:
        """Jobs that are bound to `content_object`.

        Raises `InvalidObject` if it is no model instance, or not saved.
        """
        if not isinstance(content_object, models.Model):
            raise InvalidObject(
                f"A value of type {remedies.kind_of(content_object)} is no model instance. Give "
                "an object to which jobs may be bound."
            )
        if content_object.pk is None:
            raise InvalidObject(f"{content_object!r} is not saved, so no job is bound to it.")
        return self.filter(bound_to(content_object, self.db))

    def scheduled(self) -> Self:
        """Jobs that wait for their time, or for a worker."""
        return self.filter(status=Status.SCHEDULED)

    def paused(self) -> Self:
        """Jobs that wait in a queue that is paused."""
        return self.scheduled().filter(self._in_paused_queue())

    def due(self, at: datetime) -> Self:
        """Jobs that may start at the instant `at`, in the order in which they start."""
        at = clock.to_row(clock.from_row(at))
        return (
            self.scheduled()
            .exclude(self._in_paused_queue())
            .filter(Q(expires_at=None) | Q(expires_at__gt=at), scheduled_at__lte=at)
            .order_by("-priority", "scheduled_at", "pk")
        )

    def overdue(self, at: datetime) -> Self:
        """Jobs that still wait although they expired at or before the instant `at`."""
        return self.scheduled().filter(expires_at__lte=clock.to_row(clock.from_row(at)))

    def running(self) -> Self:
        """Jobs that a worker has claimed and not yet finished."""
        return self.filter(status=Status.RUNNING)

    def unfinished(self) -> Self:
        """Jobs that wait, or that a worker has claimed."""
        return self.filter(status__in=[Status.SCHEDULED, Status.RUNNING])

    def parked(self) -> Self:
        """Jobs that do not run, because their signature does not hold."""
        return self.filter(status=Status.PARKED)

    def cancellable(self, *, running: bool) -> Self:
        """Jobs that wait or are parked, and with `running` also those that run."""
        states = [Status.SCHEDULED, Status.PARKED, *([Status.RUNNING] if running else [])]
        return self.filter(status__in=states)

    def finished(self) -> Self:
        """Jobs that nothing more will happen to."""
        return self.filter(status__in=Status.final())

    def _in_paused_queue(self) -> Exists:
        # The models are defined after their querysets.
        paused = apps.get_model("django_future", "PausedQueue")._default_manager
        return Exists(paused.filter(queue_name=OuterRef("queue_name")))
