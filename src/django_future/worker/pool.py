"""The threads of a worker, and the number of jobs that it prefetches for them."""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from functools import partial
from threading import Event, Lock, Thread, current_thread

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections, reset_queries

from django_future import clock
from django_future.execution.async_exceptions import drop_pending, raise_in
from django_future.execution.executor import execute
from django_future.execution.failure import rescue_job
from django_future.execution.outcome import Ending, Interrupted, NotRecorded, NotStarted
from django_future.execution.recording import abandon
from django_future.execution.watchdog import Watchdog
from django_future.log import job_label, log_extra, loggable
from django_future.models import ScheduledJob
from django_future.service_thread import OnDeath, ignore_death
from django_future.store import Session, Store, transitions
from django_future.store.connection_state import discard, is_clean
from django_future.store.pooling import dedicated_connection
from django_future.worker.confirmation import Confirmation
from django_future.worker.delay_queue import DelayQueue
from django_future.worker.recorder import Recorder
from django_future.worker.unknown_handlers import UnknownHandlers

logger = logging.getLogger("django_future")

PREFETCH_SECONDS = 0.05  # of work for each thread
MAX_PREFETCH = 1000  # jobs
MAX_WAIT_FOR_THREAD = timedelta(milliseconds=200)  # of a due job, before it is released
PREPARE_AHEAD = timedelta(milliseconds=3)  # how long before its time a thread takes a job
INTERRUPT_GRACE_SECONDS = 2.0  # for an interrupted handler to clean up
SMOOTHING = 0.1  # the weight of the latest job in the average duration
INITIAL_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.1, 5.0  # while a thread cannot connect


