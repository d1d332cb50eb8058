"""Signs rows by hand, and gives jobs the new name of their handler."""

from collections.abc import Iterator

from django.db.models import Q

from django_future import signatures
from django_future.databases import database_of_jobs, jobs_database
from django_future.models import ScheduledJob
from django_future.models.fields import signed_columns
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.serialization import Stored, sign_pickles
from django_future.status import Status
from django_future.store import store_for
from django_future.store.transitions import rename, sign

_STORED_FIELDS = ("args", "kwargs", "options")


def jobs_to_sign(jobs: ScheduledJobQuerySet) -> Iterator[ScheduledJob]:
    """Yield the parked ones of `jobs`, and the scheduled ones whose signature is not valid.

    The signature of a parked job is valid again if its key has become a fallback in the meantime.
    """
    alias = database_of_jobs(jobs)
    waiting = jobs.using(alias).filter(Q(status=Status.PARKED) | Q(status=Status.SCHEDULED))
    return (
        job
        for job in waiting.order_by("pk").iterator()
        if job.status == Status.PARKED or not job.is_signed
    )


def sign_job(job: ScheduledJob) -> bool:
    """Sign the row of `job` and, if it is parked, schedule it. Return whether the row was signed.

    Nothing is written if the row has changed since it was loaded. A pickle must have a valid
    signature of its own, because an operator cannot see what it does when it is loaded.

    Raises `TamperedArguments` for a pickle whose signature is not valid.
    """
    columns = _signed_row(job, job.callable_name)
    return sign(store_for(jobs_database(instance=job)), job, columns)


def rename_handler(job: ScheduledJob, callable_name: str) -> bool:
    """Let the scheduled, signed `job` call `callable_name`, and return whether it was renamed.

    Nothing is written if the row has changed since it was loaded.

    Raises `TamperedArguments` for a pickle whose signature is not valid, and `IntegrityError` if
    another job of the new callable has the unique key.
    """
    columns = _signed_row(job, callable_name) | {"callable_name": callable_name}
    return rename(store_for(jobs_database(instance=job)), job, columns)


def _signed_row(job: ScheduledJob, callable_name: str) -> dict[str, object]:
    columns = signed_columns(job)
    for name in _STORED_FIELDS:
        text = columns[name]
        if isinstance(text, Stored):
            columns[name] = sign_pickles(text, (name, job.callable_name), (name, callable_name))
    columns["signature"] = signatures.sign(columns | {"callable_name": callable_name})
    return columns
