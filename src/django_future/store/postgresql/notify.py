"""PostgreSQL's NOTIFY: how those who schedule wake those who wait."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from selectors import EVENT_READ, DefaultSelector
from threading import Event
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.db.backends.base.base import BaseDatabaseWrapper

from django_future import clock
from django_future.store.pooling import unpooled_copy

logger = logging.getLogger("django_future")

CHANNEL = "django_future"
MIN_NOTIFY_INTERVAL_SECONDS = 0.01  # seconds
RECONNECT_SECONDS = 5  # seconds
LISTENING_SECONDS = 0.5  # before the listener looks whether it is stopped
NOTIFY_HORIZON = timedelta(minutes=1)  # what is due later, every poll finds in time


class NotifyLimiter:
    """Says when a hint is worth sending, and not too soon after the one before."""

    def __init__(self) -> None:
        self._sent_at = -math.inf

    def is_soon(self, scheduled_at: datetime) -> bool:
        """Tell whether a job of that time may be due before a worker looks again."""
        return scheduled_at - clock.now() < NOTIFY_HORIZON

    def should_send(self) -> bool:
        """Tell whether to send a hint now, in the belief that it will be sent."""
        # At most one in a while: at its commit a NOTIFY takes a lock that all others wait for.
        # A worker that was told looks again a little later, and so finds those that were left out.
        now = time.monotonic()
        if now - self._sent_at < MIN_NOTIFY_INTERVAL_SECONDS:
            return False
        self._sent_at = now
        return True

    @contextmanager
    def sending(self, connection: BaseDatabaseWrapper) -> Iterator[None]:
        """Send a hint within this block; it does not count if it reaches nobody now."""
        is_sent = False
        try:
            yield
            # In a transaction it is sent at the commit, which may be much later, or never.
            is_sent = not connection.in_atomic_block and connection.get_autocommit()
        finally:
            if not is_sent:
                self._sent_at = -math.inf


def listen(connection: BaseDatabaseWrapper, on_notify: Callable[[], None], stopped: Event) -> None:
    """Call `on_notify` at each NOTIFY, until stopped, on its own copy of `connection`.

    Behind PgBouncer it may hear nothing, and where it breaks the worker polls meanwhile.
    """
    while not stopped.is_set():
        listener = unpooled_copy(connection)
        try:
            _listen(listener, on_notify, stopped)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("NotifyLimiter are interrupted, polling meanwhile: %s", error)
            stopped.wait(RECONNECT_SECONDS)
        finally:
            listener.close()


def _listen(listener: BaseDatabaseWrapper, on_notify: Callable[[], None], stopped: Event) -> None:
    listener.ensure_connection()
    with listener.wrap_database_errors:
        listener.connection.execute(f"LISTEN {CHANNEL}")
        on_notify()
        while not stopped.is_set():
            if _has_notification(listener.connection.pgconn):
                on_notify()


def _has_notification(connection: Any) -> bool:
    """Wait for a notification, for a while, and take all that have arrived."""
    # Not by the notifies() of the driver: before psycopg 3.2 that waits for ever.
    with DefaultSelector() as selector:
        selector.register(connection.socket, EVENT_READ)
        if not selector.select(LISTENING_SECONDS):
            return False
    connection.consume_input()
    has_any = False
    while connection.notifies():
        has_any = True
    return has_any
