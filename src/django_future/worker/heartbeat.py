"""A sign of life that others can see, for as long as this process runs jobs."""

import logging
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from threading import Event, Thread

from django.db import DatabaseError, InterfaceError

from django_future import __version__, clock
from django_future.conf import config
from django_future.models import Worker
from django_future.store import Store
from django_future.store.registry import register, unregister

logger = logging.getLogger("django_future")


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

    `on_beat` is called on that thread after each beat.
    """
    register(store, worker)
    # In the transaction of a TestCase nobody else sees the row, and a beat would wait for its end.
    is_seen = not store.connection.in_atomic_block
    try:
        with _beating(store, worker, on_beat) if is_seen else nullcontext():
            yield worker
    finally:
        try:
            _unregister(store, worker)
        except (DatabaseError, InterfaceError):
            logger.exception("Worker %s could not say that it has stopped", worker.name)


def _unregister(store: Store, worker: Worker) -> None:
    try:
        unregister(store, worker)
    except (DatabaseError, InterfaceError):
        if store.connection.in_atomic_block:
            raise
        # It may have broken long ago, while this thread had no use for it.
        store.connection.close()
        unregister(store, worker)


@contextmanager
def _beating(store: Store, worker: Worker, on_beat: Callable[[], None]) -> Iterator[None]:
    stopped = Event()
    arguments = (store, worker, on_beat, stopped)
    thread = Thread(target=_beat, args=arguments, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _beat(store: Store, worker: Worker, on_beat: Callable[[], None], stopped: Event) -> None:
    # Twice per interval, so that one beat may be late or lost without anybody noticing.
    while not stopped.wait(config().HEARTBEAT.total_seconds() / 2):
        try:
            store.synchronise()
            register(store, worker)
            on_beat()
        except (DatabaseError, InterfaceError):
            logger.exception("Worker %s could not show that it lives", worker.name)
            store.connection.close()
    store.connection.close()
