"""One claimed job, from its start to the record of its end."""

import logging
import time
from collections.abc import Callable
from contextvars import copy_context
from datetime import datetime, timedelta
from functools import partial

from django.db import DatabaseError, InterfaceError, OperationalError

from django_future import clock, signals, signatures
from django_future.disclosure import disclosed
from django_future.exceptions import (
    HandlerExited,
    HandlerUnknown,
    JobTimeout,
    LeaseLost,
    NotSigned,
    TransactionBroken,
)
from django_future.execution.announcement import announce
from django_future.execution.failure import conclude_attempt, rescue_job
from django_future.execution.invoke import prepared_call
from django_future.execution.outcome import Ending, Interrupted, NotRecorded, NotStarted, Outcome
from django_future.execution.result import result_text
from django_future.execution.watchdog import Watchdog
from django_future.log import job_label, log_extra
from django_future.models import ScheduledJob
from django_future.options import JobOptions
from django_future.resolution import Resolution, resolve_job
from django_future.status import Status
from django_future.store import Session, leases, transitions
from django_future.task_signals import is_start_noticed, send_started
from django_future.text import shortened, storable

logger = logging.getLogger("django_future")

# If the claim of a job is older than this, the worker checks the lease before the start. A job that
# was claimed before its time waits anyway, so its limit is shorter.
MAX_UNCONFIRMED = timedelta(milliseconds=50)
MAX_UNCONFIRMED_AHEAD = timedelta(milliseconds=10)

MAX_CAUSES = 10  # exceptions of a chain that are examined

AddCompletion = Callable[[ScheduledJob], None]
Confirm = Callable[[ScheduledJob, Session, datetime], None]


def execute(
    job: ScheduledJob,
    session: Session,
    watchdog: Watchdog,
    *,
    keep: bool = True,
    batch: AddCompletion | None = None,
    confirm: Confirm | None = None,
    waits_until_due: bool = False,
) -> Outcome:
    """Execute a claimed job and record its end; `keep=False` deletes it when it is complete.

    `batch` receives a complete job that did not use its database, for `record_completions`.
    `confirm` replaces the default check of the lease. With `waits_until_due`, the handler is not
    called before the time of the job; the queries before the call are done before the wait.

    Raises `NotStarted` if the database was unreachable before the handler was called, and
    `NotRecorded` if it was unreachable when the end was to be recorded.
    """
    # This context resets a language, time zone or context variable that a handler sets.
    return copy_context().run(
        Execution(
            job,
            session,
            watchdog,
            keep=keep,
            batch=batch,
            confirm=confirm,
            waits_until_due=waits_until_due,
        ).run
    )


