"""The rows of recurring jobs, and of their runs."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Exists, F, Max, OuterRef, Q, QuerySet

from django_future import clock
from django_future.models import RecurringJob, ScheduledJob
from django_future.models.fields import as_parameter
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.status import Status
from django_future.store.base import Store

BATCH_SIZE = 100  # recurring jobs that one transaction handles
INDEX = "future_recurring_due"

# A parked run is not counted: it waits for an operator, and would block the next ones for ever.
_UNFINISHED = (Status.SCHEDULED, Status.RUNNING)


class Heads(NamedTuple):
    """The earliest next run, and the earliest run that waits for the end of the last one."""

    next_run_at: datetime | None
    queued_at: datetime | None


def heads(store: Store) -> Heads:
    """Return the heads of both indexes, in one statement that reads two rows."""
    # In the order of the index, so that no planner prefers to read the table.
    one_by_one = " UNION ALL ".join(
        f"""
        SELECT * FROM (
            SELECT id, next_run_at, queued_at FROM django_future_recurringjob
            WHERE {column} IS NOT NULL ORDER BY {column} LIMIT 1
        ) AS first_by_{column}
        """
        for column in Heads._fields
    )
    found = list(_rows(store).raw(one_by_one))
    return Heads(
        min((clock.from_row(row.next_run_at) for row in found if row.next_run_at), default=None),
        min((clock.from_row(row.queued_at) for row in found if row.queued_at), default=None),
    )


def next_at(store: Store) -> datetime | None:
    """Return the earliest next run of recurring jobs without an error; None if there is none."""
    rows = _rows(store).filter(next_run_at__isnull=False, error="").order_by("next_run_at", "pk")
    first = next(iter(rows.values_list("next_run_at", flat=True)[:1]), None)
    return first and clock.from_row(first)


def lock_due(
    store: Store, until: datetime, *, held: Collection[int], failing: Collection[int]
) -> list[RecurringJob]:
    """Lock and return recurring jobs whose next run is not after `until`, the earliest first.

    Those with an id in `held` are left out, and those in `failing` while their error is recorded.
    """
    # Locks the returned rows until the transaction ends. A rival skips them and takes the next
    # ones. On SQLite, the transaction holds the write lock, and a rival waits for it.
    lock = "" if store.write_lock else "FOR UPDATE SKIP LOCKED"
    with store.connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT id FROM django_future_recurringjob {store.index_hint.format(INDEX)}
            WHERE next_run_at <= %s AND id NOT IN ({_listed(held)})
            AND (error = '' OR id NOT IN ({_listed(failing)}))
            ORDER BY next_run_at, id LIMIT {BATCH_SIZE} {lock}
            """,
            [as_parameter(until, store.connection)],
        )
        found = [pk for (pk,) in cursor.fetchall()]
    rows = _rows(store).in_bulk(found)
    return [rows[pk] for pk in found]


def lock_waiting(store: Store) -> list[RecurringJob]:
    """Lock and return recurring jobs with a waiting run whose last run has ended."""
    ended = _rows(store).filter(
        ~Exists(_unfinished_of(store, OuterRef("pk"), OuterRef("last_run_at"))),
        queued_at__isnull=False,
        error="",
    )
    ids = list(ended.order_by("queued_at").values_list("pk", flat=True)[:BATCH_SIZE])
    # Locks the rows by primary key until the transaction ends. A rival skips them, or has changed
    # them before, and then they no longer match.
    waiting = _rows(store).filter(pk__in=ids, queued_at__isnull=False)
    return list(_locked(store, waiting, skip_locked=True)) if ids else []


def lock_one(store: Store, **key: Any) -> RecurringJob | None:
    """Lock and return one recurring job; None if it does not exist."""
    # A rival waits until the transaction ends.
    return next(iter(_locked(store, _rows(store).filter(**key))), None)


def has_unfinished_run(store: Store, recurring: RecurringJob) -> bool:
    """Return whether the last run, or one that was triggered, has not ended."""
    return _unfinished_of(store, recurring.pk, recurring.last_run_at).exists()


