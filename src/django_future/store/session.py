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

    from django_future.store.base import Store

logger = logging.getLogger("django_future")


class Session:
    """Commits a handler's effects and the record of its completion together, one job at a time.

    If a handler ran no query, its transaction stays open for the next job, because BEGIN and COMMIT
    often take longer than the handler. Call `end_idle` before anything else uses the connection.
    """

    def __init__(self, store: "Store") -> None:
        self.store = store
        self.is_committed = False  # whether the transaction of the latest job has committed
        self.has_lost_connection = False  # whether the connection broke during the latest job
        self.driver_session: Any = None
        self._connection = store.connection
        self._prepared_session: Any = None  # the driver's connection that the store has prepared
        # A TestCase wraps its test in transactions, which a session must not end.
        self._outer_block_count = len(self._connection.atomic_blocks)
        self._block: AbstractContextManager[Callable[[], bool]] | None = None
        self._atomic: object = None
        self._is_ending = False  # whether `__exit__` commits the transaction
        self._wrappers: list[Any] | None = None  # the execute_wrappers before a job

    def __enter__(self) -> None:
        if self._block is None:
            self._begin()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        if error is not None or self._is_ending:
            self._end(kind, error, traceback)

    @contextmanager
    def autocommit(self) -> "Iterator[None]":
        """Run a handler in autocommit mode, and record its completion in another transaction."""
        self.end_idle()
        self._atomic = None
        self._connect()
        self.store.forget_session_state(self.driver_session)
        self._prepared_session = None
        try:
            yield
        except BaseException:
            self.has_lost_connection = self._is_unchanged() and self._is_broken()
            raise

    def warm_up(self) -> None:
        """Connect and prepare for the first transaction, if the database can be reached."""
        try:
            with self:
                pass
        except (DatabaseError, InterfaceError):
            self.discard()
        self.end_idle()

    def start(self) -> None:
        """Forget how the transaction of the previous job ended."""
        self.is_committed = self.has_lost_connection = self._is_ending = False

    def verify(self, *, may_stay_open: bool) -> bool:
        """Check that the completion commits together with the effects of the handler.

        Returns whether the transaction ends now, so that the completion must be written in it. With
        `may_stay_open`, it does not end if the handler used no database and no `on_commit`.

        Raises `TransactionBroken`.
        """
        problem = self._problem_outside() if self._atomic is None else self._problem_inside()
        if problem:
            raise TransactionBroken(f"The uncommitted writes of the handler are lost: {problem}")
        # Decided now, because the completion may commit the transaction.
        self._is_ending = (
            not may_stay_open or self._is_used() or len(self._connection.run_on_commit) > 1
        )
        return self._is_ending

    def end_idle(self) -> None:
        """End an unused transaction that is still open."""
        try:
            self._end(None, None, None)
        except Exception:
            logger.debug("An unused transaction could not be ended", exc_info=True)
            self.discard()
        self.is_committed = False  # it was not the transaction of a job

    @property
    def has_idle_transaction(self) -> bool:
        """Whether an unused transaction is still open."""
        return self._block is not None

    def tidy(self) -> None:
        """Drop the connection between two jobs, unless it is in the state of a new one."""
        if self._block is None and not self._outer_block_count and not self._is_clean():
            logger.warning("A job changed the state of its connection, which is now replaced")
            self.discard()

    def drop_if_hung_up(self) -> None:
        """Drop the connection if the server has closed it."""
        session = self.store.connection.connection
        descriptor = None if session is None else self.store.descriptor(session)
        if descriptor is not None and not self._outer_block_count and is_hung_up(descriptor):
            self.discard()

    def discard(self) -> None:
        """Drop a connection in an unknown state; the next job opens another."""
        block, self._block = self._block, None
        if block is not None:
            with suppress(Exception):  # for example if the connection is closed
                block.__exit__(TransactionBroken, TransactionBroken(), None)
        if not self._outer_block_count:
            discard(self._connection, self._wrappers)
            self._connection, self._wrappers = self.store.connection, None

    def _begin(self) -> None:
        self._connect()
        block = self.store.transaction()
        self._is_used = block.__enter__()
        self._block = block
        self._atomic = self._connection.atomic_blocks[-1]
        # Before any hook of the handler, because such a hook may raise.
        self._connection.on_commit(self._record_commit)

    def _connect(self) -> None:
        self._connection = self.store.connection
        self._connection.ensure_connection()
        self.driver_session = self._connection.connection
        if self.driver_session is not self._prepared_session:
            self.store.prepare_connection()
            self._prepared_session = self.driver_session
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
        is_unchanged, has_failed = self._is_unchanged(), error is not None
        try:
            if has_failed:
                self._roll_back_inner_blocks()
            block.__exit__(kind, error, traceback)
        except BaseException:
            has_failed = True
            raise
        finally:
            # If the handler closed the connection, or Django replaced it, it did not break.
            if has_failed:
                self.has_lost_connection = is_unchanged and self._is_broken()
            # An exception from another thread may have interrupted __exit__.
            if not self._outer_block_count and not self._is_clean():
                self.discard()

    def _roll_back_inner_blocks(self) -> None:
        """Roll back the atomic() blocks that the handler entered and did not exit."""
        blocks = self._connection.atomic_blocks
        while self._atomic in blocks and blocks[-1] is not self._atomic:
            with suppress(Exception):
                blocks[-1].__exit__(TransactionBroken, TransactionBroken(), None)

    def _is_unchanged(self) -> bool:
        connection = self._connection
        return connection.connection is self.driver_session and not connection.closed_in_transaction

    def _is_broken(self) -> bool:
        return not self.store.is_usable(self.driver_session)

    def _problem_inside(self) -> str | None:
        connection = self._connection
        if not self._is_unchanged():
            return "the handler closed its database connection."
        if not connection.atomic_blocks or connection.atomic_blocks[-1] is not self._atomic:
            return "the handler entered an atomic() block and did not exit it."
        if connection.needs_rollback or not self.store.is_intact(self.driver_session):
            return (
                "the transaction can only be rolled back, because the handler caught a database "
                "error, or called set_rollback(True). Wrap the statements that may fail in their "
                "own atomic() block."
            )
        return None

    def _problem_outside(self) -> str | None:
        connection = self._connection
        if len(connection.atomic_blocks) > self._outer_block_count:
            return "the handler entered an atomic() block and did not exit it."
        if not self._outer_block_count and not self._is_clean():
            return "the handler did not end a transaction. Commit it, or leave autocommit on."
        return None

    def _is_clean(self) -> bool:
        session = self._connection.connection
        # The driver raises an error of its own if a connection was closed without Django.
        with suppress(Exception):
            if not is_clean(self._connection, self._wrappers):
                return False
            return session is None or self.store.is_idle(session)
        return False

    def _record_commit(self) -> None:
        self.is_committed = True
