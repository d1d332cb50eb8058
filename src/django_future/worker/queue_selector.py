"""The selection of the next claim: without paused queues and unknown handlers."""

from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import timedelta

from django_future.store import Selection, Store
from django_future.store.queues import paused_queues

RESUME_CHECK_INTERVAL = timedelta(seconds=1)  # the longest sleep while a queue is paused


class QueueSelector:
    """Leaves paused queues and unknown handlers out of the selection of a worker.

    Correctness does not depend on this: each claim excludes paused queues in its SQL. But a claim
    that skips the jobs of a paused queue takes longer, the more jobs wait there.
    """

    def __init__(self, store: Store, selection: Selection) -> None:
        self._store = store
        self._own = selection
        self._paused: tuple[str, ...] = ()
        self._is_stale = True

    def invalidate(self) -> None:
        """Read the paused queues again for the next selection. May be called from any thread."""
        self._is_stale = True

    def selection(self, unknown_handlers: AbstractSet[str]) -> Selection:
        """Return the selection for the next claim."""
        if self._is_stale or self._paused:
            # Reset before the query, so that an `invalidate` during the query is not lost.
            self._is_stale = False
            self._paused = paused_queues(self._store)
        if not self._paused and not unknown_handlers:
            return self._own
        return replace(
            self._own,
            excluded_queues=(*self._own.excluded_queues, *self._paused),
            unknown_handlers=frozenset(unknown_handlers),
        )

    @property
    def max_sleep(self) -> timedelta:
        """How long the worker may sleep: a resumed queue does not always wake it."""
        return RESUME_CHECK_INTERVAL if self._paused else timedelta.max