def advance(store: Store, recurring: RecurringJob, **values: Any) -> bool:
    """Write `values` if no other process has moved the next run; return whether this one has."""
    row = _rows(store).filter(
        pk=recurring.pk, next_run_at=recurring.next_run_at, queued_at=recurring.queued_at
    )
    return bool(row.update(**values))


def record_error(store: Store, recurring: RecurringJob, error: str) -> bool:
    """Record why a recurring job cannot be followed; False if the same error is recorded."""
    return bool(_rows(store).filter(pk=recurring.pk).exclude(error=error).update(error=error))


def existing_runs(
    store: Store, ids: Collection[int], since: datetime
) -> set[tuple[int | None, datetime]]:
    """Return the id of the recurring job and the instant of each run from `since` on."""
    runs = store.jobs.filter(recurring_id__in=ids, recurs_at__gte=clock.to_row(since))
    return {
        (recurring_id, clock.from_row(recurs_at))
        for recurring_id, recurs_at in runs.values_list("recurring_id", "recurs_at")
        if recurs_at
    }


def take_back(
    store: Store, recurring: RecurringJob, since: datetime | None = None
) -> list[datetime]:
    """Delete the runs that have not started, for instants from `since` on; return the instants."""
    runs = _not_started(store, recurring)
    if since is not None:
        runs = runs.filter(recurs_at__gte=clock.to_row(since))
    return _delete_locked(store, runs)


def take_back_ahead(store: Store, recurring: RecurringJob, until: datetime) -> int:
    """Delete the runs for instants before `until` that exist since before their instant.

    Returns how many. Runs that have started stay, and those that were made up for or backfilled.
    """
    ahead = _not_started(store, recurring).filter(
        recurs_at__lt=clock.to_row(until), created_at__lte=F("recurs_at")
    )
    return len(_delete_locked(store, ahead))


def broken(store: Store, *, limit: int) -> list[RecurringJob]:
    """Return up to `limit` recurring jobs with an error."""
    rows = _rows(store).exclude(error="").order_by("name")
    return list(rows.only("name", "callable_name", "next_run_at", "error")[:limit])


def last_run_at(store: Store, recurring: RecurringJob) -> datetime | None:
    """Return the instant of the latest run whose row exists, as a row stores it."""
    runs = store.jobs.filter(recurring_id=recurring.pk, recurs_at__isnull=False)
    latest: datetime | None = runs.aggregate(latest=Max("recurs_at"))["latest"]
    return latest


def _not_started(store: Store, recurring: RecurringJob) -> ScheduledJobQuerySet:
    return store.jobs.filter(
        recurring_id=recurring.pk, recurs_at__isnull=False, status=Status.SCHEDULED, attempts=0
    )


def _delete_locked(store: Store, runs: ScheduledJobQuerySet) -> list[datetime]:
    # Locks the rows until the transaction ends. A claim skips them. If a rival has just claimed
    # one, this waits, and the row is no longer scheduled.
    locked = runs if store.write_lock else runs.select_for_update()
    instants = dict(locked.values_list("pk", "recurs_at"))
    store.jobs.filter(pk__in=instants).delete()
    return sorted(clock.from_row(instant) for instant in instants.values() if instant)


def _unfinished_of(store: Store, pk: Any, last_run_at: Any) -> QuerySet[ScheduledJob]:
    runs = store.jobs.filter(recurring_id=pk, status__in=_UNFINISHED)
    triggered = Q(recurs_at__isnull=True)
    return runs.filter(triggered | Q(recurs_at__gte=last_run_at) if last_run_at else triggered)


def _rows(store: Store) -> QuerySet[RecurringJob]:
    return RecurringJob.objects.using(store.alias)


def _locked(
    store: Store, rows: QuerySet[RecurringJob], *, skip_locked: bool = False
) -> QuerySet[RecurringJob]:
    return rows if store.write_lock else rows.select_for_update(skip_locked=skip_locked)


def _listed(ids: Collection[int]) -> str:
    return ", ".join(map(str, sorted(ids))) or "0"
