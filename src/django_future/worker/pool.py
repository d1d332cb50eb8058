"""The threads of a worker, and how many jobs they should have at hand."""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from threading import Event, Lock, Thread, current_thread

from django.conf import settings
from django.db import connections, reset_queries

from django_future import clock
from django_future.execution.async_exceptions import drop_pending, raise_in
from django_future.execution.executor import Interrupted, NotRecorded, NotStarted, abandon, execute
from django_future.execution.failure import rescue_job
from django_future.execution.watchdog import Watchdog
from django_future.log import about, named, told
from django_future.models import ScheduledJob
from django_future.service_thread import OnDeath, ignore_death
from django_future.store import Session, Store
from django_future.store.connection_state import discard, is_clean
from django_future.store.pooling import dedicated_connection
from django_future.worker.confirmation import Confirmation
from django_future.worker.delay_queue import Ready
from django_future.worker.recorder import Recorder
from django_future.worker.unknown_handlers import UnknownHandlers

logger = logging.getLogger("django_future")

AT_HAND = 0.05  # seconds of work that each thread should have before it
MOST_AT_HAND = 1000  # jobs, however short they are
PATIENCE = timedelta(milliseconds=200)  # for which a due job waits for a thread of this process
HEAD_START = timedelta(milliseconds=3)  # before its time, in which a thread prepares a job
LAST_WORDS = 2.0  # seconds for a handler to clean up once it is interrupted
WEIGHT = 0.1  # of the latest job in what is expected of the next
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds between a thread's attempts to connect


