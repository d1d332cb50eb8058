"""The exceptions of django-future."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_future.models import ScheduledJob


class FutureError(Exception):
    """Base class of all exceptions of django-future."""


class SchedulingError(FutureError, ValueError):
    """A job cannot be scheduled. Nothing was written."""


class InvalidTime(SchedulingError):
    """A `when` or `expires` is not a time, or `expires` is not after the scheduled time."""


class InvalidCallable(SchedulingError):
    """A callable cannot be found, or cannot be found again by its name."""


class CallableNotAllowed(InvalidCallable):
    """A callable exists, but jobs may not call it."""


class HandlerUnknown(InvalidCallable):
    """This process cannot find the handler. A process with other code may find it.

    `job` is the job that cannot start, and is released for another process.
    """

    job: "ScheduledJob | None" = None


class ModuleNotImported(HandlerUnknown, CallableNotAllowed):
    """This process has not imported the module of a callable, and a job may not import it."""


class InvalidArguments(SchedulingError):
    """Arguments cannot be stored or decoded, or the callable does not accept them."""


class TamperedArguments(InvalidArguments):
    """A stored pickle has no valid signature of this project, and was not loaded."""


class NotSigned(SchedulingError):
    """The signature of a job is not valid, so the job is not run, and not copied."""


class InvalidObject(SchedulingError):
    """A content object cannot be bound to a job."""


class InvalidOption(SchedulingError):
    """An option of a handler or of a job is unknown or invalid."""


class InvalidJobs(FutureError, TypeError):
    """A value is not a queryset of jobs."""


class UnknownRecurringJob(FutureError, LookupError):
    """No recurring job has the name."""


class KeyTaken(SchedulingError):
    """Another job has the unique key, but the open transaction cannot see that job."""


class ObjectGone(FutureError):
    """An object that a job refers to was deleted."""


class NotCancellable(FutureError):
    """The job is running or has ended, so it was not cancelled."""


class NotMovable(FutureError):
    """The job is not scheduled, so it was not moved to another time."""


class NotRetryable(FutureError):
    """The job did not fail, expire, or get cancelled, so it was not retried."""


class RunInsideTransaction(FutureError, RuntimeError):
    """`run_jobs` was called inside a transaction, where jobs would not commit one by one."""


class InvalidProgress(FutureError, ValueError):
    """An argument of `job.progress()` or `job.log()` is not valid."""


class JobExpired(FutureError):
    """A task expired before it started. Only its `TaskResult` contains this error."""


class JobCancelled(FutureError):
    """A task was cancelled. Only its `TaskResult` contains this error."""


class HandlerExited(FutureError):
    """A handler raised an exception that ends a program, such as `SystemExit`."""


class NotAwaited(FutureError):
    """A handler returned a coroutine or a generator, so its body did not run."""


class TransactionBroken(FutureError):
    """A handler returned, but its transaction can no longer commit."""


class JobTimeout(FutureError):
    """A handler ran longer than its `timeout`, and was interrupted."""


class LeaseLost(FutureError):
    """The lease of a job is lost: it was cancelled, claimed again or deleted while it ran."""


class WorkerLost(FutureError):
    """The worker of a running job was lost."""


class DatabaseReplaced(FutureError):
    """A worker has opened a SQLite file that was replaced by another file at its path."""
