"""The latest runs of recurring jobs: of all rows of a page of the list at once, or of one row."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import QuerySet

from django_future import clock
from django_future.databases import jobs_database
from django_future.models import RecurringJob, ScheduledJob
from django_future.store import Store, store_for
from django_future.store.latest_runs import latest_run_ids

MAX_MARKS = 10  # runs in a line of the list
AHEAD = timedelta(days=1)  # more than enough, because runs are materialised shortly before


class Run(NamedTuple):
    """What the admin shows of a run. To build a `ScheduledJob` instead would take much longer."""

    pk: int
    recurring_id: int
    status: str
    attempts: int
    max_attempts: int
    scheduled_at: datetime
    recurs_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


def latest_runs(rows: Sequence[RecurringJob]) -> dict[int, list[Run]]:
    """Return up to `MAX_MARKS` runs of each recurring job, the one for the latest instant first.

    Those that were triggered have no instant, and are left out.
    """
    found: dict[int, list[Run]] = defaultdict(list)
    if rows:
        store, ids = _store(rows[0]), [row.pk for row in rows]
        latest = latest_run_ids(store, ids, until=clock.now(), limit=MAX_MARKS)
        for run in _read(store.jobs.filter(pk__in=latest)):
            found[run.recurring_id].append(run)
    return found


def runs_of(recurring: RecurringJob, limit: int) -> list[Run]:
    """Return the latest runs of one recurring job, also future ones and triggered ones."""
    store = _store(recurring)
    latest = latest_run_ids(store, [recurring.pk], until=clock.now() + AHEAD, limit=limit)
    # They have no instant. Servers read the end of the index first, so these are about the latest.
    triggered = store.jobs.filter(recurring_id=recurring.pk, recurs_at__isnull=True)
    found = [*_read(store.jobs.filter(pk__in=latest)), *_read(triggered, limit)]
    found.sort(key=lambda run: clock.from_row(run.recurs_at or run.scheduled_at), reverse=True)
    return found[:limit]


def _read(jobs: QuerySet[ScheduledJob], limit: int | None = None) -> list[Run]:
    return [*map(Run._make, jobs.order_by("-recurs_at").values_list(*Run._fields)[:limit])]


def _store(recurring: RecurringJob) -> Store:
    return store_for(jobs_database(instance=recurring))
