"""Models whose instances know their jobs, and take them off the calendar when they are deleted."""

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models.signals import class_prepared, pre_delete
from django.dispatch import receiver

from django_future.databases import jobs_database

if TYPE_CHECKING:
    from django_future.models.querysets import ScheduledJobQuerySet


class HasScheduledJobs(models.Model):
    """A base for models to whose instances jobs are bound.

    When an instance is deleted, its jobs that wait are cancelled with it, unless their `on_delete`
    is "fail": those are left, to fail at their time.
    """

    class Meta:
        abstract = True

    @property
    def scheduled_jobs(self) -> "ScheduledJobQuerySet":
        """The jobs that are bound to this instance, whatever has become of them."""
        from django_future.models import ScheduledJob  # noqa: PLC0415

        alias = jobs_database(instance=self)
        return ScheduledJob.objects.using(alias).for_object(self)


@receiver(class_prepared)
def _watch_deletions(*, sender: type[models.Model], **_: Any) -> None:
    # Of these models only: Django deletes rows of others unseen, and faster, while nobody listens.
    if issubclass(sender, HasScheduledJobs):
        pre_delete.connect(_cancel_jobs, sender=sender)


def _cancel_jobs(*, instance: HasScheduledJobs, **_: Any) -> None:
    from django_future.resolution import options_if_known  # noqa: PLC0415
    from django_future.scheduling.cancel import cancel_jobs  # noqa: PLC0415

    waiting = instance.scheduled_jobs.scheduled()
    unwanted = [job.pk for job in waiting if options_if_known(job).on_delete == "cancel"]
    if unwanted:
        reason = f"The content object, {instance._meta.label_lower} {instance.pk}, was deleted."
        cancel_jobs(waiting.filter(pk__in=unwanted), reason=reason)
