"""The model of the numbers of jobs that ended in one minute."""

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_future.databases import RowsWithJobs
from django_future.models.fields import InstantField, attribute
from django_future.models.key_field import KeyField
from django_future.options import MAX_QUEUE_NAME_LENGTH
from django_future.rows import TypedModel


def _count() -> models.PositiveIntegerField:  # type: ignore[type-arg]
    return models.PositiveIntegerField(default=0)


class JobStatistics(TypedModel):
    """How many jobs of one queue ended in one minute, and how late they had started.

    Workers count in memory, and add their numbers every few seconds. A worker that is killed loses
    its last ones. The columns `late_` count the jobs by their lateness, each up to its name.
    """

    id: int
    minute_at: datetime = attribute(InstantField(_("minute")))
    queue_name: str = attribute(KeyField(_("queue"), max_length=MAX_QUEUE_NAME_LENGTH))

    complete: int = attribute(_count())
    failed: int = attribute(_count())
    expired: int = attribute(_count())
    cancelled: int = attribute(_count())

    late_10ms: int = attribute(_count())
    late_50ms: int = attribute(_count())
    late_250ms: int = attribute(_count())
    late_1s: int = attribute(_count())
    late_5s: int = attribute(_count())
    late_30s: int = attribute(_count())
    late_2min: int = attribute(_count())
    late_10min: int = attribute(_count())
    late_1h: int = attribute(_count())
    late_longer: int = attribute(_count())

    objects: "ClassVar[RowsWithJobs[JobStatistics]]" = attribute(RowsWithJobs.as_manager())

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("statistics")
        verbose_name_plural = _("statistics")
        constraints = [
            models.UniqueConstraint(
                fields=["minute_at", "queue_name"], name="future_statistics_minute"
            )
        ]

    def __str__(self) -> str:
        return f"{self.queue_name} at {self.minute_at}"
