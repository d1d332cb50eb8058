"""PostgreSQL's NOTIFY, which wakes the workers when a job is scheduled."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from selectors import EVENT_READ, DefaultSelector
from threading import Event
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.db.backends.base.base import BaseDatabaseWrapper

from django_future import clock
from django_future.store.base import NOTIFY_HORIZON
from django_future.store.pooling import unpooled_copy

logger = logging.getLogger("django_future")

CHANNEL = "django_future"
MIN_NOTIFY_INTERVAL_SECONDS = 0.01
RECONNECT_SECONDS = 5
STOP_CHECK_SECONDS = 0.5  # how long the listener waits before it checks whether it is stopped


class NotifyLimiter:
    """Decides whether to send a NOTIFY: not for jobs that are due much later, and not too often."""

    def __init__(self) -> None:
        self._sent_at = -math.inf

    def is_soon(self, scheduled_at: datetime) -> bool:
        """Return whether a job of this time may be due before a worker polls again."""
        return scheduled_at - clock.now() < NOTIFY_HORIZON

    def should_send(self) -> bool:
        """Return whether to send a NOTIFY now, and count it as sent."""
        # At most one in an interval, because a NOTIFY takes a global lock at its commit. A worker
        # claims again shortly after a notification, so it finds the jobs without a NOTIFY as well.
        now = time.monotonic()
        if now - self._sent_at < MIN_NOTIFY_INTERVAL_SECONDS:
            return False
        self._sent_at = now
        return True

    @contextmanager
    def sending(self, connection: BaseDatabaseWrapper) -> Iterator[None]:
        """Send a NOTIFY within this block; it does not count unless it is sent at once."""
        is_sent = False
        try:
            yield
            # In a transaction, it is sent at the commit, which may be much later, or never.
            is_sent = not connection.in_atomic_block and connection.get_autocommit()
        finally:
            if not is_sent:
                self._sent_at = -math.inf


def listen(connection: BaseDatabaseWrapper, on_notify: Callable[[], None], stopped: Event) -> None:
    """Call `on_notify` at each NOTIFY until `stopped`, on a copy of `connection`.

    Behind PgBouncer, no notification may arrive. Then the worker only polls, as it does until a
    broken connection is replaced.
    """
    while not stopped.is_set():
        listener = unpooled_copy(connection)
        try:
            _listen(listener, on_notify, stopped)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("The worker only polls until it can listen again: %s", error)
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
    """Wait half a second for a notification, and return whether any has arrived."""
    # Not with notifies() of the driver's connection: before psycopg 3.2, it waits forever.
    with DefaultSelector() as selector:
        selector.register(connection.socket, EVENT_READ)
        if not selector.select(STOP_CHECK_SECONDS):
            return False
    connection.consume_input()
    has_any = False
    while connection.notifies():
        has_any = True
    return has_any
