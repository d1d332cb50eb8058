"""A sign of life that others can see, for as long as this process runs jobs."""

import logging
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from django.db import DatabaseError

from django_future import clock
from django_future.conf import config
from django_future.models import Worker
from django_future.store import Store

logger = logging.getLogger("django_future")


@contextmanager
def heartbeat(store: Store) -> Iterator[Worker]:
    """Register a worker, keep it alive from a thread of its own, and take it off the list."""
    host = socket.gethostname()
    name = f"{host[:80]}-{os.getpid()}-{secrets.token_hex(4)}"
    started_at = clock.to_row(store.now())
    worker = Worker(name=name, host=host[:255], pid=os.getpid(), started_at=started_at)
    store.register(worker)
    stopped = Event()
    thread = Thread(target=_beat, args=(store, worker, stopped), name="heartbeat", daemon=True)
    thread.start()
    try:
        yield worker
    finally:
        stopped.set()
        thread.join()
        store.unregister(worker)


def _beat(store: Store, worker: Worker, stopped: Event) -> None:
    # Twice per interval, so that one beat may be late or lost without anybody noticing.
    while not stopped.wait(config().HEARTBEAT.total_seconds() / 2):
        try:
            store.register(worker)
        except DatabaseError:
            logger.exception("Worker %s could not show that it lives", worker.name)
        finally:
            store.connection.close()