class Pool:
    """Executes claimed jobs on threads; each thread has its own database connections."""

    def __init__(
        self,
        store: Store,
        threads: int,
        on_idle: Callable[[], None],
        on_death: OnDeath = ignore_death,
    ) -> None:
        self.finished = 0
        self.unknown_handlers = UnknownHandlers(store)
        # How long it takes to claim more jobs. The threads need work for this time, too.
        self.supply_time = timedelta()
        self._accepted = 0
        self._returned = 0
        self._lock = Lock()
        self._store = store
        self._on_idle = on_idle
        self._notify_below = 0  # jobs in flight
        self._ready = DelayQueue(self._now_ahead)
        self._confirmation = Confirmation(store, self._ready)
        self._recorder = Recorder(store)
        self._watchdog = Watchdog(store, self._abandon, on_death)
        self._running: dict[Thread, tuple[ScheduledJob, float]] = {}
        self._not_started: deque[ScheduledJob] = deque()
        self._paused_threads = 0  # threads that cannot connect now
        self._started_threads = 0  # threads that have connected once
        self._has_lost_thread = False
        self._closed = Event()
        self._has_other_databases = len(connections.settings) > 1
        self._seconds_per_job = PREFETCH_SECONDS  # so that a thread gets one job at first
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
    def in_flight(self) -> int:
        """How many jobs are claimed and have not ended."""
        return self._accepted - self._returned - self.finished

    @property
    def jobs(self) -> list[ScheduledJob]:
        """The claimed jobs whose end is not recorded, in no order."""
        return [
            *self._ready.jobs, *self.running_jobs, *list(self._not_started), *self._recorder.jobs
        ]  # fmt: skip

    @property
    def running_jobs(self) -> list[ScheduledJob]:
        """The running jobs, as they were before the calls of their handlers."""
        return self._running_except(frozenset())

    @property
    def is_stuck(self) -> bool:
        """Whether a thread cannot be used again: its handler does not end, or it has ended."""
        return bool(self._watchdog.stuck) or self._has_lost_thread

    @property
    def can_run(self) -> bool:
        """Whether at least one thread has a connection, so that it can execute jobs."""
        return self._started_threads > self._paused_threads

    def free_slots(self) -> int:
        """Return how many more jobs to claim: many if jobs are short, few if they are long."""
        return self._capacity() - self.in_flight

    def notify_when_idle(self) -> None:
        """Call `on_idle` once, when half of the jobs in flight have ended."""
        self._notify_below = self.in_flight // 2 + 1

    def record(self) -> None:
        """Record the ends that threads have passed to the main thread, which calls this."""
        if settings.DEBUG:
            reset_queries()  # of the main thread
        self._recorder.record()

    def record_last(self, stop_at: float) -> None:
        """Record the last ends; see `Recorder.record_last`."""
        self._recorder.record_last(stop_at)

    def release(self, jobs: Sequence[ScheduledJob]) -> None:
        """Release claimed jobs; those whose rows a rival has locked are released later."""
        for job in transitions.release_unlocked(self._store, jobs):
            release = partial(transitions.release, self._store, job)
            self._recorder.add(NotRecorded(job, release))

    def put(self, jobs: Sequence[ScheduledJob]) -> None:
        """Execute claimed jobs, each at its time."""
        self._accepted += len(jobs)
        self._ready.put(jobs)

    def pop_overdue(self) -> list[ScheduledJob]:
        """Remove and return the jobs to release: they wait too long, or could not be started."""
        to_release = self._ready.pop_overdue(MAX_WAIT_FOR_THREAD + self.supply_time)
        while self._not_started:
            to_release.append(self._not_started.popleft())
        self._returned += len(to_release)
        return to_release

    def drain(self) -> list[ScheduledJob]:
        """Start no more jobs, and return those that were not started."""
        self._closed.set()
        return self._ready.close()

    def close(self, timeout: timedelta) -> list[ScheduledJob]:
        """Wait up to `timeout` for running jobs, interrupt the others, and return those to release.

        A handler that does not react to the interruption, such as a call into C, loses its lease.
        """
        self._join(timeout.total_seconds())
        for thread in list(self._running):
            raise_in(thread.ident or 0, Interrupted)
        self._watchdog.cancel_tasks()
        self._join(INTERRUPT_GRACE_SECONDS)
        self._watchdog.stop()
        drop_pending()  # an exception for a thread that had just ended
        # The watchdog has recorded the ends of stuck jobs, or the recorder will.
        return [*self._not_started, *self._running_except(self._watchdog.stuck)]

    def _running_except(self, threads: AbstractSet[int]) -> list[ScheduledJob]:
        running = list(self._running.items())
        calls = dict(self._watchdog.calls)
        return [
            calls[thread.ident].claimed if thread.ident in calls else job
            for thread, (job, _) in running
            if thread.ident not in threads
        ]

    def _now_ahead(self) -> datetime:
        """Return the time until which jobs are passed to threads, which wait for the exact time.

        Before the call, a thread checks the lease and begins a transaction. On some databases each
        of them takes a round trip.
        """
        store = self._store
        return store.now() + PREPARE_AHEAD + 2 * store.round_trip

    def _abandon(self, job: ScheduledJob, exception: Exception) -> None:
        self._on_idle()
        try:
            abandon(job, exception, self._store)
        except NotRecorded as error:
            self._record_later(error)

    def _capacity(self) -> int:
        """Return how many jobs to have in flight.

        A thread whose job already runs for longer than the prefetch lasts gets no other job. Each
        other thread gets as many as it executes in that time at the average duration, and at least
        one.
        """
        prefetch_seconds = PREFETCH_SECONDS + self.supply_time.total_seconds()
        busy_since = time.monotonic() - prefetch_seconds
        busy = sum(started_at < busy_since for _, started_at in list(self._running.values()))
        free = len(self._threads) - busy - self._paused_threads
        prefetch = max(int(prefetch_seconds / self._seconds_per_job * free), free)
        return busy + min(prefetch, MAX_PREFETCH)

    def _run(self) -> None:
        with dedicated_connection(self._store.alias):
            self._run_all()

    def _run_all(self) -> None:
        try:
            session = Session(self._store)
            session.warm_up()  # so that the first job does not wait for the connection
            with self._lock:
                self._started_threads += 1
            self._serve(session)
        except Interrupted:
            pass
        except BaseException:
            logger.critical("A thread of this worker has ended, so this process ends",
                            exc_info=True)  # fmt: skip
            self._has_lost_thread = True
            self._on_idle()
        finally:
            connections.close_all()

    def _serve(self, session: Session) -> None:
        pause, thread = INITIAL_BACKOFF_SECONDS, current_thread()
        while (job := self._next(session)) is not None:
            try:
                self._run_one(job, session, thread)
            except NotStarted as error:
                logger.warning("%s. Trying again in %.1f s", error, pause)
                self._not_started.append(job)
                self._pause(pause)
                pause = min(2 * pause, MAX_BACKOFF_SECONDS)
            else:
                pause = INITIAL_BACKOFF_SECONDS

    def _next(self, session: Session) -> ScheduledJob | None:
        job = self._ready.take(wait=False)
        if job is None:
            session.end_idle()
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
        if not session.has_idle_transaction or self._has_other_databases:
            self._tidy_connections(session)
        seconds = time.monotonic() - started_at
        with self._lock:
            self.finished += 1
            self._seconds_per_job += SMOOTHING * (seconds - self._seconds_per_job)
        # So that the main thread claims more jobs, or records the completions: no later job would
        # wake it for them.
        if self.in_flight < self._notify_below or (
            self._recorder.has_completions and not self._ready
        ):
            self._notify_below = 0
            self._on_idle()

    def _execute(self, job: ScheduledJob, session: Session) -> None:
        try:
            if _has_expired(job, self._store):
                self._release_expired(job, session)
                return
            outcome = execute(
                job,
                session,
                self._watchdog,
                batch=self._recorder.add_completion,
                confirm=self._confirmation.confirm,
                waits_until_due=True,
            )
            if outcome.ending is Ending.HANDLER_UNKNOWN:
                self.unknown_handlers.add(job)
        except NotStarted:
            raise
        except NotRecorded as error:
            self._record_later(error)
        except Exception as error:
            logger.exception(
                "The end of job %s could not be recorded, so the job will be rescued",
                job_label(job),
                exc_info=loggable(job, error),
                extra=log_extra(job),
            )
            session.discard()
            reason = "The end of this job could not be recorded"
            record = partial(rescue_job, job, self._store, reason)
            self._recorder.add(NotRecorded(job, record))

    def _record_later(self, error: NotRecorded) -> None:
        logger.error(
            "Job %s has ended, but its end could not be recorded; trying again",
            job_label(error.job),
            exc_info=loggable(error.job, error),
            extra=log_extra(error.job),
        )
        self._recorder.add(error)

    def _release_expired(self, job: ScheduledJob, session: Session) -> None:
        session.end_idle()
        try:
            self.release([job])
        except (DatabaseError, InterfaceError) as error:
            session.discard()
            raise NotStarted(f"Job {job.pk} has expired, and is not released: {error}") from error

    def _pause(self, seconds: float) -> None:
        with self._lock:
            self._paused_threads += 1
        self._on_idle()  # the main thread then releases the job
        self._closed.wait(seconds)
        with self._lock:
            self._paused_threads -= 1
        self._on_idle()

    def _tidy_connections(self, session: Session) -> None:
        """Reset the connections of this thread, so that the next job inherits no state."""
        session.tidy()
        for connection in connections.all(initialized_only=True):
            # The connection to the database of the jobs stays open even if CONN_MAX_AGE is 0. The
            # connections that handlers opened are treated like those of a request.
            if connection.alias == self._store.alias:
                if session.has_idle_transaction or not connection.settings_dict["CONN_MAX_AGE"]:
                    continue
            elif not is_clean(connection):
                discard(connection)
                continue
            connection.close_if_unusable_or_obsolete()
        if settings.DEBUG:
            reset_queries()  # otherwise Django keeps the last 9,000 statements of a connection

    def _join(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            if thread.ident not in self._watchdog.stuck:
                thread.join(max(deadline - time.monotonic(), 0))


def _has_expired(job: ScheduledJob, store: Store) -> bool:
    return job.expires_at is not None and clock.from_row(job.expires_at) <= store.now()
