"""`HasScheduledJobs`, a base class of models to whose instances jobs are bound."""

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models.signals import class_prepared, pre_delete
from django.dispatch import receiver

from django_future.databases import jobs_database

if TYPE_CHECKING:
    from django_future.models.querysets import ScheduledJobQuerySet


class HasScheduledJobs(models.Model):
    """A base class of models to whose instances jobs are bound.

    If an instance is deleted, its scheduled jobs are cancelled. Jobs with `on_delete="fail"` stay
    scheduled, and fail when they are due.
    """

    class Meta:
        abstract = True

    @property
    def scheduled_jobs(self) -> "ScheduledJobQuerySet":
        """The jobs that are bound to this instance, in any status."""
        from django_future.models import ScheduledJob  # noqa: PLC0415

        alias = jobs_database(instance=self)
        return ScheduledJob.objects.using(alias).for_object(self)


@receiver(class_prepared)
def _watch_deletions(*, sender: type[models.Model], **_: Any) -> None:
    # Connect to these models only: Django deletes rows faster if no receiver is connected.
    if issubclass(sender, HasScheduledJobs):
        pre_delete.connect(_cancel_jobs, sender=sender)


def _cancel_jobs(*, instance: HasScheduledJobs, **_: Any) -> None:
    from django_future.resolution import options_if_known  # noqa: PLC0415
    from django_future.scheduling.cancel import cancel_jobs  # noqa: PLC0415

    scheduled = instance.scheduled_jobs.scheduled()
    to_cancel = [job.pk for job in scheduled if options_if_known(job).on_delete == "cancel"]
    if to_cancel:
        reason = f"The content object, {instance._meta.label_lower} {instance.pk}, was deleted."
        cancel_jobs(scheduled.filter(pk__in=to_cancel), reason=reason)
