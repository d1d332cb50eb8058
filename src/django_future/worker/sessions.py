"""Records the database sessions of a process, so that others can end them if it is lost."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, Thread, current_thread
from typing import Any
from weakref import WeakKeyDictionary

from django.db import DatabaseError, InterfaceError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from django_future.models import Worker
from django_future.store import Store
from django_future.store.server_sessions import SessionId, as_stored
from django_future.store.workers import register

logger = logging.getLogger("django_future")

MAX_SESSIONS = 100


@contextmanager
def sessions_recorded(
    store: Store, worker: Worker, *, limit: int = MAX_SESSIONS, only: Thread | None = None
) -> Iterator[None]:
    """Keep the sessions of a worker's threads up to date in its row.

    With `only`, these are the sessions of this thread.
    """
    if store.connection.in_atomic_block:  # a test, whose rows no other connection sees
        yield
        return
    sessions = _Sessions(store, worker, limit=limit, only=only)
    sessions.add(connection=store.connection)
    connection_created.connect(sessions.add)
    try:
        yield
    finally:
        connection_created.disconnect(sessions.add)


class _Sessions:
    """The sessions of open connections."""

    def __init__(self, store: Store, worker: Worker, *, limit: int, only: Thread | None) -> None:
        self._store = store
        self._worker = worker
        self._limit = limit
        self._only = only
        self._lock = Lock()
        # By thread, the oldest first. The threads of the worker are older than those of handlers,
        # so the limit does not exclude them.
        self._known: WeakKeyDictionary[Thread, tuple[BaseDatabaseWrapper, Any, SessionId]] = (
            WeakKeyDictionary()
        )

    def add(self, *, connection: BaseDatabaseWrapper, **_: Any) -> None:
        """Record a new connection, if it connects a thread of this worker to its jobs."""
        if self._only not in {None, current_thread()} or connection is not self._store.connection:
            return
        try:
            self._add(connection)
        except (DatabaseError, InterfaceError):
            # The code that opened the connection can use it anyway.
            logger.exception("Worker %s could not record a session in its row", self._worker.name)

    def _add(self, connection: BaseDatabaseWrapper) -> None:
        session = self._store.session_id()
        if session is None:
            return
        with self._lock:
            self._known[current_thread()] = connection, connection.connection, session
            self._worker.sessions = as_stored(self._open()[: self._limit])
        # In a transaction of the project, the row would stay locked until its end.
        if connection.get_autocommit():
            register(self._store, self._worker)

    def _open(self) -> list[SessionId]:
        for thread, (connection, driver_connection, _) in list(self._known.items()):
            if not thread.is_alive() or connection.connection is not driver_connection:
                del self._known[thread]
        return [session for _, _, session in self._known.values()]
