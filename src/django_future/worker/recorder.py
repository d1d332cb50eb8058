"""The ends of jobs that the main thread of a worker records for all its threads."""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence

from django.db import OperationalError

from django_future.execution.outcome import NotRecorded
from django_future.execution.recording import record_completions
from django_future.models import ScheduledJob
from django_future.plural import agreeing
from django_future.store import Store, leases

logger = logging.getLogger("django_future")

# Between two attempts at ends whose rows another transaction has locked.
RETRY_INTERVAL_SECONDS, LAST_RETRY_INTERVAL_SECONDS = 1.0, 0.1


class Recorder:
    """Records completion batches, and ends that could not be recorded before.

    Any thread may add to it. One thread records.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._completions: list[ScheduledJob] = []
        self._locked: list[ScheduledJob] = []
        self._retry_locked_at = self._retry_unrecorded_at = 0.0
        self._unrecorded: deque[NotRecorded] = deque()
        # Threads call this for each complete job that belongs in a completion batch.
        self.add_completion: Callable[[ScheduledJob], None] = self._completions.append

    def add(self, error: NotRecorded) -> None:
        """Add the end of a job that could not be recorded."""
        self._unrecorded.append(error)

    @property
    def has_completions(self) -> bool:
        """Whether there are complete jobs to record."""
        return bool(self._completions)

    @property
    def jobs(self) -> list[ScheduledJob]:
        """The jobs whose ends are not recorded."""
        unrecorded = [error.job for error in list(self._unrecorded)]
        return [*self._completions, *self._locked, *unrecorded]

    def record(self) -> None:
        """Record the ends that threads have added.

        Raises a database error if the database is unreachable; the ends stay for the next call.
        """
        if time.monotonic() >= self._retry_unrecorded_at:
            self._record_unrecorded()
        if jobs := self._completions[:]:
            locked = record_completions(jobs, self._store, self.add)
            del self._completions[: len(jobs)]  # after they are recorded, so that none is lost
            self._retry_later(locked)
        if time.monotonic() >= self._retry_locked_at:
            self._record_locked()

    def record_last(self, stop_at: float) -> None:
        """Record all ends before the worker stops.

        Waits for locked rows until `stop_at`, by the monotonic clock. Raises a database error as
        `record` does.
        """
        self._retry_unrecorded_at = 0.0
        self.record()
        while self.jobs and time.monotonic() < stop_at:
            time.sleep(LAST_RETRY_INTERVAL_SECONDS)
            self._record_unrecorded()
            self._record_locked()
        if jobs := self.jobs:
            one = (
                "Another transaction keeps the row of %s job locked, so its end is not recorded. "
                "It will be rescued and may run again"
            )
            many = (
                "Another transaction keeps the rows of %s jobs locked, so their ends are not "
                "recorded. They will be rescued and may run again"
            )
            logger.error(agreeing(len(jobs), one, many), len(jobs))

    def _record_unrecorded(self) -> None:
        if not self._unrecorded:
            return
        # The other ends do not wait for those whose rows a rival has locked.
        locked = leases.locked(self._store, [end.job for end in list(self._unrecorded)])
        for _ in range(len(self._unrecorded)):
            end = self._unrecorded[0]
            if end.job.pk in locked or not self._is_recorded(end):
                self._unrecorded.rotate(-1)
            else:
                self._unrecorded.popleft()
        if self._unrecorded:
            self._retry_unrecorded_at = time.monotonic() + RETRY_INTERVAL_SECONDS

    def _is_recorded(self, end: NotRecorded) -> bool:
        try:
            end.record()
        except OperationalError as error:
            if not self._store.is_contention(error):
                raise
            return False
        return True

    def _record_locked(self) -> None:
        if not self._locked:
            return
        self._locked = record_completions(self._locked, self._store, self.add)
        self._retry_locked_at = time.monotonic() + RETRY_INTERVAL_SECONDS

    def _retry_later(self, locked: Sequence[ScheduledJob]) -> None:
        if not locked:
            return
        one = "%s job is complete, but another transaction has locked its row; trying again"
        many = "%s jobs are complete, but another transaction has locked their rows; trying again"
        logger.warning(agreeing(len(locked), one, many), len(locked))
        if not self._locked:
            # From the first of them, so that later ones do not postpone the next attempt.
            self._retry_locked_at = time.monotonic() + RETRY_INTERVAL_SECONDS
        self._locked += locked
