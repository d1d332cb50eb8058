"""One claimed job, from its claim to the record of its end."""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from copy import copy
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from django.db import DatabaseError, InterfaceError, OperationalError

from django_future import clock, signals, signatures
from django_future.disclosure import disclosed
from django_future.exceptions import (
    FutureError,
    HandlerExited,
    HandlerUnknown,
    JobTimeout,
    LeaseLost,
    NotSigned,
    TransactionBroken,
)
from django_future.execution.failure import record_failure, rescue_job
from django_future.execution.invoke import call
from django_future.execution.result import result_text
from django_future.execution.watchdog import Watchdog
from django_future.log import is_only_receiver, log_completions, log_extra, named
from django_future.models import ScheduledJob
from django_future.options import JobOptions
from django_future.resolution import options_for, options_if_known, unbound_handler
from django_future.status import Status
from django_future.store import Session, Store
from django_future.store.batch import complete_batch
from django_future.store.ends import cancel_running, has_deleted_itself
from django_future.store.leaving import LEFT, leave
from django_future.store.parking import park
from django_future.text import shortened, storable

logger = logging.getLogger("django_future")

# A job that was claimed longer ago is confirmed to be still this worker's before it starts. A job
# that was claimed before it was due has time for the query.
MAX_UNCONFIRMED = timedelta(milliseconds=50)
MAX_UNCONFIRMED_AHEAD = timedelta(milliseconds=10)

MAX_CAUSES = 10  # exceptions of a chain that are looked at

Batch = Callable[[ScheduledJob], None]
Confirm = Callable[[ScheduledJob, Session, datetime], None]


class Interrupted(KeyboardInterrupt):
    """Raised in a handler that still runs when whatever runs it must go."""


class NotStarted(FutureError):
    """The database was out of reach before the handler was called, so the job is to be released."""


class NotRecorded(FutureError):
    """The database was out of reach when the end of `job` was to be recorded.

    `record` does so, on any thread, once the database is back.
    """

    def __init__(self, job: ScheduledJob, record: Callable[[], object]) -> None:
        super().__init__(f"The end of job {job.pk} could not be recorded.")
        self.job = job
        self.record = record


class Outcome(NamedTuple):
    """What became of one execution: `exception` is what its handler raised.

    `is_lost` says that the job is no longer this worker's, so its end is for another to tell;
    `is_left` that its handler is unknown here, so it is scheduled again for another worker.
    """

    job: ScheduledJob
    exception: Exception | None = None
    is_lost: bool = False
    is_left: bool = False

    @property
    def failure(self) -> Exception | None:
        """What the job failed with, if it did; not what is followed by another attempt."""
        has_failed = self.job.status == Status.FAILED and not self.is_lost
        return self.exception if has_failed else None

    @property
    def is_parked(self) -> bool:
        """Whether the signature of the job does not hold, so that it did not begin."""
        return self.job.status == Status.PARKED


def execute(
    job: ScheduledJob,
    session: Session,
    watchdog: Watchdog,
    *,
    keep: bool = True,
    batch: Batch | None = None,
    confirm: Confirm | None = None,
    is_held: bool = False,
) -> Outcome:
    """Run a claimed job and record what became of it; `keep=False` deletes it once complete.

    `batch` takes a complete job that did not use its database; `record_completions` records it.
    `confirm` replaces the store's check of a job that was claimed some time ago. With `is_held`,
    the handler is not called before the time of the job; everything that needs the database before
    the call is done first.

    Raises `NotStarted` if the database was out of reach before the handler was called, and
    `NotRecorded` if it was when the end was to be recorded.
    """
    # A context of its own: a language, a time zone or a variable that a handler sets ends with it.
    return copy_context().run(
        Execution(
            job, session, watchdog, keep=keep, batch=batch, confirm=confirm, is_held=is_held
        ).run
    )


