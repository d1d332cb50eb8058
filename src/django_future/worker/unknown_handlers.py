"""The handlers that are unknown to a process, and when it claims their jobs again."""

import time
from dataclasses import dataclass
from datetime import datetime

from django_future.models import ScheduledJob
from django_future.store import Store, handler_of
from django_future.store.transitions import postpone

MAX_UNKNOWN_HANDLERS = 100  # that claims exclude by name
INITIAL_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 10.0, 600.0  # before the handler is tried again


@dataclass(frozen=True)
class _Pause:
    seconds: float
    ends_at: float

    def has_ended(self) -> bool:
        return time.monotonic() >= self.ends_at

    def is_forgotten(self) -> bool:
        # Not as soon as it has ended: only a pause that is remembered makes the next one longer.
        return time.monotonic() >= self.ends_at + self.seconds


class UnknownHandlers:
    """Remembers up to 100 unknown handlers, whose jobs are not claimed for some time.

    The cause of a failed import may be temporary, so the handler is tried again after a pause,
    which doubles each time. Jobs of further unknown handlers are postponed, so that neither the
    claims nor the memory of the process grow with the number of unknown handlers.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pauses: dict[str, _Pause] = {}  # replaced, never changed, because threads read it
        self._to_postpone: list[ScheduledJob] = []

    @property
    def names(self) -> frozenset[str]:
        """The handlers that claims exclude now, as named by `handler_of`."""
        return frozenset(name for name, pause in self._pauses.items() if not pause.has_ended())

    def add(self, job: ScheduledJob) -> None:
        """Remember the handler of a job that was released, or the job, to postpone it.

        May be called from any thread. If two threads call it at once, one of two handlers may be
        lost. Then its next job is released, too, and adds it again.
        """
        name = handler_of(job)
        pauses = {key: pause for key, pause in self._pauses.items() if not pause.is_forgotten()}
        previous = pauses.get(name)
        if previous is not None and not previous.has_ended():
            return  # another job of the same claim has added it
        seconds = (
            min(2 * previous.seconds, MAX_BACKOFF_SECONDS) if previous else INITIAL_BACKOFF_SECONDS
        )
        pauses[name] = _Pause(seconds, time.monotonic() + seconds)
        if len(pauses) <= MAX_UNKNOWN_HANDLERS:
            self._pauses = pauses
        else:
            self._to_postpone.append(job)

    def postpone(self, at: datetime) -> None:
        """Postpone the jobs whose handlers are not remembered to a time after `at`."""
        while self._to_postpone:
            postpone(self._store, self._to_postpone[0], at)
            del self._to_postpone[0]
