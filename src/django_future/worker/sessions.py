"""Which sessions of its server a process uses, so that others can end them once it is lost."""

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
def sessions_known(
    store: Store, worker: Worker, *, limit: int = MAX_SESSIONS, only: Thread | None = None
) -> Iterator[None]:
    """Unset on the worker's row by which sessions its threads, or the one given, are connected."""
    if store.connection.in_atomic_block:  # of a test, whose rows nobody else sees
        yield
        return
    sessions = _Sessions(store, worker, limit=limit, only=only)
    sessions.note(connection=store.connection)
    connection_created.connect(sessions.note)
    try:
        yield
    finally:
        connection_created.disconnect(sessions.note)


class _Sessions:
    """The sessions of connections that are open."""

    def __init__(self, store: Store, worker: Worker, *, limit: int, only: Thread | None) -> None:
        self._store = store
        self._worker = worker
        self._limit = limit
        self._only = only
        self._lock = Lock()
        # By thread, the oldest first: a worker's own threads are older than those that handlers
        # start.
        self._known: WeakKeyDictionary[Thread, tuple[BaseDatabaseWrapper, Any, SessionId]] = (
            WeakKeyDictionary()
        )

    def note(self, *, connection: BaseDatabaseWrapper, **_: Any) -> None:
        """Note a connection that was just opened, if it is one of this worker's to its jobs."""
        if self._only not in {None, current_thread()} or connection is not self._store.connection:
            return
        try:
            self._note(connection)
        except (DatabaseError, InterfaceError):
            # Not an error of whatever has opened the connection, which goes on.
            logger.exception("Worker %s could not note a session", self._worker.name)

    def _note(self, connection: BaseDatabaseWrapper) -> None:
        session = self._store.session_id()
        if session is None:
            return
        with self._lock:
            self._known[current_thread()] = connection, connection.connection, session
            self._worker.sessions = as_stored(self._open()[: self._limit])
        # In a transaction of the project's the row would be locked until that ends.
        if connection.get_autocommit():
            register(self._store, self._worker)

    def _open(self) -> list[SessionId]:
        for thread, (connection, driver_connection, _) in list(self._known.items()):
            if not thread.is_alive() or connection.connection is not driver_connection:
                del self._known[thread]
        return [session for _, _, session in self._known.values()]
