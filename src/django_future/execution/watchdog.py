"""What ends handlers before their time: a timeout, or that their job is no longer theirs.

Python can be interrupted between two of its instructions, and a database while it executes a
statement. A call that returns from neither, such as a long sleep, is stuck: its transaction is cut
off at the server, and its thread is of no more use.
"""

import logging
import sys
import time
from asyncio import AbstractEventLoop, Task, current_task, get_running_loop
from collections.abc import Callable
from contextlib import suppress
from threading import Event, get_ident
from types import TracebackType
from typing import Any, Self

from django.db import DatabaseError, InterfaceError

from django_future.exceptions import JobTimeout, LeaseLost
from django_future.execution import forked_child
from django_future.execution.async_exceptions import drop_pending, raise_in
from django_future.handlers import Handler
from django_future.log import job_label, log_extra
from django_future.models import ScheduledJob
from django_future.retries import Delay
from django_future.service_thread import OnDeath, ServiceThread, ignore_death
from django_future.store import Session, Store, leases
from django_future.store.pooling import dedicated_connection
from django_future.when import parse_duration

logger = logging.getLogger("django_future")

FAST_INTERVAL_SECONDS = 0.1  # seconds between two looks at what has a timeout
SLOW_INTERVAL_SECONDS = (
    1.0  # seconds between two looks otherwise, and after which a handler is asked after
)
GRACE_SECONDS = 3.0  # seconds in which an interrupted handler should end

OnStuck = Callable[[ScheduledJob, Exception], None]


class Watchdog:
    """Watches the handlers of one process from a thread of its own."""

    def __init__(self, store: Store, on_stuck: OnStuck, on_death: OnDeath = ignore_death) -> None:
        self.stuck: set[int] = set()  # threads
        self.watched: dict[int, HandlerCall] = {}
        self._store = store
        self._on_stuck = on_stuck
        self._is_hurried = False
        self._woken = Event()
        self._thread = ServiceThread("watchdog", self._run, on_death)
        self._asks_at = 0.0
        # In the transaction of a test, nobody else sees its jobs.
        self._asks = not store.connection.in_atomic_block

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()
        forked_child.expect(self)

    def stop(self) -> None:
        """Watch no more."""
        self._thread.stopped.set()
        self._woken.set()
        self._thread.stop()
        forked_child.expect_no_more(self)

    def watch(self, job: ScheduledJob, session: Session, timeout: Delay | None) -> "HandlerCall":
        """Return a block in which a handler runs, for so long at most."""
        seconds = None if timeout is None else parse_duration(timeout).total_seconds()
        return HandlerCall(self, job, session, seconds)

    def cancel_tasks(self) -> None:
        """Cancel the tasks of the coroutines that run, whose threads only wait for them."""
        for watched in list(self.watched.values()):
            watched.cancel_task()

    def poll_fast(self) -> None:
        """Look more often, as long as a call that has a timeout has_run_for."""
        if not self._is_hurried:
            self._is_hurried = True
            self._woken.set()

    def _run(self, stopped: Event) -> None:
        with dedicated_connection(self._store.alias):
            self._watch(stopped)

    def _watch(self, stopped: Event) -> None:
        while not stopped.is_set():
            self._woken.wait(FAST_INTERVAL_SECONDS if self._is_hurried else SLOW_INTERVAL_SECONDS)
            self._woken.clear()
            # Before it looks: who begins meanwhile finds it out of a poll_fast, and wakes it.
            self._is_hurried = False
            watched = list(self.watched.values())
            self._is_hurried |= any(each.is_urgent for each in watched)
            try:
                self._look(watched, time.monotonic())
            except (DatabaseError, InterfaceError):
                self._store.connection.close()  # it is away, which others will tell
            except Exception:
                logger.exception("The watchdog stumbled, and goes on")
        self._store.connection.close()

    def _look(self, watched: list["HandlerCall"], now: float) -> None:
        for each in watched:
            if each.is_late(now):
                each.interrupt(JobTimeout, self._store)
            if self._asks and each.is_stuck(now):
                self._abandon(each)
        if self._asks and now >= self._asks_at:
            self._asks_at = now + SLOW_INTERVAL_SECONDS / 2
            self._check_leases(
                [each for each in watched if each.has_run_for(SLOW_INTERVAL_SECONDS, now)]
            )

    def _abandon(self, watched: "HandlerCall") -> None:
        if watched.thread in self.stuck:
            return
        self.stuck.add(watched.thread)
        job = watched.job
        logger.error(
            "Job %s does not end, and holds up its process", job_label(job), extra=log_extra(job)
        )
        try:
            self._store.kill_session(watched.driver_session)
            self._on_stuck(watched.job, watched.interruption())
        except (DatabaseError, InterfaceError):
            logger.exception("Job %s will be rescued", job_label(job), extra=log_extra(job))

    def _check_leases(self, watched: list["HandlerCall"]) -> None:
        if not watched:
            return
        held = leases.running_leases(self._store, [each.job for each in watched])
        for each in watched:
            if (each.job.pk, each.job.lease, each.job.worker) not in held:
                each.interrupt(LeaseLost, self._store)


