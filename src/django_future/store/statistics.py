"""How many jobs ended in each minute, by outcome, and how late they had started.

Each process counts in memory. `flush` adds its numbers to the rows of `JobStatistics`.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, NamedTuple

from django.db.models import F

from django_future import clock
from django_future.models import JobStatistics, ScheduledJob
from django_future.models.fields import as_parameter, from_statement
from django_future.options import MAX_QUEUE_NAME_LENGTH
from django_future.status import Status
from django_future.store.base import Expired, Store
from django_future.store.contention import retry_on_contention, write_transaction
from django_future.text import storable

MINUTE = timedelta(minutes=1)
KEPT = timedelta(days=8)
MAX_ENTRIES = 1000  # minutes and queues that a process counts while the database is unreachable

OUTCOMES = (Status.COMPLETE, Status.FAILED, Status.EXPIRED, Status.CANCELLED)
# The columns of the histogram, each with the longest lateness that it counts. The last column
# counts all longer ones too: its day is only for the estimate of a quantile.
LATENESS = {
    "late_10ms": timedelta(milliseconds=10),
    "late_50ms": timedelta(milliseconds=50),
    "late_250ms": timedelta(milliseconds=250),
    "late_1s": timedelta(seconds=1),
    "late_5s": timedelta(seconds=5),
    "late_30s": timedelta(seconds=30),
    "late_2min": timedelta(minutes=2),
    "late_10min": timedelta(minutes=10),
    "late_1h": timedelta(hours=1),
    "late_longer": timedelta(days=1),
}
_COLUMNS = frozenset({*map(str, OUTCOMES), *LATENESS})
_LATE_NAMES, _LATE_LIMITS = list(LATENESS), list(LATENESS.values())[:-1]

_Counts = dict[tuple[datetime, str], Counter[str]]  # by minute and queue
_counts: dict[str, _Counts] = defaultdict(dict)  # by database
_lock = Lock()


class Totals(NamedTuple):
    """How many jobs ended in a period. The lateness is None if none of them had started."""

    complete: int
    failed: int
    expired: int
    cancelled: int
    late_p50: timedelta | None
    late_p95: timedelta | None


class Step(NamedTuple):
    """How many jobs ended in one of several periods of equal length."""

    starts_at: datetime
    complete: int
    failed: int
    expired: int
    cancelled: int
    late_p95: timedelta | None


def count(jobs: Iterable[ScheduledJob], alias: str) -> None:
    """Count jobs that have ended, except those in which a handler has set unusable values."""
    found: list[tuple[_Cell, int]] = []
    cell, number = None, 0
    for job in jobs:
        try:
            # Most jobs are counted like the one before. This check takes a small part of the time
            # in which a cell is found.
            if cell is None or not cell.has(job.__dict__):
                other = _cell_of(job.__dict__)
                if cell is not None:
                    found.append((cell, number))
                cell, number = other, 0
            number += 1
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
    if cell is None:
        return
    with _lock:
        for each, size in [*found, (cell, number)]:
            numbers = _numbers(_counts[alias], each.minute_at, each.queue_name)
            numbers[each.status] += size
            numbers[each.late_name] += size


class _Cell(NamedTuple):
    """What jobs that are counted together have in common."""

    minute_at: datetime
    next_minute_at: datetime
    queue_name: str
    status: str
    least_late: timedelta  # the lateness of each job is longer, and at most `most_late`
    most_late: timedelta
    late_name: str

    def has(self, values: dict[str, Any]) -> bool:
        """Return whether a job with these values is counted here."""
        return bool(
            self.minute_at <= values["finished_at"] < self.next_minute_at
            and self.least_late < values["started_at"] - values["scheduled_at"] <= self.most_late
            and values["queue_name"] == self.queue_name
            and values["status"] == self.status
        )


def _cell_of(values: dict[str, Any]) -> _Cell:
    """Return the cell of a job with these values. Raises an error if one of them is unusable."""
    if not _is_queue_name(values["queue_name"]) or values["status"] not in _COLUMNS:
        raise ValueError(values["queue_name"], values["status"])
    late = values["started_at"] - values["scheduled_at"]
    place = bisect_left(_LATE_LIMITS, late)
    minute_at = values["finished_at"].replace(second=0, microsecond=0)
    return _Cell(
        minute_at,
        minute_at + MINUTE,
        values["queue_name"],
        values["status"],
        _LATE_LIMITS[place - 1] if place else timedelta.min,
        _LATE_LIMITS[place] if place < len(_LATE_LIMITS) else timedelta.max,
        _LATE_NAMES[place],
    )


def count_expired(jobs: Iterable[Expired], alias: str) -> None:
    """Count jobs that have expired, except those with an unusable queue."""
    with _lock:
        for job in jobs:
            if _is_queue_name(job.queue_name):
                minute_at = job.finished_at.replace(second=0, microsecond=0)
                _numbers(_counts[alias], minute_at, job.queue_name)[Status.EXPIRED] += 1


def flush(store: Store) -> None:
    """Add the numbers of this process to the rows, or keep them if that fails."""
    with _lock:
        counts = _counts.pop(store.alias, {})
    if not counts:
        return
    try:
        _write(store, counts)
    except BaseException:
        with _lock:
            for key, numbers in counts.items():
                _numbers(_counts[store.alias], *key).update(numbers)
        raise


class History:
    """The numbers of a period, minute by minute. `read` loads them."""

    def __init__(self, minutes: Sequence[datetime], numbers: Mapping[str, Sequence[int]]) -> None:
        self._minutes = minutes
        self._numbers = numbers  # by column, one for each minute

    def totals(self, since: datetime, until: datetime) -> Totals:
        """Return how many jobs ended from `since` to before `until`, by whole minutes."""
        numbers = self._sum(since, until)
        return Totals(*_outcomes(numbers), _quantile(numbers, 0.5), _quantile(numbers, 0.95))

    def series(self, since: datetime, until: datetime, step: timedelta) -> list[Step]:
        """Return the jobs that ended, for each period of the length `step` from `since` on."""
        starts = [since + number * step for number in range(-((since - until) // step))]
        found = []
        for starts_at in starts:
            numbers = self._sum(starts_at, min(starts_at + step, until))
            found.append(Step(starts_at, *_outcomes(numbers), _quantile(numbers, 0.95)))
        return found

    def _sum(self, since: datetime, until: datetime) -> dict[str, int]:
        first, last = bisect_left(self._minutes, since), bisect_left(self._minutes, until)
        return {name: sum(numbers[first:last]) for name, numbers in self._numbers.items()}


def read(store: Store, since: datetime, until: datetime) -> History:
    """Return the numbers from `since` to before `until`, of all queues, in one statement."""
    names, connection = sorted(_COLUMNS), store.connection
    # Not by the ORM, which calls a function for each of the 14 numbers of each minute.
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT minute_at, {", ".join(f"SUM({name})" for name in names)}
            FROM {JobStatistics._meta.db_table} WHERE minute_at >= %s AND minute_at < %s
            GROUP BY minute_at ORDER BY minute_at
            """,
            [as_parameter(since, connection), as_parameter(until, connection)],
        )
        rows = cursor.fetchall()
    minutes = (from_statement(row[0], connection) for row in rows)
    # MySQL returns a sum as a decimal number.
    numbers = {name: [int(row[place]) for row in rows] for place, name in enumerate(names, 1)}
    return History([*filter(None, minutes)], numbers)


