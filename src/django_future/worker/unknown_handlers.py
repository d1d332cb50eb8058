"""Handlers that a process has found that it does not know."""

import time
from dataclasses import dataclass
from datetime import datetime

from django_future.models import ScheduledJob
from django_future.store import Store, handler_of
from django_future.store.transitions import postpone

MAX_UNKNOWN_HANDLERS = 100  # that claims leave out by name
INITIAL_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 10.0, 600.0  # before a handler is tried again


@dataclass(frozen=True)
class _Pause:
    seconds: float
    ends_at: float

    def has_ended(self) -> bool:
        return time.monotonic() >= self.ends_at

    def is_forgotten(self) -> bool:
        return time.monotonic() >= self.ends_at + self.seconds


class UnknownHandlers:
    """Remembers a bounded number of handlers, whose jobs are not claimed again for a while.

    An import may fail for a reason that passes, so a handler is tried again, after a pause that
    doubles each time. The jobs of more handlers are postponed, so that neither the claims nor the
    memory of a process grow with the number of handlers that it does not know.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pauses: dict[str, _Pause] = {}  # replaced, never changed: threads read it
        self._to_postpone: list[ScheduledJob] = []

    @property
    def names(self) -> frozenset[str]:
        """What claims leave out now, as `handler_of` names it."""
        return frozenset(name for name, pause in self._pauses.items() if not pause.has_ended())

    def note(self, job: ScheduledJob) -> None:
        """Remember the handler of a job that was left, or that the job is to be postponed.

        May be called from any thread. Two at once may forget one of two handlers; the next job of
        it is left, too.
        """
        name = handler_of(job)
        pauses = {key: one for key, one in self._pauses.items() if not one.is_forgotten()}
        previous = pauses.get(name)
        if previous is not None and not previous.has_ended():
            return  # another job of the same claim
        seconds = (
            min(2 * previous.seconds, MAX_BACKOFF_SECONDS) if previous else INITIAL_BACKOFF_SECONDS
        )
        pauses[name] = _Pause(seconds, time.monotonic() + seconds)
        if len(pauses) <= MAX_UNKNOWN_HANDLERS:
            self._pauses = pauses
        else:
            self._to_postpone.append(job)

    def postpone(self, at: datetime) -> None:
        """Postpone past `at` the jobs whose handlers are not remembered."""
        while self._to_postpone:
            postpone(self._store, self._to_postpone[0], at)
            del self._to_postpone[0]
