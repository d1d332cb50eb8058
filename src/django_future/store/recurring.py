"""The rows of recurring jobs, and of their runs."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from django_future import clock
from django_future.models import RecurringJob
from django_future.models.fields import as_parameter
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.status import Status
from django_future.store.base import Store

BATCH_SIZE = 100  # recurring jobs that one transaction handles
# Where all writers wait for one lock, a batch holds it for about 20 ms.
BATCH_SIZE_WITH_WRITE_LOCK = 10
INDEX = "future_recurring_due"
# What the materialisation changes in a row.
MOVED = (
    "runs", "missed_runs", "skipped_runs", "last_run_at", "next_run_at", "queued_at", "error",
    "signature",
)  # fmt: skip

# A parked run is not counted: it waits for an operator, and would block the next ones for ever.
_UNFINISHED = (Status.SCHEDULED, Status.RUNNING)
_IS_BLOCKED = Q(last_status__in=_UNFINISHED) | Q(triggered_status__in=_UNFINISHED)


def batch_size(store: Store) -> int:
    """Return how many recurring jobs one transaction handles."""
    return BATCH_SIZE_WITH_WRITE_LOCK if store.write_lock else BATCH_SIZE


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
            ORDER BY next_run_at, id LIMIT {batch_size(store)} {lock}
            """,
            [as_parameter(until, store.connection)],
        )
        found = [pk for (pk,) in cursor.fetchall()]
    rows = _rows(store).in_bulk(found)
    return [rows[pk] for pk in found]


def lock_waiting(store: Store) -> list[RecurringJob]:
    """Lock and return recurring jobs with a waiting run whose last run has ended."""
    ended = _with_run_states(store).filter(~_IS_BLOCKED, queued_at__isnull=False, error="")
    ids = list(ended.order_by("queued_at").values_list("pk", flat=True)[: batch_size(store)])
    # Locks the rows by primary key until the transaction ends. A rival skips them, or has changed
    # them before, and then they no longer match.
    waiting = _rows(store).filter(pk__in=ids, queued_at__isnull=False)
    return list(_locked(store, waiting, skip_locked=True)) if ids else []


def lock_one(store: Store, **key: Any) -> RecurringJob | None:
    """Lock and return one recurring job; None if it does not exist."""
    # A rival waits until the transaction ends.
    return next(iter(_locked(store, _rows(store).filter(**key))), None)


def blocked(store: Store, ids: Collection[int]) -> set[int]:
    """Return those of `ids` whose last run, or one that was triggered, has not ended."""
    rows = _with_run_states(store).filter(_IS_BLOCKED, pk__in=ids)
    return set(rows.values_list("pk", flat=True)) if ids else set()