def _is_queue_name(name: object) -> bool:
    return type(name) is str and len(name) <= MAX_QUEUE_NAME_LENGTH and storable(name) == name


def _numbers(counts: _Counts, minute_at: datetime, queue_name: str) -> Counter[str]:
    key = minute_at, queue_name
    if key not in counts:
        if len(counts) >= MAX_ENTRIES:
            del counts[min(counts)]
        counts[key] = Counter()
    return counts[key]


@retry_on_contention
def _write(store: Store, counts: _Counts) -> None:
    is_new = False
    with write_transaction(store):
        # In one order, so that no two processes wait for each other.
        for (minute_at, queue_name), numbers in sorted(counts.items()):
            # Locks one row until the commit. A rival adds its numbers after that.
            row = _rows(store).filter(minute_at=minute_at, queue_name=queue_name)
            changes: dict[str, Any] = {name: F(name) + numbers[name] for name in numbers}
            if not row.update(**changes):
                is_new = True
                empty = JobStatistics(minute_at=minute_at, queue_name=queue_name)
                _rows(store).bulk_create([empty], ignore_conflicts=True)
                row.update(**changes)
        if is_new:
            _rows(store).filter(minute_at__lt=clock.to_row(store.now() - KEPT)).delete()


def _rows(store: Store) -> Any:
    return JobStatistics.objects.using(store.alias)


def _outcomes(numbers: Mapping[str, int]) -> tuple[int, int, int, int]:
    complete, failed, expired, cancelled = (numbers[outcome] for outcome in OUTCOMES)
    return complete, failed, expired, cancelled


def _quantile(numbers: Mapping[str, int], fraction: float) -> timedelta | None:
    """Return an estimate of a quantile of the lateness, interpolated within its column."""
    wanted = fraction * sum(numbers[name] for name in LATENESS)
    if not wanted:
        return None
    lower, below = timedelta(), 0
    for name, limit in LATENESS.items():
        if below + numbers[name] >= wanted:
            return lower + (limit - lower) * ((wanted - below) / numbers[name])
        below += numbers[name]
        lower = limit
    return lower