class Execution:
    """One execution of one job, and all of its state: the next job of the thread gets another."""

    __slots__ = (
        "batch",
        "confirm",
        "handler",
        "is_called",
        "is_finishing",
        "is_held",
        "job",
        "keep",
        "name",
        "options",
        "row",
        "session",
        "store",
        "watchdog",
    )  # fmt: skip

    def __init__(
        self,
        job: ScheduledJob,
        session: Session,
        watchdog: Watchdog,
        *,
        keep: bool,
        batch: Batch | None,
        confirm: Confirm | None,
        is_held: bool,
    ) -> None:
        self.job = job
        self.name = job.callable_name
        self.row = job.id, job.lease, job.worker  # as claimed, whatever the handler makes of `job`
        self.session = session
        self.store = session.store
        self.watchdog = watchdog
        self.keep = keep
        self.batch = batch
        self.confirm = confirm or _confirm_alone
        self.is_held = is_held
        self.handler: Any = None
        self.options: JobOptions | None = None
        self.is_called = False  # whether the handler was
        self.is_finishing = False  # whether the handler has returned

    def run(self) -> Outcome:
        """Take the job through its steps, and return what became of it."""
        self.session.start()
        try:
            signatures.check(self.job.__dict__)
            self._start()
            options = self._resolve()
            with self.session if options.atomic else self.session.autocommit():
                if self.is_held:
                    self._await_instant()
                self._call(options)
                is_recorded = self._finish(options)
        except BaseException as error:  # noqa: BLE001 - whatever a handler raises is its own failure
            return self._conclude(error)
        if self.batch is not None and not is_recorded:
            self.job.id, self.job.lease, self.job.worker = self.row
            self.batch(self.job)
            return Outcome(self.job)
        return self._announce(None)

    def _start(self) -> None:
        job, session = self.job, self.session
        now = clock.to_row(self.store.now())
        self.is_held = self.is_held and now < job.scheduled_at
        if job.rescues or not job.is_rescuable:
            session.end_idle()
            job.started_at = now
            self.store.record_start(job)
        elif job.started_at is not None:
            limit = MAX_UNCONFIRMED_AHEAD if self.is_held else MAX_UNCONFIRMED
            if now - job.started_at > limit:
                self.confirm(job, session, now - limit)
        job.started_at = now
        if signals.job_started.receivers:
            if self.is_held:
                self._await_instant()
            session.end_idle()
            signals.job_started.send_robust(ScheduledJob, job=job)

    def _await_instant(self) -> None:
        # The clock may be read anew meanwhile, and found to be a little behind.
        while (now := clock.to_row(self.store.now())) < self.job.scheduled_at:
            time.sleep((self.job.scheduled_at - now).total_seconds())
        self.job.started_at = now
        self.is_held = False

    def _resolve(self) -> JobOptions:
        self.handler = unbound_handler(self.job)
        self.options = options = options_for(self.job, self.handler)
        return options

    def _call(self, options: JobOptions) -> None:
        with self.watchdog.watch(self.job, self.session, options.timeout) as watched, watched:
            result = call(self.job, self.handler, watched.awaited, on_call=self._note_call)
        self.is_finishing = True
        self.job.return_value = None if result is None else result_text(result, self.name)
        self.job.finished_at = clock.to_row(self.store.now())

    def _note_call(self) -> None:
        self.is_called = True

    def _finish(self, options: JobOptions) -> bool:
        """Record that the job is complete, or tell that there is nothing to record it with.

        Many jobs that wrote nothing are recorded together, which takes a fraction of the time.
        """
        session = self.session
        session.verify()
        if self.batch is not None and options.atomic and not session.was_used():
            return False
        session.finish(self.job, self._write_completion)
        return True

    def _write_completion(self, job: ScheduledJob) -> None:
        is_deletion_possible = job.pk is None or _is_content_object_deleted(job)
        job.pk, job.lease, job.worker = self.row
        if is_deletion_possible and has_deleted_itself(self.store, job):
            job.status = Status.COMPLETE  # and nothing is left to record it in
        elif self.keep:
            self.store.finish(job)
        else:
            self.store.discard(job)

    def _conclude(self, error: BaseException) -> Outcome:
        """Return what becomes of a job that did not come to its end without an exception."""
        job, session = self.job, self.session
        job.pk, job.lease, job.worker = self.row
        if session.is_committed:
            logger.error(
                "Job %s is complete, but a hook of its on_commit raised",
                named(job),
                exc_info=disclosed(error, is_sensitive=self._is_sensitive()),
                extra=log_extra(job),
            )
            return self._announce(None)
        session.end_idle()
        session.tidy()
        is_database_error = isinstance(error, OperationalError | InterfaceError)
        if is_database_error and not self.is_called:
            session.discard()
            raise NotStarted(f"Job {job.pk} did not start: {error}") from error
        if isinstance(error, Interrupted):
            self.store.release(job)
            raise error
        if is_database_error or isinstance(error, JobTimeout | LeaseLost | TransactionBroken):
            session.discard()  # in doubt, or a statement may still be interrupted on it
        record = partial(self._choose_end(error), _as_exception(error))
        try:
            return record()
        except (DatabaseError, InterfaceError) as refusal:
            session.discard()
            raise NotRecorded(job, record) from refusal

    def _is_sensitive(self) -> bool:
        return bool(self.options and self.options.sensitive_arguments)

    def _choose_end(self, error: BaseException) -> "Callable[[Exception], Outcome]":
        if isinstance(error, LeaseLost):
            return self._end_lost
        if isinstance(error, HandlerUnknown) and error.job is self.job:
            return self._leave
        if isinstance(error, NotSigned) and not self.is_called:
            return self._park
        if self.is_finishing and isinstance(error, OperationalError | InterfaceError):
            return self._rescue
        if self.session.was_cut and _is_about_connection(error):
            return self._rescue
        return self._fail

    def _end_lost(self, error: Exception) -> Outcome:
        job = self.job
        if self.store.held(job).exists():
            # What the handler wrote was rolled back, and with it that it ended its own job.
            cancel_running(self.store, job, "The handler cancelled or deleted its own job.")
            return self._announce(None)
        signals.job_lost.send_robust(ScheduledJob, job=job)
        return Outcome(job, error, is_lost=True)

    def _leave(self, error: Exception) -> Outcome:
        job = self.job
        text = f"Worker {job.worker} does not know {job.callable_name!r}: {error}"
        leave(self.store, job, shortened(storable(f"{text} {LEFT}")))
        signals.job_handler_unknown.send_robust(ScheduledJob, job=job, exception=error)
        return Outcome(job, error, is_left=True)

    def _park(self, error: Exception) -> Outcome:
        park(self.store, self.job, str(error))
        signals.job_parked.send_robust(ScheduledJob, job=self.job, exception=error)
        return Outcome(self.job, error)

    def _rescue(self, error: Exception) -> Outcome:
        # Whether a commit was reached is not known. If so, there is nothing to rescue.
        rescue_job(self.job, self.store, "The connection to the database broke")
        return Outcome(self.job, error, is_lost=True)

    def _fail(self, error: Exception) -> Outcome:
        try:
            record_failure(self.job, error, self.options or JobOptions(), self.store)
        except LeaseLost as lost:
            return self._end_lost(lost)
        return self._announce(error)

    def _announce(self, error: Exception | None) -> Outcome:
        _announce(self.job, error)
        return Outcome(self.job, error)


