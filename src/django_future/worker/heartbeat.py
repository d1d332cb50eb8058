"""The heartbeat, which shows other processes that this worker is alive."""

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

INITIAL_BACKOFF_SECONDS = 0.1  # before the next attempt after a failed beat


def new_worker(name: str = "", selection: Selection = EVERYTHING, threads: int = 1) -> Worker:
    """Return an unsaved worker for this process."""
    host, pid = socket.gethostname(), os.getpid()
    unique = f"{name[:60] or host[:60]}-{pid}-{secrets.token_hex(4)}"
    started_at = clock.to_row(clock.now())
    return Worker(
        name=unique,
        host=host[:255],
        pid=pid,
        queues=selection.queue_names,
        threads=threads,
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
    materialise: Callable[[], float] | None = None,
) -> Iterator[Worker]:
    """Register a worker, write its heartbeat from a separate thread, and unregister it at the end.

    `on_beat` is called on that thread after each beat, and must be quick. A second thread does the
    `chores` twice per heartbeat, writes the progress of handlers, and calls `materialise`.
    """
    register(store, worker)
    # In the transaction of a TestCase no other connection sees the row, and a beat would wait for
    # its lock.
    is_visible = not store.connection.in_atomic_block
    woken = Event()
    with Inbox(worker.name, on_first=woken.set) as inbox:
        housekeeping = Housekeeping(store, inbox, woken, chores, materialise)
        beat = partial(_beat_with_connection, store, worker, on_beat)
        try:
            with _threads(beat, housekeeping, woken, on_death) if is_visible else nullcontext():
                yield worker
        finally:
            try:
                _write_and_unregister(store, worker, inbox)
            except (DatabaseError, InterfaceError):
                logger.exception("Worker %s has stopped, but could not delete its row", worker.name)


@contextmanager
def _threads(
    beat: Callable[[Event], None], housekeeping: Housekeeping, woken: Event, on_death: OnDeath
) -> Iterator[None]:
    housekeeper = ServiceThread("housekeeping", housekeeping.work, on_death)
    # The heartbeat stops last, so that the worker does not seem lost while housekeeping stops.
    with ServiceThread("heartbeat", beat, on_death), housekeeper:
        try:
            yield
        finally:
            housekeeper.stopped.set()  # before `woken`, because the thread then checks it
            woken.set()


def _beat_with_connection(
    store: Store, worker: Worker, on_beat: Callable[[], None], stopped: Event
) -> None:
    with dedicated_connection(store.alias):
        _beat(store, worker, on_beat, stopped)


def _beat(store: Store, worker: Worker, on_beat: Callable[[], None], stopped: Event) -> None:
    # Twice per interval, so that one beat may be late or fail without consequences.
    interval = config().HEARTBEAT.total_seconds() / 2
    pause = interval
    while not stopped.wait(pause):
        try:
            store.synchronise()
            register(store, worker)
            pause = interval
        except Exception:
            logger.exception("Worker %s could not write its heartbeat", worker.name)
            close_connection(store)
            pause = INITIAL_BACKOFF_SECONDS if pause == interval else min(2 * pause, interval)
            continue
        try:
            on_beat()
        except Exception:
            logger.exception("Worker %s could not complete its tasks after a beat", worker.name)
    store.connection.close()


def _write_and_unregister(store: Store, worker: Worker, inbox: Inbox) -> None:
    try:
        write_progress(store, inbox)
        unregister(store, worker)
    except (DatabaseError, InterfaceError):
        if store.connection.in_atomic_block:
            raise
        # The connection may have broken while this thread did not use it.
        store.connection.close()
        write_progress(store, inbox)
        unregister(store, worker)
