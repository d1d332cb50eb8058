"""Interrupts handlers after their timeout, and handlers whose job has lost its lease.

The watchdog interrupts Python code between two bytecode instructions, and a statement in the
database. A call that reacts to neither, such as a long sleep, is stuck. Then the watchdog ends the
session at the server, and the process can no longer use the thread.
"""

import logging
import sys
import time
from asyncio import AbstractEventLoop, Task, current_task, get_running_loop
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from threading import Event, get_ident
from types import TracebackType
from typing import Any, Self

from django.db import DatabaseError, InterfaceError

from django_future.exceptions import JobTimeout, LeaseLost
from django_future.execution import forked_child
from django_future.execution.async_exceptions import drop_pending, raise_in
from django_future.execution.outcome import NotRecorded
from django_future.handlers import Handler
from django_future.log import job_label, log_extra
from django_future.models import ScheduledJob
from django_future.retries import Delay
from django_future.service_thread import OnDeath, ServiceThread, ignore_death
from django_future.store import Session, Store, leases
from django_future.store.pooling import dedicated_connection
from django_future.when import parse_duration

logger = logging.getLogger("django_future")

# How often the calls are checked: fast while one of them has a timeout or was interrupted. The slow
# interval is also the age from which the lease of a call is checked.
FAST_INTERVAL_SECONDS = 0.1
SLOW_INTERVAL_SECONDS = 1.0
GRACE_SECONDS = 3.0  # for an interrupted handler to end

OnStuck = Callable[[ScheduledJob, Exception], None]


