"""The row of a job that code holds as an instance."""

from collections.abc import Sequence

from django_future.models import ScheduledJob
from django_future.models.querysets import ScheduledJobQuerySet


def own_row(job: ScheduledJob, alias: str) -> ScheduledJobQuerySet:
    """Return the row of `job`, or no row if it was deleted or its transaction was rolled back."""
    rows = ScheduledJob.objects.using(alias).filter(pk=job.pk)
    # SQLite gives the id of a row that was rolled back to the next row.
    is_loaded = "created_at" not in job.get_deferred_fields()
    return rows.filter(created_at=job.created_at) if is_loaded else rows


def refresh(job: ScheduledJob, row: ScheduledJobQuerySet, fields: Sequence[str] | None) -> None:
    """Reload `fields` of `job`, or all if that is None, from `row`.

    Raises `ScheduledJob.DoesNotExist` if there is no row.
    """
    try:
        job.refresh_from_db(using=row.db, fields=fields, from_queryset=row)
    except ScheduledJob.DoesNotExist:
        raise ScheduledJob.DoesNotExist(
            f"Job {job.pk} does not exist. It was deleted, or the transaction that scheduled it "
            "was rolled back."
        ) from None