def advance(store: Store, recurring: RecurringJob, values: Mapping[str, Any]) -> bool:
    """Write `values` of `MOVED` if no other process has moved the next run; return whether it did.

    Columns without a value stay as they are in `recurring`.
    """
    # As text, because Django would need several times as long to build it as to execute it.
    found = [recurring.next_run_at, recurring.queued_at]
    is_same = " AND ".join(
        f"{name} IS NULL" if value is None else f"{name} = %s"
        for name, value in zip(("next_run_at", "queued_at"), found, strict=True)
    )
    new = [values.get(name, vars(recurring)[name]) for name in MOVED]
    with store.connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE django_future_recurringjob SET {", ".join(f"{name} = %s" for name in MOVED)}
            WHERE id = %s AND {is_same}
            """,
            [
                *(_parameter(store, value) for value in new),
                recurring.pk,
                *(_parameter(store, value) for value in found if value is not None),
            ],
        )
        return bool(cursor.rowcount)


def record_error(store: Store, recurring: RecurringJob, error: str) -> bool:
    """Record why a recurring job cannot be followed; False if the same error is recorded."""
    return bool(_rows(store).filter(pk=recurring.pk).exclude(error=error).update(error=error))


def existing_runs(
    store: Store, instants: Mapping[int, Sequence[datetime]]
) -> set[tuple[int | None, datetime]]:
    """Return the id of the recurring job and the instant of each run.

    `instants` are those of each id. Between the earliest and the latest, others are returned, too.
    """
    ids: dict[tuple[datetime, datetime], list[int]] = defaultdict(list)
    for pk, found in instants.items():
        ids[min(found), max(found)].append(pk)
    # One condition for each span, so that the old runs of the others are not read.
    is_wanted = Q(pk__in=[])
    for (first, last), pks in ids.items():
        span = [clock.to_row(first), clock.to_row(last)]
        is_wanted |= Q(recurring_id__in=pks, recurs_at__range=span)
    runs = store.jobs.filter(is_wanted).values_list("recurring_id", "recurs_at")
    return {(pk, clock.from_row(recurs_at)) for pk, recurs_at in runs if recurs_at}


def take_back(
    store: Store, recurring: RecurringJob, since: datetime | None = None
) -> list[datetime]:
    """Delete the runs that have not started, for instants from `since` on; return the instants."""
    runs = _not_started(store, recurring)
    if since is not None:
        runs = _scheduled_among(store, recurring, recurs_at__gte=clock.to_row(since))
    return _delete_locked(store, runs)


def take_back_ahead(store: Store, recurring: RecurringJob, since: datetime, until: datetime) -> int:
    """Delete the runs for instants from `since` to before `until`, if they existed before it.

    Returns how many. Runs that have started stay, and those that were made up for or backfilled.
    """
    ahead = _scheduled_among(
        store,
        recurring,
        recurs_at__gte=clock.to_row(since),
        recurs_at__lt=clock.to_row(until),
        created_at__lte=F("recurs_at"),
    )
    return len(_delete_locked(store, ahead))


def broken(store: Store, *, limit: int) -> list[RecurringJob]:
    """Return up to `limit` recurring jobs with an error."""
    rows = _rows(store).exclude(error="").order_by("name")
    return list(rows.only("name", "callable_name", "next_run_at", "error")[:limit])


def next_and_broken(store: Store, limit: int) -> list[RecurringJob]:
    """Return up to `limit` recurring jobs with the earliest next runs, and as many with an error.

    This is one statement.
    """
    columns = "id, name, callable_name, next_run_at, queue_name, error"
    table = "SELECT {columns} FROM django_future_recurringjob {hint} WHERE"
    by_time = table.format(columns=columns, hint=store.index_hint.format(INDEX))
    by_id = table.format(columns=columns, hint="")
    return list(
        _rows(store).raw(
            f"""
            SELECT * FROM (
                {by_time} next_run_at IS NOT NULL AND error = '' ORDER BY next_run_at LIMIT %s
            ) AS following
            UNION ALL
            SELECT * FROM ({by_id} error <> '' ORDER BY id LIMIT %s) AS broken
            """,
            [limit, limit],
        )
    )


def last_run_at(store: Store, recurring: RecurringJob) -> datetime | None:
    """Return the instant of the latest run whose row exists, as a row stores it."""
    runs = store.jobs.filter(recurring_id=recurring.pk, recurs_at__isnull=False)
    # Not MAX(), for which MariaDB reads all of them.
    latest = runs.order_by("-recurs_at").values_list("recurs_at", flat=True)[:1]
    return next(iter(latest), None)


def _not_started(store: Store, recurring: RecurringJob) -> ScheduledJobQuerySet:
    return store.jobs.filter(
        recurring_id=recurring.pk, recurs_at__isnull=False, status=Status.SCHEDULED, attempts=0
    )


def _scheduled_among(
    store: Store, recurring: RecurringJob, **conditions: Any
) -> ScheduledJobQuerySet:
    """Return those of the few runs with `conditions` that have not started, by primary key."""
    # Without a condition on the status, for which a planner may read all waiting jobs.
    runs = store.jobs.filter(recurring_id=recurring.pk, **conditions).values_list("pk", "status")
    found = [pk for pk, status in runs if status == Status.SCHEDULED]
    return _not_started(store, recurring).filter(pk__in=found)


def _delete_locked(store: Store, runs: ScheduledJobQuerySet) -> list[datetime]:
    # Locks the rows until the transaction ends. A claim skips them. If a rival has just claimed
    # one, this waits, and the row is no longer scheduled.
    locked = runs if store.write_lock else runs.select_for_update()
    instants = dict(locked.values_list("pk", "recurs_at"))
    store.jobs.filter(pk__in=instants).delete()
    return sorted(clock.from_row(instant) for instant in instants.values() if instant)


def _with_run_states(store: Store) -> QuerySet[RecurringJob]:
    # Two subqueries, each in the order of the index of the runs. With one condition for both, or
    # without an order, planners read all runs of a recurring job, all waiting jobs, or all jobs.
    runs = store.jobs.filter(recurring_id=OuterRef("pk")).order_by("-recurs_at")
    last = runs.filter(recurs_at__gte=OuterRef("last_run_at"))
    triggered = runs.filter(recurs_at__isnull=True, status__in=_UNFINISHED)
    return _rows(store).annotate(
        last_status=Coalesce(Subquery(last.values("status")[:1]), Value("")),
        triggered_status=Coalesce(Subquery(triggered.values("status")[:1]), Value("")),
    )


def _rows(store: Store) -> QuerySet[RecurringJob]:
    return RecurringJob.objects.using(store.alias)


def _locked(
    store: Store, rows: QuerySet[RecurringJob], *, skip_locked: bool = False
) -> QuerySet[RecurringJob]:
    return rows if store.write_lock else rows.select_for_update(skip_locked=skip_locked)


def _parameter(store: Store, value: Any) -> Any:
    if isinstance(value, datetime):
        return as_parameter(clock.from_row(value), store.connection)
    return value


def _listed(ids: Collection[int]) -> str:
    return ", ".join(map(str, sorted(ids))) or "0"
