"""One thread's transactions."""

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType

    from django_future.models import ScheduledJob
    from django_future.store.base import Store


class Session:
    """What a handler asks of its database and the record of its end, in one transaction each.

    A transaction that was asked nothing is not ended but serves the next job: to begin one takes
    longer than many a handler. So `rest` before anything else is done on this thread.
    """

    def __init__(self, store: "Store") -> None:
        self.store = store
        self.is_committed = self._is_over = False
        self._connection = store.connection
        self.driver_session: object = None
        self._block: AbstractContextManager[Callable[[], bool]] | None = None

    def __enter__(self) -> None:
        if self._block is not None:
            return
        self._begin()
        block = self.store.transaction()
        self._is_touched, self._block = block.__enter__(), block
        # Before any hook of the handler's, which may raise.
        self._connection.on_commit(self._note_commit)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        if error is not None or self._is_over or self.was_asked():
            self._end(kind, error, traceback)

    @contextmanager
    def autocommit(self) -> "Iterator[None]":
        """Let a handler commit as it goes, and the record of its end by itself."""
        self.rest()
        self._begin()
        yield

    def was_asked(self) -> bool:
        """Tell whether a handler has asked its database anything, or to be called at the commit."""
        return self._is_touched() or len(self._connection.run_on_commit) > 1

    def finish(self, job: "ScheduledJob", write: "Callable[[ScheduledJob], None]") -> None:
        """Record the end of a job by `write`, with all that was asked, and end the transaction."""
        # To write it may be to commit it; then the transaction no longer looks as if asked.
        self._is_over = True
        write(job)

    @property
    def is_kept(self) -> bool:
        """Whether the latest transaction was asked nothing, and has not ended."""
        return self._block is not None

    def rest(self) -> None:
        """End a transaction that was kept."""
        if self._block is not None:
            self._end(None, None, None)

    def is_lost(self) -> bool:
        """Tell whether the connection of the latest transaction broke."""
        return self.driver_session is not None and self.store.has_lost(self.driver_session)

    def renew(self) -> None:
        """Take another connection, if a statement may still be interrupted on this one."""
        if not self._connection.in_atomic_block:
            self._connection.close()

    def _begin(self) -> None:
        self._connection.ensure_connection()
        self.driver_session = self._connection.connection
        self.is_committed = self._is_over = False

    def _end(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        block, self._block = self._block, None
        if block is not None:
            block.__exit__(kind, error, traceback)

    def _note_commit(self) -> None:
        self.is_committed = True
