"""Acts on jobs with an entry in the history of each job that changes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.http import HttpRequest
from django.utils.functional import Promise

from django_future.models import ScheduledJob
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.store import Store, store_for
from django_future.store.contention import retry_on_contention, write_transaction

BATCH_SIZE = 500  # jobs in one transaction


class LoggedAct(NamedTuple):
    """Something that can be done to jobs, and what a user reads about it.

    `apply` changes each job that `fits` accepts. `entry` is the text in the history of a job.
    """

    apply: Callable[[ScheduledJobQuerySet], int]
    fits: Callable[[ScheduledJob], bool]
    entry: str | Promise
    done: Any
    untouched: Any


def perform(act: LoggedAct, ids: Sequence[int], request: HttpRequest, database: str) -> None:
    """Act on the jobs with these ids, and show how many changed and how many did not."""
    store = store_for(database)
    count = sum(_perform_on_batch(store, batch, act, request) for batch in batches(ids))
    if count:
        messages.success(request, act.done % {"count": count})
    if untouched := len(ids) - count:
        messages.warning(request, act.untouched % {"count": untouched})


def batches(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yield the ids in parts for one transaction each."""
    for start in range(0, len(ids), BATCH_SIZE):
        yield ids[start : start + BATCH_SIZE]


def log_changes(request: HttpRequest, jobs: Iterable[ScheduledJob], entry: str | Promise) -> None:
    """Write an entry into the history of each job."""
    user_id: Any = request.user.pk
    LogEntry.objects.log_actions(user_id, list(jobs), CHANGE, change_message=str(entry))


@retry_on_contention
def _perform_on_batch(
    store: Store, ids: Sequence[int], act: LoggedAct, request: HttpRequest
) -> int:
    # Locks the rows in the order of their keys, so that the history names exactly the jobs that
    # change. A rival waits, and then finds that they have changed.
    with write_transaction(store):
        # By primary key only. With the status in the condition, PostgreSQL may read all failures.
        rows = store.jobs.filter(pk__in=ids).select_for_update().order_by("pk")
        columns = ("callable_name", "scheduled_at", "status", "failure_note")
        jobs = [job for job in rows.only(*columns) if act.fits(job)]
        if not jobs:
            return 0
        count = act.apply(store.jobs.filter(pk__in=[job.pk for job in jobs]))
        log_changes(request, jobs, act.entry)
    return count