def abandon(job: ScheduledJob, exception: Exception, store: Store) -> None:
    """Record what becomes of a job whose handler does not end."""
    job = copy(job)  # the handler may still look at it
    with suppress(LeaseLost):
        record_failure(job, exception, options_if_known(job), store)
        _announce(job, exception)


def _confirm_alone(job: ScheduledJob, session: Session, _: datetime) -> None:
    session.end_idle()
    session.store.confirm(job)


def record_completions(jobs: Sequence[ScheduledJob], store: Store) -> list[ScheduledJob]:
    """Record the completion of gathered jobs, and return those whose rows others have locked.

    A job whose completion the database refuses fails by itself. What says that the database is out
    of reach is raised; then the same jobs may be given again.
    """
    completions = complete_batch(store, jobs)
    for job in completions.lost:
        signals.job_lost.send_robust(ScheduledJob, job=job)
    _announce_complete(completions.complete)
    for job, error in completions.refused:
        with suppress(LeaseLost):
            record_failure(job, error, options_if_known(job), store)
            _announce(job, error)
    return completions.locked


def _announce(job: ScheduledJob, exception: Exception | None) -> None:
    if exception is not None and job.status == Status.SCHEDULED:
        signals.job_retried.send_robust(ScheduledJob, job=job, exception=exception)
        return
    error = exception if job.status == Status.FAILED else None
    signals.job_finished.send_robust(ScheduledJob, job=job, exception=error)


def _announce_complete(jobs: Sequence[ScheduledJob]) -> None:
    for job in jobs:
        job.status = Status.COMPLETE
    if is_only_receiver():
        log_completions(jobs)
        return
    for job in jobs:
        _announce(job, None)


def _as_exception(error: BaseException) -> Exception:
    if isinstance(error, Exception):
        return error
    exited = HandlerExited(
        f"The handler raised {type(error).__name__}, which would have ended its worker."
    )
    exited.__cause__ = error
    return exited


def _is_about_connection(error: BaseException | None) -> bool:
    """Tell whether the database caused an error, also if the handler raised another from it."""
    for _ in range(MAX_CAUSES):
        if isinstance(error, OperationalError | InterfaceError | TransactionBroken):
            return True
        if error is None:
            break
        error = error.__cause__ or error.__context__
    return False


def _is_content_object_deleted(job: ScheduledJob) -> bool:
    if job.__dict__.get("object_id") is None:
        return False
    field = ScheduledJob._meta.get_field("content_object")
    content_object = field.get_cached_value(job, default=None)
    return content_object is not None and content_object.pk is None
