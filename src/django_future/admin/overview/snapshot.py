"""What the overview shows, read from the database with a few statements."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from django_future.diagnosis import workers_of
from django_future.models import PausedQueue, RecurringJob, Worker
from django_future.store import Store, statistics
from django_future.store.backlog import MAX_QUEUES, Backlog
from django_future.store.current import CurrentJob, CurrentJobs, current_jobs
from django_future.store.failures import FailureGroup, groups
from django_future.store.queue_states import queue_states
from django_future.store.recurring import next_and_broken
from django_future.store.statistics import History, Step, Totals
from django_future.store.workers import is_alive

MAX_GROUPS = 5
MAX_FAILURES = 1000  # counted
MAX_RECURRING = 50
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HOUR_STEP, DAY_STEP = timedelta(minutes=5), timedelta(hours=1)


@dataclass(frozen=True)
class QueueLine:
    """A queue with its backlog, its pause and the live workers that serve it."""

    backlog: Backlog
    paused: PausedQueue | None
    workers: list[Worker]
    running: int

    @property
    def name(self) -> str:
        """The name of the queue."""
        return self.backlog.queue_name


@dataclass(frozen=True)
class Snapshot:
    """The state of a database at the time `at`, with numbers up to a limit."""

    alias: str
    at: datetime
    workers: list[Worker]
    queues: list[QueueLine]
    jobs: CurrentJobs
    failures: list[FailureGroup]
    recurring: list[RecurringJob]
    history: History
    has_all_queues: bool

    @cached_property
    def alive(self) -> list[Worker]:
        """The workers that were seen lately."""
        return [worker for worker in self.workers if is_alive(worker, self.at)]

    @cached_property
    def lost(self) -> list[Worker]:
        """The workers that have not been seen for too long."""
        return [worker for worker in self.workers if not is_alive(worker, self.at)]

    @cached_property
    def running_by_worker(self) -> Counter[str]:
        """How many jobs each worker runs or has claimed."""
        return Counter(job.worker for job in self.jobs.running)

    @cached_property
    def started(self) -> list[CurrentJob]:
        """The jobs that run, without those that are claimed and have not started."""
        return [job for job in self.jobs.running if job.started_at is not None]

    @cached_property
    def broken(self) -> list[RecurringJob]:
        """The recurring jobs that cannot be followed."""
        return [one for one in self.recurring if one.error]

    def totals(self, length: timedelta) -> Totals:
        """Return the jobs that ended in the last `length`."""
        return self.history.totals(self._until - length, self._until)

    def series(self, length: timedelta, step: timedelta) -> list[Step]:
        """Return the jobs that ended in each `step` of the last `length`."""
        return self.history.series(self._until - length, self._until, step)

    @property
    def _until(self) -> datetime:
        return _next_minute(self.at)


def snapshot(store: Store) -> Snapshot:
    """Return the state now."""
    at = store.now()
    workers, states = workers_of(store), queue_states(store, at)
    priorities = {priority for state in states for priority in state.priorities}
    jobs = current_jobs(store, priorities, at)
    running = Counter(job.queue_name for job in jobs.running)
    alive = [worker for worker in workers if is_alive(worker, at)]
    waiting = {state.backlog.queue_name for state in states}
    empty = [Backlog(name, 0, 0, None, is_exact=True) for name in running if name not in waiting]
    queues = [
        QueueLine(
            backlog,
            paused,
            [worker for worker in alive if worker.serves(backlog.queue_name)],
            running[backlog.queue_name],
        )
        for backlog, paused in [
            *((state.backlog, state.paused) for state in states),
            *((backlog, None) for backlog in empty),
        ]
    ]
    return Snapshot(
        alias=store.alias,
        at=at,
        workers=workers,
        queues=sorted(queues, key=lambda queue: queue.name),
        jobs=jobs,
        failures=groups(store, MAX_GROUPS + 1, MAX_FAILURES),
        recurring=next_and_broken(store, MAX_RECURRING),
        has_all_queues=len(states) < MAX_QUEUES,
        history=statistics.read(store, _next_minute(at) - DAY, _next_minute(at)),
    )


def _next_minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0) + timedelta(minutes=1)
