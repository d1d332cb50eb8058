"""What an operator vouches for: rows that are signed by hand, and handlers under another name."""

from collections.abc import Iterator

from django.db.models import Q

from django_future import signatures
from django_future.databases import database_of_jobs, jobs_database
from django_future.models import ScheduledJob
from django_future.models.fields import signed_columns
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.serialization import Stored, moved
from django_future.status import Status
from django_future.store import store_for
from django_future.store.transitions import rename, sign

STORED = ("args", "kwargs", "options")


def not_signed(jobs: ScheduledJobQuerySet) -> Iterator[ScheduledJob]:
    """Yield those of `jobs` that are parked, or that wait and would be: whose signature fails."""
    alias = database_of_jobs(jobs)
    waiting = jobs.using(alias).filter(Q(status=Status.PARKED) | Q(status=Status.SCHEDULED))
    return (job for job in waiting.order_by("pk").iterator() if not job.is_signed)


def vouch_for(job: ScheduledJob) -> bool:
    """Sign what `job` was loaded with, and put it back on the calendar if it is parked.

    Tells whether that was done: nothing is written if the row has changed since. A pickle keeps
    the need for a signature of its own, because nobody can see what it does once it is loaded.

    Raises `TamperedArguments` for a pickle whose signature does not hold.
    """
    columns = _carried(job, job.callable_name)
    return sign(store_for(jobs_database(instance=job)), job, columns)


def rename_handler(job: ScheduledJob, callable_name: str) -> bool:
    """Let `job`, which waits and is signed, call `callable_name`, and tell whether that was done.

    Nothing is written if the row has changed since it was loaded.

    Raises `TamperedArguments` for a pickle whose signature does not hold, and `IntegrityError` if
    another job of the new callable has the unique key.
    """
    columns = _carried(job, callable_name) | {"callable_name": callable_name}
    return rename(store_for(jobs_database(instance=job)), job, columns)


def _carried(job: ScheduledJob, callable_name: str) -> dict[str, object]:
    columns = signed_columns(job)
    for name in STORED:
        text = columns[name]
        if isinstance(text, Stored):
            columns[name] = moved(text, (name, job.callable_name), (name, callable_name))
    columns["signature"] = signatures.sign(columns | {"callable_name": callable_name})
    return columns