class HandlerCall:
    """One call of a handler, which another thread may interrupt.

    Enter it twice. What is raised in this thread from outside may arrive anywhere, even as the
    inner block is left; then the outer one does what is left to do.
    """

    # Each side says what it does before it looks at the other, so that one of them sees it. A lock
    # could be left locked by the very exception that it is to hold back.
    _is_over = _is_raising = False

    _reason: type[Exception] | None = None
    _error: Exception | None = None
    _task: tuple[AbstractEventLoop, Task[Any]] | None = None
    _first_raised_at = _raised_at = 0.0

    def __init__(
        self,
        watchdog: Watchdog,
        job: ScheduledJob,
        session: Session,
        seconds: float | None,
    ) -> None:
        self.job = job
        self.driver_session = session.driver_session
        self.thread = self._target = get_ident()
        self._watchdog = watchdog
        self._seconds = seconds
        self._started_at = time.monotonic()

    def __enter__(self) -> Self:
        self._watchdog.watched[self.thread] = self
        if self._seconds is not None:
            self._watchdog.poll_fast()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if forked_child.is_this_process():
            forked_child.end(error)
        self._is_over = True
        while self._is_raising:
            time.sleep(0.001)
        self._watchdog.watched.pop(self.thread, None)
        if self._reason is not None:
            # What has not arrived yet must not arrive later.
            drop_pending()
            if self._error is None or error is not self._error:
                self._error = self.interruption()
                raise self._error from error

    @property
    def is_urgent(self) -> bool:
        """Whether the call has a timeout, or was interrupted."""
        return self._seconds is not None or self._reason is not None

    def has_run_for(self, seconds: float, now: float) -> bool:
        """Tell whether the call has lasted for so long."""
        return now - self._started_at >= seconds

    def is_late(self, now: float) -> bool:
        """Tell whether the call has lasted for longer than it may."""
        return self._seconds is not None and self.has_run_for(self._seconds, now)

    def is_stuck(self, now: float) -> bool:
        """Tell whether the call was interrupted and goes on all the same."""
        return self._reason is not None and now - self._first_raised_at > GRACE_SECONDS

    def interruption(self) -> Exception:
        """Return the error that says why the call was interrupted."""
        if self._reason is JobTimeout:
            return JobTimeout(
                f"{self.job.callable_name} ran for longer than its timeout of {self._seconds:g} s."
            )
        return LeaseLost(f"Job {self.job.pk} was cancelled or claimed again while it ran.")

    def interrupt(self, reason: type[Exception], store: Store) -> None:
        """Raise `reason` in the handler; once more after a while if it has swallowed it."""
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
                with suppress(DatabaseError, InterfaceError):  # it may be away
                    store.interrupt(self.driver_session)
        finally:
            self._is_raising = False

    def cancel_task(self) -> None:
        """Cancel the task in which a coroutine runs, if this is one."""
        if self._task is not None:
            loop, task = self._task
            with suppress(RuntimeError):  # the loop has just closed
                loop.call_soon_threadsafe(task.cancel)

    def awaited(self, handler: Handler) -> Handler:
        """Return a coroutine function whose task can be cancelled from another thread."""

        async def await_handler(*args: Any, **kwargs: Any) -> Any:
            task = current_task()
            if task is not None:
                self._target = get_ident()
                self._task = get_running_loop(), task
            try:
                return await handler(*args, **kwargs)
            finally:
                if forked_child.is_this_process():
                    forked_child.end(sys.exc_info()[1])

        return await_handler

    def _raise(self) -> None:
        if self._task is not None:
            self.cancel_task()
        elif self._reason is not None:
            raise_in(self._target, self._reason)
