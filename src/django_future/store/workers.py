"""The rows of workers: which of them are alive, and which are lost."""

import logging
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from django.db.models import Q

from django_future import clock
from django_future.conf import config
from django_future.models import Worker
from django_future.store.base import Store
from django_future.store.contention import retry_on_contention
from django_future.store.server_sessions import SessionId, read_sessions

logger = logging.getLogger("django_future")

MAX_SILENCE = 1.25  # heartbeats without an update of its row, after which a worker is lost


class LostWorker(NamedTuple):
    """The id of a lost worker's row, and the sessions that the worker had open."""

    id: int
    sessions: list[SessionId]


@retry_on_contention
def register(store: Store, worker: Worker) -> None:
    """Record at each heartbeat that `worker` is alive, with the time of the database's clock."""
    worker.seen_at = clock.to_row(store.now())
    registered = Worker.objects.using(store.alias).filter(name=worker.name)
    if not registered.update(seen_at=worker.seen_at, sessions=worker.sessions):
        # Another thread may have inserted the row since.
        Worker.objects.using(store.alias).bulk_create([worker], ignore_conflicts=True)


@retry_on_contention
def unregister(store: Store, worker: Worker) -> None:
    """Delete the row of a worker that has stopped."""
    Worker.objects.using(store.alias).filter(name=worker.name).delete()


def living_from(at: datetime) -> datetime:
    """Return the earliest `seen_at` of a worker that is alive at `at`."""
    return at - MAX_SILENCE * config().HEARTBEAT


def living_until(at: datetime) -> datetime:
    """Return the latest `seen_at` of a worker that is alive at `at`.

    A later time was written before the database's clock was set back.
    """
    return at + MAX_SILENCE * config().HEARTBEAT


def is_alive(worker: Worker, at: datetime) -> bool:
    """Return whether a worker is alive at `at`, by the time when it was last seen."""
    return living_from(at) <= clock.from_row(worker.seen_at) <= living_until(at)


def lost_workers(store: Store, at: datetime) -> Iterator[LostWorker]:
    """Yield the workers that are lost at `at`."""
    lost = Worker.objects.using(store.alias).filter(_is_lost(at))
    # Each row is read by itself, because some rows may be unreadable.
    for pk in list(lost.values_list("pk", flat=True)):
        yield LostWorker(pk, _sessions(store, pk))


@retry_on_contention
def forget(store: Store, lost: LostWorker, at: datetime) -> None:
    """Delete the row of a lost worker, unless the worker has been seen again."""
    # A worker that wakes up may have claimed jobs since. Without its row, these would be rescued.
    Worker.objects.using(store.alias).filter(_is_lost(at), pk=lost.id).delete()


def _is_lost(at: datetime) -> Q:
    since, until = clock.to_row(living_from(at)), clock.to_row(living_until(at))
    return Q(seen_at__lt=since) | Q(seen_at__gt=until)


def _sessions(store: Store, pk: int) -> list[SessionId]:
    try:
        [worker] = Worker.objects.using(store.alias).filter(pk=pk).only("sessions")
        return read_sessions(worker)
    except Exception:
        logger.exception("The sessions of the lost worker %s cannot be read", pk)
        return []