class Execution:
    """One execution of one job, with all of its state; the next job gets another instance."""

    __slots__ = ("batch", "confirm", "has_returned", "is_called", "is_deleted",
                 "is_deletion_possible", "job", "keep", "name", "resolution", "row", "session",
                 "store", "waits_until_due", "watchdog")  # fmt: skip

    def __init__(
        self,
        job: ScheduledJob,
        session: Session,
        watchdog: Watchdog,
        *,
        keep: bool,
        batch: AddCompletion | None,
        confirm: Confirm | None,
        waits_until_due: bool,
    ) -> None:
        self.job = job
        self.name = job.callable_name
        # The values of `job` before code of the project gets it, which may change the instance.
        self.row: dict[str, object] = {}
        self.session = session
        self.store = session.store
        self.watchdog = watchdog
        self.keep = keep
        self.batch = batch
        self.confirm = confirm or _confirm_lease
        self.waits_until_due = waits_until_due
        self.resolution: Resolution | None = None
        self.is_called = False  # whether the handler was called
        self.has_returned = False  # whether the handler has returned
        self.is_deletion_possible = False  # whether the handler may have deleted the row of the job
        self.is_deleted = False  # whether its transaction deletes the row

    def run(self) -> Outcome:
        """Execute the job, and return how it ended."""
        try:
            self._start()
            self.resolution = resolution = resolve_job(self.job)
            options = resolution.options
            if self.job.task_backend is not None:
                self._announce_task()
            with self.session if options.atomic else self.session.autocommit():
                if self.waits_until_due:
                    self._wait_until_due()
                self._call(resolution)
                is_recorded = self._finish(options)
        except BaseException as error:  # noqa: BLE001 - any exception of a handler is its failure
            return self._conclude(error)
        if self.batch is not None and not is_recorded:
            self.batch(self.job)
            return Outcome(self.job)
        return self._announce(None)

    # The steps of a job that completes

    def _start(self) -> None:
        job, session = self.job, self.session
        session.start()
        signatures.check(job.__dict__)
        now = clock.to_row(self.store.now())
        self.waits_until_due = self.waits_until_due and now < job.scheduled_at
        if job.rescues or not job.is_rescuable:
            session.end_idle()
            job.started_at = now
            transitions.record_start(self.store, job)
        elif job.started_at is not None:
            limit = MAX_UNCONFIRMED_AHEAD if self.waits_until_due else MAX_UNCONFIRMED
            if now - job.started_at > limit:
                self.confirm(job, session, now - limit)
        job.started_at = now
        self.row = {**job.__dict__}
        if signals.job_started.receivers:
            if self.waits_until_due:
                self._wait_until_due()
            session.end_idle()
            signals.job_started.send_robust(ScheduledJob, job=job)

    def _wait_until_due(self) -> None:
        # The clock of the database may be read again during the sleep, and may be behind.
        while (now := clock.to_row(self.store.now())) < self.job.scheduled_at:
            time.sleep((self.job.scheduled_at - now).total_seconds())
        self.job.started_at = self.row["started_at"] = now
        self.waits_until_due = False

    def _announce_task(self) -> None:
        if not is_start_noticed():
            return
        if self.waits_until_due:
            self._wait_until_due()
        self.session.end_idle()
        send_started(self.job)

    def _call(self, resolution: Resolution) -> None:
        timeout = resolution.options.timeout
        watched = self.watchdog.watch(self.job, self.row, self.session, timeout)
        with watched, watched:  # twice: see `HandlerCall`
            call = prepared_call(self.job, resolution, watched.cancellable)
            self.is_called = True
            result = call()
        # Django clears the primary key of an instance that it deletes.
        self.is_deletion_possible = self.job.pk is None
        self._restore_job()
        self.job.finished_at = clock.to_row(self.store.now())
        self.has_returned = True
        self.job.return_value = None if result is None else result_text(result, self.name)

    def _finish(self, options: JobOptions) -> bool:
        """Record the completion; return False if it belongs in a completion batch.

        Completions of handlers that ran no query are recorded in batches, which is several times
        faster.
        """
        job, may_be_batched = self.job, self.batch is not None and options.atomic
        if not self.session.verify(may_stay_open=may_be_batched):
            return False
        # The handler may have deleted the job, or the object with its jobs. Without a sign of that,
        # the query of `has_deleted_itself` is not worth its time.
        is_bound = job.object_id is not None
        self.is_deletion_possible |= is_bound and _is_content_object_deleted(job)
        if self.is_deletion_possible and transitions.has_deleted_itself(self.store, job):
            self.is_deleted = True
            job.status = Status.COMPLETE  # there is no row to record it in
        elif self.keep:
            self.store.finish(job)
        else:
            self.is_deleted = True
            transitions.delete_complete(self.store, job)
        return True

    # The end of a job that did not complete

    def _conclude(self, error: BaseException) -> Outcome:
        """Record the end of an execution that raised `error`, and return how it ended."""
        job, session = self.job, self.session
        if not self.has_returned:
            self._restore_job()
        if session.is_committed:
            logger.error(
                "Job %s is complete, but one of its on_commit() hooks raised an exception",
                job_label(job),
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
            transitions.release(self.store, job)
            raise error
        if not self.has_returned:
            job.finished_at = clock.to_row(self.store.now())
        if is_database_error or isinstance(error, JobTimeout | LeaseLost | TransactionBroken):
            # The connection may be broken, or one of its statements may still be interrupted.
            session.discard()
        record = partial(self._record, self._choose_end(error), _as_exception(error))
        try:
            return record()
        except (DatabaseError, InterfaceError) as refusal:
            session.discard()
            raise NotRecorded(job, record) from refusal

    def _restore_job(self) -> None:
        # Otherwise the record of the end could raise an error, for example because of a text in
        # place of a time. Such an error could end the worker.
        self.job.__dict__.update(self.row)

    def _is_sensitive(self) -> bool:
        return bool(self.resolution and self.resolution.options.sensitive_arguments)

    def _choose_end(self, error: BaseException) -> Callable[[Exception], Outcome]:
        if isinstance(error, LeaseLost):
            return self._conclude_lost_lease
        if isinstance(error, HandlerUnknown) and error.job is self.job:
            return self._release_unknown
        if isinstance(error, NotSigned) and not self.is_called:
            return self._park
        if self.has_returned and isinstance(error, OperationalError | InterfaceError):
            return self._rescue
        if self.session.has_lost_connection and _is_about_connection(error):
            return self._rescue
        return self._fail

    def _record(self, end: Callable[[Exception], Outcome], error: Exception) -> Outcome:
        try:
            return end(error)
        except LeaseLost as lost:
            return self._conclude_lost_lease(lost)

    def _conclude_lost_lease(self, error: Exception) -> Outcome:
        job = self.job
        if leases.held(self.store, job).exists():
            # The handler cancelled or deleted its own row, and the rollback undid that.
            reason = "The handler cancelled or deleted its own job."
            transitions.record_cancelled(self.store, job, reason)
            return self._announce(None)
        if transitions.apply_recorded_end(self.store, job, is_retry=False):
            return self._announce(None)
        signals.job_lost.send_robust(ScheduledJob, job=job)
        return Outcome(job, error, Ending.LEASE_LOST)

    def _release_unknown(self, error: Exception) -> Outcome:
        job = self.job
        text = f"Worker {job.worker} does not know {job.callable_name!r}: {error}"
        reason = shortened(storable(f"{text} {transitions.HANDLER_UNKNOWN}"))
        transitions.release_unknown(self.store, job, reason)
        signals.job_handler_unknown.send_robust(ScheduledJob, job=job, exception=error)
        return Outcome(job, error, Ending.HANDLER_UNKNOWN)

    def _park(self, error: Exception) -> Outcome:
        transitions.park(self.store, self.job, str(error))
        signals.job_parked.send_robust(ScheduledJob, job=self.job, exception=error)
        return Outcome(self.job, error, Ending.PARKED)

    def _rescue(self, error: Exception) -> Outcome:
        # The commit may have succeeded. Then the lease is no longer held, and this changes nothing.
        rescue_job(self.job, self.store, "The connection to the database broke while this job ran")
        if self.has_returned and self._is_complete():
            self.job.status = Status.COMPLETE
            return self._announce(None)
        return Outcome(self.job, error, Ending.LEASE_LOST)

    def _is_complete(self) -> bool:
        if self.is_deleted:
            return not self.store.jobs.filter(pk=self.job.pk).exists()
        return not leases.not_complete(self.store, [self.job])

    def _fail(self, error: Exception) -> Outcome:
        options = self.resolution.options if self.resolution else JobOptions()
        conclude_attempt(self.job, error, options, self.store)
        return self._announce(error)

    def _announce(self, error: Exception | None) -> Outcome:
        announce(self.job, error)
        return Outcome(self.job, error)


def _confirm_lease(job: ScheduledJob, session: Session, _: datetime) -> None:
    session.end_idle()
    leases.confirm(session.store, job)


def _as_exception(error: BaseException) -> Exception:
    if isinstance(error, Exception):
        return error
    exited = HandlerExited(
        f"The handler raised {type(error).__name__}, which would have ended its worker."
    )
    exited.__cause__ = error
    return exited


def _is_about_connection(error: BaseException | None) -> bool:
    """Return whether a database error caused `error`, directly or through other exceptions."""
    for _ in range(MAX_CAUSES):
        if isinstance(error, OperationalError | InterfaceError | TransactionBroken):
            return True
        if error is None:
            break
        error = error.__cause__ or error.__context__
    return False


def _is_content_object_deleted(job: ScheduledJob) -> bool:
    field = ScheduledJob._meta.get_field("content_object")
    content_object = field.get_cached_value(job, default=None)
    return content_object is not None and content_object.pk is None
