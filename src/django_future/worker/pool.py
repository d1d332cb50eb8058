"""The threads of a worker, and how many jobs they should have at hand."""

import ctypes
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from threading import Lock, Thread, current_thread

from django.db import DatabaseError, connections

from django_future import clock
from django_future.execution import abandon, execute, finish_together
from django_future.models import ScheduledJob
from django_future.store import Session, Store
from django_future.watchdog import Watchdog
from django_future.worker.ready import Ready
from django_future.worker.unknown import UnknownHandlers

logger = logging.getLogger("django_future")

AT_HAND = 0.05  # seconds of work that each thread should have before it
MOST_AT_HAND = 1000  # jobs, however short they are
PATIENCE = timedelta(milliseconds=200)  # for which a due job waits for a thread of this process
LAST_WORDS = 2.0  # seconds for a handler to clean up once it is interrupted
WEIGHT = 0.1  # of the latest job in what is expected of the next


class Interrupted(BaseException):
    """Raised in a handler that still runs when its worker must go."""


class Pool:
    """Runs claimed jobs on threads, each with database connections of its own."""

    def __init__(self, store: Store, threads: int, on_room: Callable[[], None]) -> None:
        self.finished = 0
        self.unknown_handlers = UnknownHandlers(store)
        self._taken_in = 0
        self._given_back = 0
        self._lock = Lock()
        self._store = store
        self._on_room = on_room
        self._calls_below = 0  # jobs held
        self._gathered: list[ScheduledJob] = []
        self._ready = Ready(store.now)
        self._watchdog = Watchdog(store, self._abandon)
        self._running: dict[Thread, tuple[ScheduledJob, float]] = {}
        self._unrecorded: list[ScheduledJob] = []
        self._seconds_per_job = AT_HAND  # until more is known: one job for each thread
        self._threads = [
            Thread(target=self._run, name=f"runner-{number}", daemon=True)
            for number in range(1, threads + 1)
        ]

    def start(self) -> None:
        """Start the threads."""
        self._watchdog.start()
        for thread in self._threads:
            thread.start()

    @property
    def held(self) -> int:
        """How many jobs are claimed and have not ended."""
        return self._taken_in - self._given_back - self.finished

    @property
    def jobs(self) -> list[ScheduledJob]:
        """The claimed jobs that this pool knows of, in no order."""
        running = [job for job, _ in list(self._running.values())]
        return [*self._ready.jobs, *running, *self._unrecorded, *self._gathered]

    @property
    def running(self) -> int:
        """How many jobs are being run."""
        return len(self._running)

    @property
    def is_stuck(self) -> bool:
        """Whether a handler does not end, though it was interrupted."""
        return bool(self._watchdog.stuck)

    def room(self) -> int:
        """Return how many more jobs would start soon: many short ones, but few long ones."""
        return self._capacity() - self.held

    def call_when_room(self) -> None:
        """Call `on_room` once, when half of what is held has ended."""
        self._calls_below = self.held // 2 + 1

    def record(self) -> None:
        """Record the ends of the jobs that asked their database nothing."""
        jobs = self._gathered[:]
        if jobs:
            finish_together(jobs, self._store)
            # Only now: until it is recorded, the end of a job must not be forgotten.
            del self._gathered[: len(jobs)]

    def put(self, jobs: Sequence[ScheduledJob]) -> None:
        """Run claimed jobs, each at its time."""
        self._taken_in += len(jobs)
        self._ready.put(jobs)

    def withdraw(self) -> list[ScheduledJob]:
        """Return what to release: jobs that a long one holds up, or whose end was not recorded."""
        unrecorded, self._unrecorded = self._unrecorded, []
        withdrawn = self._ready.withdraw(PATIENCE)
        self._given_back += len(withdrawn)
        return unrecorded + withdrawn

    def drain(self) -> list[ScheduledJob]:
        """Start no more jobs, and return those that were not started."""
        return self._ready.close()

    def close(self, timeout: timedelta) -> list[ScheduledJob]:
        """Let what runs end, for so long; interrupt the rest. Return what to release."""
        self._join(timeout.total_seconds())
        for thread in list(self._running):
            _raise_in(thread, Interrupted)
        self._join(LAST_WORDS)
        self._watchdog.stop()
        # What does not even hear of it, such as a call into C, loses its job all the same.
        return [*self._unrecorded, *(job for job, _ in self._running.values())]

    def _abandon(self, job: ScheduledJob, exception: Exception) -> None:
        self._on_room()
        abandon(job, exception, self._store)

    def _capacity(self) -> int:
        long_ago = time.monotonic() - AT_HAND
        busy = sum(started_at < long_ago for _, started_at in list(self._running.values()))
        free = len(self._threads) - busy
        return busy + min(max(int(AT_HAND / self._seconds_per_job * free), free), MOST_AT_HAND)

    def _run(self) -> None:
        try:
            with suppress(DatabaseError):  # the first job should not have to wait for it
                self._store.connection.ensure_connection()
            session = Session(self._store)
            while (job := self._next(session)) is not None:
                self._run_one(job, session)
        except Interrupted:
            pass
        finally:
            connections.close_all()

    def _next(self, session: Session) -> ScheduledJob | None:
        job = self._ready.take(wait=False)
        if job is None:
            session.rest()
            self._tidy_connections()
            job = self._ready.take()
        return job

    def _run_one(self, job: ScheduledJob, session: Session) -> None:
        thread = current_thread()
        started_at = time.monotonic()
        self._running[thread] = job, started_at
        try:
            if _has_expired(job, self._store):
                session.rest()
                self._store.release(job)
            else:
                outcome = execute(job, session, self._watchdog, gather=self._gathered.append)
                if outcome.is_left:
                    self.unknown_handlers.note(job)
        except Exception:
            logger.exception("Job %s: its end could not be recorded", job.pk)
            self._unrecorded.append(job)
            self._store.connection.close()
        finally:
            del self._running[thread]
        if not session.is_kept:
            self._tidy_connections()
        seconds = time.monotonic() - started_at
        with self._lock:
            self.finished += 1
            self._seconds_per_job += WEIGHT * (seconds - self._seconds_per_job)
        if self.held < self._calls_below or (self._gathered and not self._ready):
            self._calls_below = 0
            self._on_room()

    def _tidy_connections(self) -> None:
        # A worker keeps the connection to its jobs, of which it will soon have need again, even
        # where CONN_MAX_AGE is 0. What handlers opened besides is treated as after a request.
        for connection in connections.all(initialized_only=True):
            if connection.alias != self._store.alias or connection.settings_dict["CONN_MAX_AGE"]:
                connection.close_if_unusable_or_obsolete()

    def _join(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            if thread.ident not in self._watchdog.stuck:
                thread.join(max(deadline - time.monotonic(), 0))


def _has_expired(job: ScheduledJob, store: Store) -> bool:
    return job.expires_at is not None and clock.from_row(job.expires_at) <= store.now()


def _raise_in(thread: Thread, exception: type[BaseException]) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident or 0), ctypes.py_object(exception)
    )
