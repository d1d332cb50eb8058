"""The state of a database: its queues, its workers, and recent failures."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from django_future.diagnosis import workers_of
from django_future.models import PausedQueue, RecurringJob, Worker
from django_future.status import Status
from django_future.store import Store
from django_future.store.backlog import Backlog
from django_future.store.queue_states import QueueState, queue_states
from django_future.store.recent import (
    MAX_LISTED,
    Recent,
    ended_since,
    failed_since,
    overdue,
    parked,
    running,
    running_by_worker,
)
from django_future.store.recurring import broken
from django_future.store.unknown_handlers import UnknownHandlers, unknown_handlers
from django_future.store.workers import is_alive

RECENTLY = timedelta(days=1)


@dataclass(frozen=True)
class Queue:
    """A queue that is paused or contains waiting jobs, with the live workers that serve it."""

    name: str
    backlog: Backlog
    paused: PausedQueue | None
    workers: list[str]


@dataclass(frozen=True)
class Overview:
    """The state of a database of jobs at the time `at`."""

    alias: str
    at: datetime
    queues: list[Queue]
    workers: list[Worker]
    running: Recent
    running_by_worker: Counter[str]
    failed: Recent
    expired: Recent
    overdue: Recent
    parked: Recent
    broken: list[RecurringJob]
    unknown_handlers: UnknownHandlers


def overview(store: Store) -> Overview:
    """Return the state now; counts and lists have an upper bound, however large the table is."""
    at = store.now()
    workers, states = workers_of(store), queue_states(store, at)
    priorities = {priority for state in states for priority in state.priorities}
    return Overview(
        alias=store.alias,
        at=at,
        queues=_queues(states, workers, at),
        workers=workers,
        running=running(store),
        running_by_worker=running_by_worker(store),
        failed=failed_since(store, at - RECENTLY),
        expired=ended_since(store, Status.EXPIRED, at - RECENTLY),
        overdue=overdue(store, at),
        parked=parked(store),
        broken=broken(store, limit=MAX_LISTED),
        unknown_handlers=unknown_handlers(store, priorities, at),
    )


def _queues(states: list[QueueState], workers: list[Worker], at: datetime) -> list[Queue]:
    alive = [worker for worker in workers if is_alive(worker, at)]
    return [
        Queue(
            state.backlog.queue_name,
            state.backlog,
            state.paused,
            [worker.name for worker in alive if worker.serves(state.backlog.queue_name)],
        )
        for state in states
    ]
