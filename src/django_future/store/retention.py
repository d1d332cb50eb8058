"""Jobs that have ended, and are kept no longer."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from django.db import transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Count, Min, ProtectedError, RestrictedError
from django.db.models.signals import post_delete, pre_delete

from django_future import clock
from django_future.models import JobAttempt, JobProgress, ScheduledJob
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.status import Status
from django_future.store.base import BATCH, Store
from django_future.store.contention import retry_on_contention, write_transaction

INDEX = "future_job_finished"


def prune(store: Store, status: Status, ended_before: datetime) -> Iterator[int]:
    """Delete what ended in `status` before an instant, and yield how many after each thousand.

    The oldest go first. Each step is a short transaction of its own.
    """
    # From where the last step ended, not from the beginning: an index holds what was deleted until
    # it is vacuumed, and to pass ever more of that would take ever longer.
    ended_since = None
    while True:
        count, ended_since = _prune_batch(store, status, ended_since, ended_before)
        if count:
            yield count
        if count < BATCH:
            return


def count_prunable(
    store: Store, status: Status, ended_before: datetime
) -> tuple[int, datetime | None]:
    """Return how many jobs `prune` would delete, and when the oldest of them ended."""
    ended = store.jobs.filter(status=status, finished_at__lt=clock.to_row(ended_before))
    found = ended.aggregate(count=Count("pk"), oldest=Min("finished_at"))
    return found["count"], found["oldest"]


@retry_on_contention
def _prune_batch(
    store: Store, status: Status, ended_since: datetime | None, ended_before: datetime
) -> tuple[int, datetime | None]:
    # Locks a thousand rows at most, which nobody claims any more, until they are deleted a moment
    # later; a rival skips them and takes the next ones. On SQLite it is the database's write lock,
    # and a rival waits for it. Written by primary key, for the reason given at Store._claim_level.
    with write_transaction(store) as cursor:
        if store.plan_settings:
            cursor.execute(store.plan_settings)
        since = [ended_since] if ended_since else []
        lock = store.connection.features.has_select_for_update_skip_locked
        cursor.execute(
            f"""
            SELECT id FROM django_future_scheduledjob {store.index_hint.format(INDEX)}
            WHERE status = %s AND finished_at < %s {"AND finished_at >= %s" if since else ""}
            ORDER BY finished_at LIMIT %s {"FOR UPDATE SKIP LOCKED" if lock else ""}
            """,
            [str(status), *map(store.parameter, [ended_before, *since]), BATCH],
        )
        ids = [pk for (pk,) in cursor.fetchall()]
        if ids:
            newest = store.jobs.only("finished_at").get(pk=ids[-1])
            ended_since = clock.from_row(newest.__dict__["finished_at"])
            _delete(store, ids, cursor)
    return len(ids), ended_since


def _delete(store: Store, ids: list[int], cursor: CursorWrapper) -> None:
    if _is_deleting_watched():
        jobs = store.jobs.filter(pk__in=ids).only("pk")
        try:
            with transaction.atomic(using=store.alias):
                jobs.delete()
        except (ProtectedError, RestrictedError):
            _delete_what_is_not_protected(store, jobs)
        return
    # Several times as fast.
    these = ", ".join(map(str, ids))
    for table, key in (("jobattempt", "job_id"), ("jobprogress", "job_id"), ("scheduledjob", "id")):
        delete = f"DELETE FROM django_future_{table} WHERE {key}"
        if store.deletes_singly:
            cursor.executemany(f"{delete} = %s", [(pk,) for pk in ids])
        else:
            cursor.execute(f"{delete} IN ({these})")


def _delete_what_is_not_protected(store: Store, jobs: ScheduledJobQuerySet) -> None:
    for job in jobs:
        with suppress(ProtectedError, RestrictedError), transaction.atomic(using=store.alias):
            job.delete()


def _is_deleting_watched() -> bool:
    """Tell whether a project hangs rows of its own on jobs, or is told of each that is deleted."""
    relations = ScheduledJob._meta.get_fields(include_hidden=True)
    dependent = {one.related_model for one in relations if one.auto_created and not one.concrete}
    return bool(
        dependent - {JobAttempt, JobProgress}
        or pre_delete.has_listeners(ScheduledJob)
        or post_delete.has_listeners(ScheduledJob)
    )
