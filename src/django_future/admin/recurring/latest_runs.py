"""The latest runs of recurring jobs: of all rows of a page of the list at once, or of one row."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import OuterRef, QuerySet, Subquery

from django_future import clock
from django_future.databases import jobs_database
from django_future.models import RecurringJob, ScheduledJob
from django_future.status import Status

MAX_MARKS = 10  # runs in a line of the list
_LABELS: dict[str, Any] = dict(Status.choices)


class Run(NamedTuple):
    """What the admin shows of a run. It is built in a fraction of the time of a job."""

    pk: int
    recurring_id: int
    status: str
    attempts: int
    max_attempts: int
    scheduled_at: datetime
    recurs_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def label(self) -> str:
        """The status in words."""
        return str(_LABELS.get(self.status, self.status))


def latest_runs(rows: Sequence[RecurringJob]) -> dict[int, list[Run]]:
    """Return up to `MAX_MARKS` runs of each recurring job, the one for the latest instant first.

    Those that were triggered have no instant, and are left out.
    """
    found: dict[int, list[Run]] = defaultdict(list)
    if rows:
        alias = jobs_database(instance=rows[0])
        jobs = ScheduledJob.objects.using(alias).filter(pk__in=_ids(alias, rows))
        for run in _read(jobs):
            found[run.recurring_id].append(run)
    return found


def runs_of(recurring: RecurringJob, limit: int) -> list[Run]:
    """Return the latest runs of one recurring job, also those ahead and those triggered."""
    jobs = ScheduledJob.objects.using(jobs_database(instance=recurring))
    runs = jobs.filter(recurring_id=recurring.pk)
    # Two statements, each in the order of the index. Servers read it backwards, so that the runs
    # without an instant are, about, the latest ones.
    found = [
        run
        for is_triggered in (False, True)
        for run in _read(runs.filter(recurs_at__isnull=is_triggered), limit)
    ]
    found.sort(key=lambda run: clock.from_row(run.recurs_at or run.scheduled_at), reverse=True)
    return found[:limit]


def _read(jobs: QuerySet[ScheduledJob], limit: int | None = None) -> list[Run]:
    return [*map(Run._make, jobs.order_by("-recurs_at").values_list(*Run._fields)[:limit])]


def _ids(alias: str, rows: Sequence[RecurringJob]) -> list[int]:
    # A subquery for each of the ten runs, each of which reads at most ten entries of the index.
    # With a window function, servers read all runs of all rows.
    runs = ScheduledJob.objects.using(alias).filter(
        recurring_id=OuterRef("pk"), recurs_at__lte=clock.to_row(clock.now())
    )
    ids = runs.order_by("-recurs_at").values("pk")
    latest: Any = {
        f"run_{number}": Subquery(ids[number : number + 1]) for number in range(MAX_MARKS)
    }
    shown = RecurringJob.objects.using(alias).filter(pk__in=[row.pk for row in rows])
    columns = shown.annotate(**latest).values_list(*latest)
    return [pk for columns_of_row in columns for pk in columns_of_row if pk is not None]
