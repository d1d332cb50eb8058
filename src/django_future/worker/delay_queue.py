"""The jobs that a process has claimed and not started, each held until its time."""

from bisect import insort
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from heapq import heapify, heappop
from itertools import islice
from threading import Condition

from django_future import clock
from django_future.models import ScheduledJob


class DelayQueue:
    """Returns jobs by priority and then by time, but none before its time by the clock `now`."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._changed = Condition()
        self._ahead: list[tuple[datetime, int, ScheduledJob]] = []
        # Sorted, so that `first_due` can return the jobs that start next. The fourth value is when
        # the job came due here, from which `pop_overdue` counts.
        self._due: deque[tuple[int, datetime, int, datetime, ScheduledJob]] = deque()
        self._is_closed = False

    @property
    def jobs(self) -> list[ScheduledJob]:
        """The jobs in the queue, in no order."""
        with self._changed:
            return [entry[-1] for entry in self._ahead] + [entry[-1] for entry in self._due]

    def __len__(self) -> int:
        return len(self._ahead) + len(self._due)

    def put(self, jobs: Sequence[ScheduledJob]) -> None:
        """Add jobs to the queue."""
        with self._changed:
            now = self._now()
            due, ahead = [*self._due], self._ahead
            for job in jobs:
                scheduled_at = clock.from_row(job.scheduled_at)
                if scheduled_at <= now:
                    due.append((-job.priority, scheduled_at, job.pk, now, job))
                else:
                    ahead.append((scheduled_at, job.pk, job))
            self._due = deque(sorted(due))
            heapify(ahead)
            self._changed.notify(len(jobs))

    def take(self, *, wait: bool = True) -> ScheduledJob | None:
        """Remove and return a due job.

        Return None if the queue is closed, or if no job is due and `wait` is false.
        """
        with self._changed:
            while not self._is_closed:
                sleep = self._move_due(self._now()) if self._ahead else None
                if self._due:
                    return self._due.popleft()[-1]
                if not wait:
                    break
                self._changed.wait(sleep)
        return None

    def first_due(self, limit: int) -> list[ScheduledJob]:
        """Return up to `limit` of the jobs that start next; they stay in the queue."""
        with self._changed:
            return [entry[-1] for entry in islice(self._due, limit)]

    def pop_overdue(self, max_wait: timedelta) -> list[ScheduledJob]:
        """Remove and return the jobs that have been due here for longer than `max_wait`."""
        with self._changed:
            now = self._now()
            self._move_due(now)
            late = [entry for entry in self._due if now - entry[3] > max_wait]
            if late:
                self._due = deque(entry for entry in self._due if now - entry[3] <= max_wait)
        return [entry[-1] for entry in late]

    def close(self) -> list[ScheduledJob]:
        """Close the queue, and return the remaining jobs."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            remaining = [entry[-1] for entry in self._ahead] + [entry[-1] for entry in self._due]
            self._ahead, self._due = [], deque()
        return remaining

    def _move_due(self, now: datetime) -> float | None:
        """Move the jobs whose time has come to `_due`; return the seconds until the next one."""
        while self._ahead and self._ahead[0][0] <= now:
            scheduled_at, pk, job = heappop(self._ahead)
            insort(self._due, (-job.priority, scheduled_at, pk, now, job))
        return (self._ahead[0][0] - now).total_seconds() if self._ahead else None
