"""A sign of life that others can see, for as long as this process runs jobs."""

import logging
import os
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from threading import Event

from django.db import DatabaseError, InterfaceError

from django_future import __version__, clock
from django_future.conf import config
from django_future.models import Worker
from django_future.progress import Inbox
from django_future.service_thread import OnDeath, ServiceThread, ignore_death
from django_future.store import EVERYTHING, Selection, Store
from django_future.store.pooling import dedicated_connection
from django_future.store.workers import register, unregister
from django_future.worker.housekeeping import (
    Chore,
    Housekeeping,
    close_connection,
    write_progress,
)

logger = logging.getLogger("django_future")

INITIAL_BACKOFF_SECONDS = 0.1  # before a beat that failed is tried again


def new_worker(name: str = "", selection: Selection = EVERYTHING) -> Worker:
    """Return a worker that stands for this process, and is not registered yet."""
    host, pid = socket.gethostname(), os.getpid()
    unique = f"{name[:60] or host[:60]}-{pid}-{secrets.token_hex(4)}"
    started_at = clock.to_row(clock.now())
    return Worker(
        name=unique,
        host=host[:255],
        pid=pid,
        queues=selection.queue_names,
        version=__version__,
        started_at=started_at,
    )


@contextmanager
def heartbeat(
    store: Store,
    worker: Worker,
    on_beat: Callable[[], None] = lambda: None,
    chores: Sequence[Chore] = (),
    on_death: OnDeath = ignore_death,
) -> Iterator[Worker]:
    """Register a worker, keep it alive from a thread of its own, and take it off the list.

    `on_beat` is called on that thread after each beat, and must be quick. A second thread does the
    `chores` at each heartbeat, and writes what handlers report.
    """
    register(store, worker)
    # In the transaction of a TestCase nobody else sees the row, and a beat would wait for its end.
    is_seen = not store.connection.in_atomic_block
    woken = Event()
    with Inbox(worker.name, on_first=woken.set) as inbox:
        housekeeping = Housekeeping(store, inbox, woken, chores)
        beat = partial(_live, store, worker, on_beat)
        try:
            with _threads(beat, housekeeping, woken, on_death) if is_seen else nullcontext():
                yield worker
        finally:
            try:
                _leave(store, worker, inbox)
            except (DatabaseError, InterfaceError):
                logger.exception("Worker %s could not say that it has stopped", worker.name)


@contextmanager
def _threads(
    beat: Callable[[Event], None], housekeeping: Housekeeping, woken: Event, on_death: OnDeath
) -> Iterator[None]:
    housekeeper = ServiceThread("housekeeping", housekeeping.work, on_death)
    # The heartbeat ends last: housekeeping that takes long to stop is no reason to seem lost.
    with ServiceThread("heartbeat", beat, on_death), housekeeper:
        try:
            yield
        finally:
            housekeeper.stopped.set()  # before it is woken, to see this
            woken.set()


def _live(store: Store, worker: Worker, on_beat: Callable[[], None], stopped: Event) -> None:
    with dedicated_connection(store.alias):
        _beat(store, worker, on_beat, stopped)


def _beat(store: Store, worker: Worker, on_beat: Callable[[], None], stopped: Event) -> None:
    # Twice per interval, so that one beat may be late or lost without anybody noticing.
    interval = config().HEARTBEAT.total_seconds() / 2
    pause = interval
    while not stopped.wait(pause):
        try:
            store.synchronise()
            register(store, worker)
            pause = interval
        except Exception:
            logger.exception("Worker %s could not show that it lives", worker.name)
            close_connection(store)
            pause = INITIAL_BACKOFF_SECONDS if pause == interval else min(2 * pause, interval)
            continue
        try:
            on_beat()
        except Exception:
            logger.exception("Worker %s lives, but could not say so everywhere", worker.name)
    store.connection.close()


def _leave(store: Store, worker: Worker, inbox: Inbox) -> None:
    try:
        write_progress(store, inbox)
        unregister(store, worker)
    except (DatabaseError, InterfaceError):
        if store.connection.in_atomic_block:
            raise
        # It may have broken long ago, while this thread had no use for it.
        store.connection.close()
        write_progress(store, inbox)
        unregister(store, worker)
