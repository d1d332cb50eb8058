"""One thread's connection to the database of its jobs, and the transaction open on it."""

import logging
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, InterfaceError

from django_future.exceptions import TransactionBroken
from django_future.store.connection_state import discard, is_clean, is_hung_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType

    from django_future.models import ScheduledJob
    from django_future.store.base import Store

logger = logging.getLogger("django_future")


class Session:
    """Holds what a handler writes and the record of its completion together, for one job at a time.

    A transaction that a handler did not use stays open for the next job, because beginning one
    takes longer than many a handler. Call `rest` before anything else uses the connection.
    """

    def __init__(self, store: "Store") -> None:
        self.store = store
        self.is_committed = False  # whether the transaction of the latest job has been
        self.was_cut = False  # whether the connection of the latest job broke under it
        self.driver_session: Any = None
        self._connection = store.connection
        # A TestCase wraps its test in transactions; those are never ours to end.
        self._outer_blocks = len(self._connection.atomic_blocks)
        self._block: AbstractContextManager[Callable[[], bool]] | None = None
        self._atomic: object = None
        self._is_finished = False
        self._wrappers: list[Any] | None = None  # of the connection's statements, before a job

    def __enter__(self) -> None:
        if self._block is None:
            self._begin()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        if error is not None or self._is_finished or self.was_used():
            self._end(kind, error, traceback)

    @contextmanager
    def autocommit(self) -> "Iterator[None]":
        """Let a handler commit as it goes, and record its completion on its own."""
        self.end_idle()
        self._atomic = None
        self._connect()
        self.store.forget_session_state(self.driver_session)
        try:
            yield
        except BaseException:
            self.was_cut = self._is_ours() and not self.store.is_usable(self.driver_session)
            raise

    def warm_up(self) -> None:
        """Connect, and have what the first transaction needs, unless the database is away."""
        try:
            with self:
                pass
        except (DatabaseError, InterfaceError):
            self.discard()
        self.end_idle()

    def start(self) -> None:
        """Forget how the transaction of the job before ended."""
        self.is_committed = self.was_cut = self._is_finished = False

    def was_used(self) -> bool:
        """Tell whether the handler has used its database, or added a hook to the commit."""
        return self._is_used() or len(self._connection.run_on_commit) > 1

    def verify(self) -> None:
        """Make sure that a completion can be written now, and commits with what the handler wrote.

        Raises `TransactionBroken`.
        """
        problem = self._problem_outside() if self._atomic is None else self._problem_inside()
        if problem:
            raise TransactionBroken(f"What the handler wrote is not kept: {problem}")

    def finish(self, job: "ScheduledJob", write: "Callable[[ScheduledJob], None]") -> None:
        """Record the end of a job by `write`, and end the transaction with it."""
        # To write it may be to commit it; then the transaction no longer looks used.
        self._is_finished = True
        write(job)

    def end_idle(self) -> None:
        """End a transaction that stayed open unused."""
        try:
            self._end(None, None, None)
        except Exception:
            logger.debug("An unused transaction could not be ended", exc_info=True)
            self.discard()
        self.is_committed = False  # it was no job's

    @property
    def has_idle_transaction(self) -> bool:
        """Whether the latest transaction was not used, and is still open."""
        return self._block is not None

    def tidy(self) -> None:
        """Drop the connection unless it is as a new one would be; for between two jobs."""
        if self._block is None and not self._outer_blocks and not self._is_clean():
            logger.warning("A job left its database connection in another state; it is replaced")
            self.discard()

    def drop_if_hung_up(self) -> None:
        """Drop the connection if the server has closed it meanwhile."""
        session = self.store.connection.connection
        descriptor = None if session is None else self.store.descriptor(session)
        if descriptor is not None and not self._outer_blocks and is_hung_up(descriptor):
            self.discard()

    def discard(self) -> None:
        """Drop the connection, whose state is in doubt; the next job opens another."""
        block, self._block = self._block, None
        if block is not None:
            with suppress(Exception):  # such as that the connection is closed
                block.__exit__(TransactionBroken, TransactionBroken(), None)
        if not self._outer_blocks:
            discard(self._connection, self._wrappers)
            self._connection, self._wrappers = self.store.connection, None

    def _begin(self) -> None:
        self._connect()
        block = self.store.transaction()
        self._is_used = block.__enter__()
        self._block = block
        self._atomic = self._connection.atomic_blocks[-1]
        # Before any hook of the handler's, which may raise.
        self._connection.on_commit(self._note_commit)

    def _connect(self) -> None:
        self._connection = self.store.connection
        self._connection.ensure_connection()
        self.driver_session = self._connection.connection
        self._wrappers = [*self._connection.execute_wrappers]

    def _end(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        block, self._block = self._block, None
        if block is None:
            return
        is_ours, has_failed = self._is_ours(), error is not None
        try:
            if has_failed:
                self._leave_inner_blocks()
            block.__exit__(kind, error, traceback)
        except BaseException:
            has_failed = True
            raise
        finally:
            # A connection that the handler closed, or that Django replaced, did not break.
            if has_failed:
                self.was_cut = is_ours and not self.store.is_usable(self.driver_session)
            # An interruption from another thread may have arrived in the middle of it.
            if not self._outer_blocks and not self._is_clean():
                self.discard()

    def _leave_inner_blocks(self) -> None:
        """Roll back the blocks that the handler entered and did not leave."""
        blocks = self._connection.atomic_blocks
        while self._atomic in blocks and blocks[-1] is not self._atomic:
            with suppress(Exception):
                blocks[-1].__exit__(TransactionBroken, TransactionBroken(), None)

    def _is_ours(self) -> bool:
        connection = self._connection
        return connection.connection is self.driver_session and not connection.closed_in_transaction

    def _problem_inside(self) -> str | None:
        connection = self._connection
        if not self._is_ours():
            return "its database connection was closed before it returned."
        if not connection.atomic_blocks or connection.atomic_blocks[-1] is not self._atomic:
            return "it entered an atomic() block and did not leave it."
        if connection.needs_rollback or not self.store.is_intact(self.driver_session):
            return (
                "its transaction can only be rolled back, after a database error that it caught, "
                "or set_rollback(True). Wrap what may fail in an atomic() block of its own."
            )
        return None

    def _problem_outside(self) -> str | None:
        connection = self._connection
        if len(connection.atomic_blocks) > self._outer_blocks:
            return "it entered an atomic() block and did not leave it."
        if not self._outer_blocks and not self._is_clean():
            return "it left a transaction open. Commit it, or leave autocommit on."
        return None

    def _is_clean(self) -> bool:
        session = self._connection.connection
        with suppress(
            Exception
        ):  # the driver's, of a connection that was closed behind Django's back
            if not is_clean(self._connection, self._wrappers):
                return False
            return session is None or self.store.is_idle(session)
        return False

    def _note_commit(self) -> None:
        self.is_committed = True
