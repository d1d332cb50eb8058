"""What a worker asks for: its own selection, less what it believes paused, or cannot run."""

from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import timedelta

from django_future.store import Selection, Store
from django_future.store.queues import paused_queues

RESUME_CHECK_INTERVAL = timedelta(
    seconds=1
)  # at most, before a worker looks whether a queue still is


class QueueSelector:
    """Narrows the selection of a worker.

    A claim takes nothing of a paused queue, whatever its worker believes. But to pass what waits
    there takes the longer the more it is; a queue that is believed paused is not even looked into.
    """

    def __init__(self, store: Store, selection: Selection) -> None:
        self._store = store
        self._own = selection
        self._paused: tuple[str, ...] = ()
        self._is_doubted = True

    def invalidate(self) -> None:
        """Have the next selection ask which queues are paused. May be called from anywhere."""
        self._is_doubted = True

    def selection(self, unknown_handlers: AbstractSet[str]) -> Selection:
        """Return what to ask for now, which is nothing of handlers that are unknown here."""
        if self._is_doubted or self._paused:
            self._is_doubted = False  # before it reads: who doubts meanwhile has seen more
            self._paused = paused_queues(self._store)
        if not self._paused and not unknown_handlers:
            return self._own
        return replace(
            self._own,
            excluded_queues=(*self._own.excluded_queues, *self._paused),
            unknown_handlers=frozenset(unknown_handlers),
        )

    @property
    def longest_sleep(self) -> timedelta:
        """How long not to look: while a queue is paused, no hint may tell that it is resumed."""
        return RESUME_CHECK_INTERVAL if self._paused else timedelta.max
