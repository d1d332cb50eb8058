"""Deletes jobs that have ended, after their retention."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from django.db import transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Count, Min, ProtectedError, RestrictedError
from django.db.models.signals import post_delete, pre_delete

from django_future import clock
from django_future.models import JobAttempt, JobProgress, ScheduledJob
from django_future.models.fields import as_parameter
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.status import Status
from django_future.store.base import BATCH_SIZE, Store
from django_future.store.contention import retry_on_contention, write_transaction

INDEX = "future_job_finished"


class _Batch(NamedTuple):
    """How many jobs were found and deleted, and when the last of them ended."""

    found: int
    deleted: int
    ended_at: datetime | None


def prune(store: Store, status: Status, ended_before: datetime) -> Iterator[int]:
    """Delete the jobs that ended in `status` before `ended_before`, and yield how many.

    Yields a number after each thousand. The oldest jobs go first, each batch in a short transaction
    of its own. Jobs that a model of the project protects stay.
    """
    # Each batch starts where the last one ended. From the beginning of the index, it would scan the
    # entries of all deleted rows, which remain until a vacuum.
    since, is_after = None, False
    while True:
        batch = _prune_batch(store, status, since, ended_before, is_after=is_after)
        if batch.deleted:
            yield batch.deleted
        if batch.found < BATCH_SIZE:
            return
        # Protected jobs that ended at the same instant may fill a batch. The next batch would find
        # them again, without an end.
        is_after = not batch.deleted and batch.ended_at == since
        since = batch.ended_at


def count_prunable(
    store: Store, status: Status, ended_before: datetime
) -> tuple[int, datetime | None]:
    """Return how many jobs `prune` would delete, and when the oldest of them ended."""
    ended = store.jobs.filter(status=status, finished_at__lt=clock.to_row(ended_before))
    found = ended.aggregate(count=Count("pk"), oldest=Min("finished_at"))
    return found["count"], found["oldest"]


@retry_on_contention
def _prune_batch(
    store: Store,
    status: Status,
    since: datetime | None,
    ended_before: datetime,
    *,
    is_after: bool,
) -> _Batch:
    # Locks up to a thousand rows, which no worker claims, until the transaction commits. A rival
    # skips them and takes the next ones. On SQLite this is the database's write lock, and a rival
    # waits for it. Deletes by primary key, for the reason given in Store._claim_priority.
    with write_transaction(store) as cursor:
        if store.plan_settings:
            cursor.execute(store.plan_settings)
        starts = [since] if since else []
        instants = [as_parameter(at, store.connection) for at in (ended_before, *starts)]
        from_start = f"AND finished_at {'>' if is_after else '>='} %s" if starts else ""
        can_skip_locked = store.connection.features.has_select_for_update_skip_locked
        cursor.execute(
            f"""
            SELECT id FROM django_future_scheduledjob {store.index_hint.format(INDEX)}
            WHERE status = %s AND finished_at < %s {from_start}
            ORDER BY finished_at LIMIT %s {"FOR UPDATE SKIP LOCKED" if can_skip_locked else ""}
            """,
            [str(status), *instants, BATCH_SIZE],
        )
        ids = [pk for (pk,) in cursor.fetchall()]
        if not ids:
            return _Batch(0, 0, since)
        newest = store.jobs.only("finished_at").get(pk=ids[-1])
        ended_at = clock.from_row(newest.__dict__["finished_at"])
        return _Batch(len(ids), _delete(store, ids, cursor), ended_at)


def _delete(store: Store, ids: list[int], cursor: CursorWrapper) -> int:
    if _has_delete_receivers_or_relations():
        jobs = store.jobs.filter(pk__in=ids).only("pk")
        try:
            with transaction.atomic(using=store.alias):
                jobs.delete()
        except (ProtectedError, RestrictedError):
            return _delete_unprotected(store, jobs)
        return len(ids)
    # SQL is several times as fast as the ORM.
    id_list = ", ".join(map(str, ids))
    for table, key in (("jobattempt", "job_id"), ("jobprogress", "job_id"), ("scheduledjob", "id")):
        delete = f"DELETE FROM django_future_{table} WHERE {key}"
        if store.deletes_singly:
            cursor.executemany(f"{delete} = %s", [(pk,) for pk in ids])
        else:
            cursor.execute(f"{delete} IN ({id_list})")
    return len(ids)


def _delete_unprotected(store: Store, jobs: ScheduledJobQuerySet) -> int:
    count = 0
    for job in jobs:
        with suppress(ProtectedError, RestrictedError), transaction.atomic(using=store.alias):
            job.delete()
            count += 1
    return count


def _has_delete_receivers_or_relations() -> bool:
    """Return whether a model of the project refers to jobs, or a signal reports each deletion."""
    fields = ScheduledJob._meta.get_fields(include_hidden=True)
    dependent = {
        field.related_model for field in fields if field.auto_created and not field.concrete
    }
    return bool(
        dependent - {JobAttempt, JobProgress}
        or pre_delete.has_listeners(ScheduledJob)
        or post_delete.has_listeners(ScheduledJob)
    )