class Pool:
    """Runs claimed jobs on threads, each with database connections of its own."""

    def __init__(
        self,
        store: Store,
        threads: int,
        on_room: Callable[[], None],
        on_death: OnDeath = ignore_death,
    ) -> None:
        self.finished = 0
        self.unknown_handlers = UnknownHandlers(store)
        # How long it takes to get more jobs; for so long the threads need work, too.
        self.supply_takes = timedelta()
        self._taken_in = 0
        self._given_back = 0
        self._lock = Lock()
        self._store = store
        self._on_room = on_room
        self._calls_below = 0  # jobs held
        self._ready = Ready(self._now_ahead)
        self._confirmation = Confirmation(store, self._ready)
        self._recorder = Recorder(store)
        self._watchdog = Watchdog(store, self._abandon, on_death)
        self._running: dict[Thread, tuple[ScheduledJob, float]] = {}
        self._not_started: deque[ScheduledJob] = deque()
        self._pausing = 0  # threads that cannot connect
        self._connected = 0  # threads that have begun to take jobs
        self._has_lost_thread = False
        self._closed = Event()
        self._has_other_databases = len(connections.settings) > 1
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
        return [*self._ready.jobs, *running, *list(self._not_started), *self._recorder.jobs]

    @property
    def running(self) -> int:
        """How many jobs are being run."""
        return len(self._running)

    @property
    def running_jobs(self) -> list[ScheduledJob]:
        """The jobs that are being run."""
        return [job for job, _ in list(self._running.values())]

    @property
    def is_stuck(self) -> bool:
        """Whether a thread is of no more use: its handler does not end, or it has ended itself."""
        return bool(self._watchdog.stuck) or self._has_lost_thread

    @property
    def can_run(self) -> bool:
        """Whether any thread can run a job, now or once its present one has ended."""
        return self._connected > self._pausing

    def room(self) -> int:
        """Return how many more jobs would start soon: many short ones, but few long ones."""
        return self._capacity() - self.held

    def call_when_room(self) -> None:
        """Call `on_room` once, when half of what is held has ended."""
        self._calls_below = self.held // 2 + 1

    def record(self) -> None:
        """Record the ends of jobs that their threads have not recorded."""
        if settings.DEBUG:
            reset_queries()  # those of the thread that claims
        self._recorder.record()

    def put(self, jobs: Sequence[ScheduledJob]) -> None:
        """Run claimed jobs, each at its time."""
        self._taken_in += len(jobs)
        self._ready.put(jobs)

    def withdraw(self) -> list[ScheduledJob]:
        """Return what to release: jobs that a long one holds up, or that could not be started."""
        withdrawn = self._ready.withdraw(PATIENCE + self.supply_takes)
        while self._not_started:
            withdrawn.append(self._not_started.popleft())
        self._given_back += len(withdrawn)
        return withdrawn

    def drain(self) -> list[ScheduledJob]:
        """Start no more jobs, and return those that were not started."""
        self._closed.set()
        return self._ready.close()

    def close(self, timeout: timedelta) -> list[ScheduledJob]:
        """Let what runs end, for so long; interrupt the rest. Return what to release."""
        self._join(timeout.total_seconds())
        for thread in list(self._running):
            raise_in(thread.ident or 0, Interrupted)
        self._watchdog.cancel_tasks()
        self._join(LAST_WORDS)
        self._watchdog.stop()
        drop_pending()  # what was raised in a thread that had just ended
        # What does not even hear of it, such as a call into C, loses its job all the same.
        return [*self._not_started, *(job for job, _ in self._running.values())]

    def _now_ahead(self) -> datetime:
        """Return the time up to which jobs are given to threads, which hold them to their instant.

        Before a handler is called its job is confirmed and its transaction begins. On some
        databases each takes a round trip.
        """
        store = self._store
        return store.now() + HEAD_START + 2 * store.round_trip

    def _abandon(self, job: ScheduledJob, exception: Exception) -> None:
        self._on_room()
        abandon(job, exception, self._store)

    def _capacity(self) -> int:
        at_hand = AT_HAND + self.supply_takes.total_seconds()
        long_ago = time.monotonic() - at_hand
        busy = sum(started_at < long_ago for _, started_at in list(self._running.values()))
        free = len(self._threads) - busy - self._pausing
        return busy + min(max(int(at_hand / self._seconds_per_job * free), free), MOST_AT_HAND)

    def _run(self) -> None:
        with dedicated_connection(self._store.alias):
            self._run_all()

    def _run_all(self) -> None:
        try:
            session = Session(self._store)
            session.warm_up()  # the first job should not wait for it
            with self._lock:
                self._connected += 1
            self._serve(session)
        except Interrupted:
            pass
        except BaseException:
            logger.critical("A thread of this worker has ended; another process must take over",
                            exc_info=True)  # fmt: skip
            self._has_lost_thread = True
            self._on_room()
        finally:
            connections.close_all()

    def _serve(self, session: Session) -> None:
        pause, thread = FIRST_PAUSE, current_thread()
        while (job := self._next(session)) is not None:
            try:
                self._run_one(job, session, thread)
            except NotStarted as error:
                logger.warning("%s. Trying again in %.1f s", error, pause)
                self._not_started.append(job)
                self._pause(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                pause = FIRST_PAUSE

    def _next(self, session: Session) -> ScheduledJob | None:
        job = self._ready.take(wait=False)
        if job is None:
            session.rest()
            self._tidy_connections(session)
            job = self._ready.take()
            session.drop_if_hung_up()
        return job

    def _run_one(self, job: ScheduledJob, session: Session, thread: Thread) -> None:
        started_at = time.monotonic()
        self._running[thread] = job, started_at
        try:
            self._execute(job, session)
        finally:
            del self._running[thread]
        if not session.is_kept or self._has_other_databases:
            self._tidy_connections(session)
        seconds = time.monotonic() - started_at
        with self._lock:
            self.finished += 1
            self._seconds_per_job += WEIGHT * (seconds - self._seconds_per_job)
        if self.held < self._calls_below or (self._recorder.has_completions and not self._ready):
            self._calls_below = 0
            self._on_room()

    def _execute(self, job: ScheduledJob, session: Session) -> None:
        try:
            if _has_expired(job, self._store):
                session.rest()
                self._store.release(job)
                return
            outcome = execute(
                job,
                session,
                self._watchdog,
                gather=self._recorder.add_completion,
                confirm=self._confirmation.confirm,
                is_held=True,
            )
            if outcome.is_left:
                self.unknown_handlers.note(job)
        except NotStarted:
            raise
        except NotRecorded as error:
            logger.exception(
                "Job %s has ended; that is recorded as soon as possible",
                named(job),
                exc_info=told(job, error),
                extra=about(job),
            )
            self._recorder.add(error)
        except Exception as error:
            logger.exception(
                "The end of job %s could not be recorded",
                named(job),
                exc_info=told(job, error),
                extra=about(job),
            )
            session.discard()
            reason = "The end of the job could not be recorded"
            record = partial(rescue_job, job, self._store, reason)
            self._recorder.add(NotRecorded(job, record))

    def _pause(self, seconds: float) -> None:
        with self._lock:
            self._pausing += 1
        self._on_room()  # the loop releases the job
        self._closed.wait(seconds)
        with self._lock:
            self._pausing -= 1
        self._on_room()

    def _tidy_connections(self, session: Session) -> None:
        """Make this thread's connections as new, so that no job inherits anything from another."""
        session.tidy()
        for connection in connections.all(initialized_only=True):
            # A worker keeps the connection to its jobs, of which it will soon have need again, even
            # where CONN_MAX_AGE is 0. What handlers opened besides is treated as after a request.
            if connection.alias == self._store.alias:
                if session.is_kept or not connection.settings_dict["CONN_MAX_AGE"]:
                    continue
            elif not is_clean(connection):
                discard(connection)
                continue
            connection.close_if_unusable_or_obsolete()
        if settings.DEBUG:
            reset_queries()  # or Django keeps the latest 9,000 statements of each connection

    def _join(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            if thread.ident not in self._watchdog.stuck:
                thread.join(max(deadline - time.monotonic(), 0))


def _has_expired(job: ScheduledJob, store: Store) -> bool:
    return job.expires_at is not None and clock.from_row(job.expires_at) <= store.now()