class Watchdog:
    """Watches the handlers of one process from a separate thread."""

    def __init__(self, store: Store, on_stuck: OnStuck, on_death: OnDeath = ignore_death) -> None:
        self.stuck: set[int] = set()  # identifiers of threads
        self.calls: dict[int, HandlerCall] = {}  # by the identifier of the thread
        self._store = store
        self._on_stuck = on_stuck
        self._is_polling_fast = False
        self._woken = Event()
        self._thread = ServiceThread("watchdog", self._run, on_death)
        self._check_leases_at = 0.0
        # The jobs in the transaction of a test are not visible to the connection of this thread.
        self._is_database_checked = not store.connection.in_atomic_block

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the thread of the watchdog."""
        self._thread.start()
        forked_child.register_runner(self)

    def stop(self) -> None:
        """Stop the thread of the watchdog."""
        self._thread.stopped.set()
        self._woken.set()
        self._thread.stop()
        forked_child.unregister_runner(self)

    def watch(
        self, job: ScheduledJob, row: dict[str, object], session: Session, timeout: Delay | None
    ) -> "HandlerCall":
        """Return the context manager of a handler call, which runs for at most `timeout`.

        `row` has the values of `job`, whose instance the handler may change.
        """
        seconds = None if timeout is None else parse_duration(timeout).total_seconds()
        return HandlerCall(self, job, row, session, seconds)

    def cancel_tasks(self) -> None:
        """Cancel the tasks of all coroutines that run; their threads only wait for them."""
        for call in list(self.calls.values()):
            call.cancel_task()

    def poll_fast(self) -> None:
        """Check the calls in the fast interval, as long as one of them is urgent."""
        if not self._is_polling_fast:
            self._is_polling_fast = True
            self._woken.set()

    def _run(self, stopped: Event) -> None:
        with dedicated_connection(self._store.alias):
            self._watch(stopped)

    def _watch(self, stopped: Event) -> None:
        while not stopped.is_set():
            interval = FAST_INTERVAL_SECONDS if self._is_polling_fast else SLOW_INTERVAL_SECONDS
            self._woken.wait(interval)
            self._woken.clear()
            # Reset before the calls are read. A call that begins after this line finds the flag
            # unset, and wakes this thread.
            self._is_polling_fast = False
            calls = list(self.calls.values())
            self._is_polling_fast |= any(call.is_urgent for call in calls)
            try:
                self._check(calls, time.monotonic())
            except (DatabaseError, InterfaceError):
                self._store.connection.close()  # unreachable; the main thread logs this
            except Exception:
                logger.exception("The watchdog could not check the running jobs; it tries again")
        self._store.connection.close()

    def _check(self, calls: list["HandlerCall"], now: float) -> None:
        for call in calls:
            if call.is_timed_out(now):
                call.interrupt(JobTimeout, self._store)
            if self._is_database_checked and call.is_stuck(now):
                self._abandon(call)
        if self._is_database_checked and now >= self._check_leases_at:
            self._check_leases_at = now + SLOW_INTERVAL_SECONDS / 2
            self._check_leases(
                [call for call in calls if call.has_run_for(SLOW_INTERVAL_SECONDS, now)]
            )

    def _abandon(self, call: "HandlerCall") -> None:
        if call.thread in self.stuck:
            return
        self.stuck.add(call.thread)
        job = call.claimed
        error = call.interruption().with_traceback(_traceback_of(call.thread))
        logger.error(
            "Job %s was interrupted and does not end; its thread cannot be used again. %s",
            job_label(job),
            error,
            extra=log_extra(job),
        )
        with suppress(DatabaseError, InterfaceError):  # it may be closed already
            self._store.kill_session(call.driver_session)
        try:
            self._on_stuck(job, error)
        except NotRecorded:
            logger.exception(
                "The end of job %s could not be recorded, so the job will be rescued",
                job_label(job),
                extra=log_extra(job),
            )

    def _check_leases(self, calls: list["HandlerCall"]) -> None:
        if not calls:
            return
        jobs = [call.claimed for call in calls]
        held = leases.running_leases(self._store, jobs)
        for call, job in zip(calls, jobs, strict=True):
            if (job.pk, job.lease, job.worker) not in held:
                call.interrupt(LeaseLost, self._store)


def _traceback_of(thread: int) -> TracebackType | None:
    """Return where a thread is now, as the traceback of an exception that it would raise."""
    frame, traceback = sys._current_frames().get(thread), None
    while frame is not None:
        traceback = TracebackType(traceback, frame, frame.f_lasti, frame.f_lineno or 0)
        frame = frame.f_back
    return traceback


class HandlerCall:
    """One call of a handler, which another thread may interrupt.

    Enter it twice, in one `with` statement. The exception of the other thread may arrive anywhere,
    even at the start of the inner `__exit__`. Then the outer one completes the clean-up. A wrapper
    that enters it twice by itself cannot do this, because the exception may arrive in the wrapper.
    """

    # A handshake without a lock: each thread sets its own flag before it reads the flag of the
    # other, so at least one of them notices. The exception could arrive while a lock is held.
    _is_over = _is_raising = False

    _reason: type[Exception] | None = None
    _error: Exception | None = None
    _task: tuple[AbstractEventLoop, Task[Any]] | None = None
    _first_raised_at = _raised_at = 0.0

    def __init__(
        self,
        watchdog: Watchdog,
        job: ScheduledJob,
        row: dict[str, object],
        session: Session,
        seconds: float | None,
    ) -> None:
        self._job = job
        self._row = row
        self.driver_session = session.driver_session
        self.thread = self._target = get_ident()
        self._watchdog = watchdog
        self._seconds = seconds
        self._started_at = time.monotonic()

    def __enter__(self) -> Self:
        self._watchdog.calls[self.thread] = self
        if self._seconds is not None:
            self._watchdog.poll_fast()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if forked_child.is_this_process:
            forked_child.exit_with(error)
        self._is_over = True
        while self._is_raising:
            time.sleep(0.001)
        self._watchdog.calls.pop(self.thread, None)
        if self._reason is not None:
            drop_pending()  # an exception that is still pending would interrupt the next job
            if self._error is None or error is not self._error:
                self._error = self.interruption()
                raise self._error from error

    @property
    def claimed(self) -> ScheduledJob:
        """A copy of the job as it was before the call."""
        job = copy(self._job)
        job.__dict__.update(self._row)
        return job

    @property
    def is_urgent(self) -> bool:
        """Whether the call has a timeout, or was interrupted."""
        return self._seconds is not None or self._reason is not None

    def has_run_for(self, seconds: float, now: float) -> bool:
        """Return whether the call has run for at least `seconds`."""
        return now - self._started_at >= seconds

    def is_timed_out(self, now: float) -> bool:
        """Return whether the call has run for its timeout."""
        return self._seconds is not None and self.has_run_for(self._seconds, now)

    def is_stuck(self, now: float) -> bool:
        """Return whether the call still runs three seconds after it was interrupted."""
        return self._reason is not None and now - self._first_raised_at > GRACE_SECONDS

    def interruption(self) -> Exception:
        """Return the exception that shows why the call was interrupted."""
        if self._reason is JobTimeout:
            name = self._row["callable_name"]
            return JobTimeout(f"{name} ran for longer than its timeout of {self._seconds:g} s.")
        return LeaseLost(f"Job {self._row['id']} was cancelled or claimed again while it ran.")

    def interrupt(self, reason: type[Exception], store: Store) -> None:
        """Raise `reason` in the handler, and cancel its statement in the database.

        If the handler catches the exception and continues, a later call raises it again, at most
        once a second.
        """
        now = time.monotonic()
        if now - self._raised_at < SLOW_INTERVAL_SECONDS:
            return
        self._is_raising = True
        try:
            if not self._is_over:
                if self._reason is None:
                    self._reason, self._first_raised_at = reason, now
                self._raised_at = now
                self._raise()
                with suppress(DatabaseError, InterfaceError):  # it may be unreachable
                    store.interrupt(self.driver_session)
        finally:
            self._is_raising = False

    def cancel_task(self) -> None:
        """Cancel the task of the handler, if it is a coroutine."""
        if self._task is not None:
            loop, task = self._task
            with suppress(RuntimeError):  # the loop has just closed
                loop.call_soon_threadsafe(task.cancel)

    def cancellable(self, handler: Handler) -> Handler:
        """Return a coroutine function whose task another thread can cancel."""

        async def await_handler(*args: Any, **kwargs: Any) -> Any:
            task = current_task()
            if task is not None:
                self._target = get_ident()
                self._task = get_running_loop(), task
            try:
                return await handler(*args, **kwargs)
            finally:
                if forked_child.is_this_process:
                    forked_child.exit_with(sys.exc_info()[1])

        return await_handler

    def _raise(self) -> None:
        if self._task is not None:
            self.cancel_task()
        elif self._reason is not None:
            raise_in(self._target, self._reason)
