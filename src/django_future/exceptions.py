"""Every error that django-future raises."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_future.models import ScheduledJob


class FutureError(Exception):
    """Base of all errors of django-future."""


class SchedulingError(FutureError, ValueError):
    """A job cannot be scheduled as asked; nothing was written."""


class InvalidTime(SchedulingError):
    """A `when` or `expires` is not a time, or not one that makes sense."""


class InvalidCallable(SchedulingError):
    """A callable cannot be found, or cannot be called from a stored job."""


class CallableNotAllowed(InvalidCallable):
    """A callable exists, but nothing allows a stored job to call it."""


class HandlerUnknown(InvalidCallable):
    """A callable is not to be found here; a process with other code may know it.

    `job` is the one that cannot start for it, and is left for such a process.
    """

    job: "ScheduledJob | None" = None


class ModuleNotImported(HandlerUnknown, CallableNotAllowed):
    """A callable's module is not one to import for a stored job, and nothing else imported it."""


class InvalidArguments(SchedulingError):
    """Arguments cannot be stored, read back, or passed to their callable."""


class TamperedArguments(InvalidArguments):
    """A stored pickle does not carry a signature of this project."""


class NotSigned(SchedulingError):
    """The signature of a job's row does not hold, so the job is neither run nor copied."""


class InvalidObject(SchedulingError):
    """A content object cannot be bound to a job."""


class InvalidOption(SchedulingError):
    """An option of a handler or of a job is unknown, or out of bounds."""


class InvalidJobs(FutureError, TypeError):
    """What was given for a queryset of jobs is none."""


class KeyTaken(SchedulingError):
    """A unique job is there that the transaction cannot see, so that it cannot be returned."""


class ObjectGone(FutureError):
    """An object that a job refers to is no longer in the database."""


class NotCancellable(FutureError):
    """The job is running or has ended, so it is not cancelled."""


class NotRetryable(FutureError):
    """The job is scheduled, running or complete, so there is nothing to retry."""


class RunInsideTransaction(FutureError, RuntimeError):
    """Jobs were asked to run inside a transaction, which would join theirs into one."""


class InvalidProgress(FutureError, ValueError):
    """What a handler says of its progress is not what can be said."""


class HandlerExited(FutureError):
    """A handler raised what ends a program, such as `SystemExit`; only its job ended."""


class NotAwaited(FutureError):
    """A handler returned a coroutine or a generator, whose body has not run."""


class TransactionBroken(FutureError):
    """A handler returned, but its transaction cannot commit together with its completion."""


class JobTimeout(FutureError):
    """A handler ran for longer than its `timeout`, and was interrupted."""


class LeaseLost(FutureError):
    """The job was cancelled or claimed again while it ran, so this execution is void."""


class WorkerLost(FutureError):
    """The worker that ran the job stopped showing signs of life."""


class DatabaseReplaced(FutureError):
    """A worker has a SQLite file open that is no longer the one at its path."""
