"""A sign of life that others can see, for as long as this process runs jobs."""

import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from threading import Event, Thread

from django.db import DatabaseError, InterfaceError

from django_future import __version__, clock
from django_future.conf import config
from django_future.models import Worker
from django_future.reports import Inbox
from django_future.store import Store, reports
from django_future.store.registry import register, unregister

logger = logging.getLogger("django_future")

BETWEEN_REPORTS = 1.0  # seconds from one writing of what handlers say to the next


def new_worker(name: str = "", queues: str = "all") -> Worker:
    """Return a worker that stands for this process, and is not registered yet."""
    host, pid = socket.gethostname(), os.getpid()
    unique = f"{name[:60] or host[:60]}-{pid}-{secrets.token_hex(4)}"
    started_at = clock.to_row(clock.now())
    return Worker(
        name=unique,
        host=host[:255],
        pid=pid,
        queues=queues[:255],
        version=__version__,
        started_at=started_at,
    )


@contextmanager
def heartbeat(
    store: Store, worker: Worker, on_beat: Callable[[], None] = lambda: None
) -> Iterator[Worker]:
    """Register a worker, keep it alive from a thread of its own, and take it off the list.

    `on_beat` is called on that thread after each beat. What handlers say is written there, too.
    """
    register(store, worker)
    # In the transaction of a TestCase nobody else sees the row, and a beat would wait for its end.
    is_seen = not store.connection.in_atomic_block
    woken = Event()
    with Inbox(worker.name, on_first=woken.set) as inbox:
        try:
            with _living(store, worker, on_beat, inbox, woken) if is_seen else nullcontext():
                yield worker
        finally:
            try:
                _leave(store, worker, inbox)
            except (DatabaseError, InterfaceError):
                logger.exception("Worker %s could not say that it has stopped", worker.name)


def _leave(store: Store, worker: Worker, inbox: Inbox) -> None:
    try:
        _write_reports(store, inbox)
        unregister(store, worker)
    except (DatabaseError, InterfaceError):
        if store.connection.in_atomic_block:
            raise
        # It may have broken long ago, while this thread had no use for it.
        store.connection.close()
        _write_reports(store, inbox)
        unregister(store, worker)


@contextmanager
def _living(
    store: Store, worker: Worker, on_beat: Callable[[], None], inbox: Inbox, woken: Event
) -> Iterator[None]:
    stopped = Event()
    arguments = (store, worker, on_beat, inbox, woken, stopped)
    thread = Thread(target=_live, args=arguments, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        woken.set()
        thread.join()


def _live(
    store: Store,
    worker: Worker,
    on_beat: Callable[[], None],
    inbox: Inbox,
    woken: Event,
    stopped: Event,
) -> None:
    write_at, beat_at = time.monotonic(), _next_beat()
    while True:
        if woken.wait(beat_at - time.monotonic()):
            stopped.wait(min(write_at, beat_at) - time.monotonic())
        if stopped.is_set():
            break
        try:
            if time.monotonic() >= beat_at:
                beat_at = _next_beat()
                store.synchronise()
                register(store, worker)
                on_beat()
            if woken.is_set() and time.monotonic() >= write_at:
                write_at = time.monotonic() + BETWEEN_REPORTS
                woken.clear()
                _write_reports(store, inbox)
        except (DatabaseError, InterfaceError):
            logger.exception("Worker %s could not show that it lives", worker.name)
            store.connection.close()
            write_at = beat_at
    store.connection.close()


def _next_beat() -> float:
    # Twice per interval, so that one beat may be late or lost without anybody noticing.
    return time.monotonic() + config().HEARTBEAT.total_seconds() / 2


def _write_reports(store: Store, inbox: Inbox) -> None:
    said = inbox.take()
    try:
        said = reports.write(store, said)
    finally:
        inbox.put_back(said)
