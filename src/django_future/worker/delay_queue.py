"""The jobs that a process has claimed and not yet started, each held until its instant."""

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
    """Hands out jobs in their order, none before its time by the clock `now`."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._changed = Condition()
        self._ahead: list[tuple[datetime, int, ScheduledJob]] = []
        # In order, so that it is known which start next.
        self._due: deque[tuple[int, datetime, int, datetime, ScheduledJob]] = deque()
        self._is_closed = False

    @property
    def jobs(self) -> list[ScheduledJob]:
        """The jobs that are held, in no order."""
        with self._changed:
            return [entry[-1] for entry in self._ahead] + [entry[-1] for entry in self._due]

    def __len__(self) -> int:
        return len(self._ahead) + len(self._due)

    def put(self, jobs: Sequence[ScheduledJob]) -> None:
        """Hold jobs until they are due and somebody takes them."""
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
        """Return a job that is due; wait for one, or else return None. None also once closed."""
        with self._changed:
            while not self._is_closed:
                sleep = self._sort_out_due(self._now()) if self._ahead else None
                if self._due:
                    return self._due.popleft()[-1]
                if not wait:
                    break
                self._changed.wait(sleep)
        return None

    def first_due(self, most: int) -> list[ScheduledJob]:
        """Return up to `most` of the jobs that start next, and go on holding them."""
        with self._changed:
            return [entry[-1] for entry in islice(self._due, most)]

    def pop_overdue(self, patience: timedelta) -> list[ScheduledJob]:
        """Return, and no longer hold, due jobs that nobody took for longer than `patience`."""
        with self._changed:
            now = self._now()
            self._sort_out_due(now)
            late = [entry for entry in self._due if now - entry[3] > patience]
            if late:
                self._due = deque(entry for entry in self._due if now - entry[3] <= patience)
        return [entry[-1] for entry in late]

    def close(self) -> list[ScheduledJob]:
        """Hand out no more, and return the jobs that are left."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            left = [entry[-1] for entry in self._ahead] + [entry[-1] for entry in self._due]
            self._ahead, self._due = [], deque()
        return left

    def _sort_out_due(self, now: datetime) -> float | None:
        """Return how many seconds the next job is ahead, if one is."""
        while self._ahead and self._ahead[0][0] <= now:
            scheduled_at, pk, job = heappop(self._ahead)
            insort(self._due, (-job.priority, scheduled_at, pk, now, job))
        return (self._ahead[0][0] - now).total_seconds() if self._ahead else None
