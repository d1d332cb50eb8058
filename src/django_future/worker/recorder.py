"""The ends of jobs that a worker's main thread records, for all its threads."""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence

from django_future.execution.outcome import NotRecorded
from django_future.execution.recording import record_completions
from django_future.models import ScheduledJob
from django_future.store import Store

logger = logging.getLogger("django_future")

RETRY_INTERVAL_SECONDS = 1.0  # seconds, for completions whose rows another transaction has locked


class Recorder:
    """Writes completions many at a time, and what could not be written when it happened.

    Threads add to it. One thread records.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._completions: list[ScheduledJob] = []
        self._locked: list[ScheduledJob] = []
        self._locked_again_at = 0.0
        self._unrecorded: deque[NotRecorded] = deque()
        # What a thread calls for each job that is complete and wrote nothing.
        self.add_completion: Callable[[ScheduledJob], None] = self._completions.append

    def add(self, error: NotRecorded) -> None:
        """Record later what could not be recorded now."""
        self._unrecorded.append(error)

    @property
    def has_completions(self) -> bool:
        """Whether jobs are complete and not recorded."""
        return bool(self._completions)

    @property
    def jobs(self) -> list[ScheduledJob]:
        """The jobs whose ends are not recorded."""
        unrecorded = [error.job for error in list(self._unrecorded)]
        return [*self._completions, *self._locked, *unrecorded]

    def record(self) -> None:
        """Record what threads have added.

        Raises a database error if the database is out of reach; then nothing is forgotten.
        """
        while self._unrecorded:
            self._unrecorded[0].record()
            self._unrecorded.popleft()
        if jobs := self._completions[:]:
            locked = record_completions(jobs, self._store)
            # Only now: until it is recorded, the end of a job must not be forgotten.
            del self._completions[: len(jobs)]
            self._put_off(locked)
        elif self._locked and time.monotonic() >= self._locked_again_at:
            locked = record_completions(self._locked, self._store)
            self._locked = []
            self._put_off(locked)

    def _put_off(self, locked: Sequence[ScheduledJob]) -> None:
        if locked:
            logger.warning(
                "%s jobs are complete, but another transaction has locked their rows; trying again",
                len(locked),
            )
            self._locked += locked
            self._locked_again_at = time.monotonic() + RETRY_INTERVAL_SECONDS
