"""Handlers that a process has found that it does not know."""

from datetime import datetime

from django_future.models import ScheduledJob
from django_future.store import Store, handler_of
from django_future.store.leaving import postpone

MAX_UNKNOWN_HANDLERS = 100  # that claims leave out by name


class UnknownHandlers:
    """Remembers a bounded number of handlers, whose jobs are not claimed again.

    The jobs of others are postponed, so that neither the claims nor the memory of a process grow
    with the number of handlers that it does not know.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._names: frozenset[str] = frozenset()
        self._to_postpone: list[ScheduledJob] = []

    @property
    def names(self) -> frozenset[str]:
        """What claims leave out, as `handler_of` names it."""
        return self._names

    def note(self, job: ScheduledJob) -> None:
        """Remember the handler of a job that was left, or that the job is to be postponed.

        May be called from any thread. Two at once may forget one of two handlers; the next job of
        it is left, too.
        """
        names = self._names | {handler_of(job)}
        if len(names) <= MAX_UNKNOWN_HANDLERS:
            self._names = names
        else:
            self._to_postpone.append(job)

    def postpone(self, at: datetime) -> None:
        """Postpone past `at` the jobs whose handlers are not remembered."""
        while self._to_postpone:
            postpone(self._store, self._to_postpone[0], at)
            del self._to_postpone[0]
