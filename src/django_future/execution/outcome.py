"""The result of one execution of a job, and the exceptions that interrupt an execution."""

from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

from django_future.exceptions import FutureError
from django_future.models import ScheduledJob
from django_future.status import Status


class Ending(Enum):
    """How an execution ended."""

    RECORDED = "recorded"  # the status of the job says how
    LEASE_LOST = "lease lost"  # this worker records no end; another worker may execute the job
    HANDLER_UNKNOWN = "handler unknown"  # the job is released for another worker
    PARKED = "parked"  # the signature of the job is not valid


class Outcome(NamedTuple):
    """The result of one execution; `exception` is what its handler raised."""

    job: ScheduledJob
    exception: Exception | None = None
    ending: Ending = Ending.RECORDED

    @property
    def failure(self) -> Exception | None:
        """The exception that the job failed with; None if another attempt follows."""
        has_failed = self.job.status == Status.FAILED and self.ending is not Ending.LEASE_LOST
        return self.exception if has_failed else None

    @property
    def was_runnable(self) -> bool:
        """Whether the handler was found and allowed, so that it could be called."""
        return self.ending not in {Ending.HANDLER_UNKNOWN, Ending.PARKED}


class Interrupted(KeyboardInterrupt):
    """Raised in a handler to end it: after the shutdown timeout, or by Ctrl-C in a one-off run."""


class NotStarted(FutureError):
    """Raised if the database was unreachable before the call; the caller releases the job."""


class NotRecorded(FutureError):
    """Raised if the end of `job` could not be recorded.

    The database was unreachable, or another transaction had locked the row. Call `record` again
    later; any thread may do so.
    """

    def __init__(self, job: ScheduledJob, record: Callable[[], Any]) -> None:
        super().__init__(f"The end of job {job.pk} could not be recorded.")
        self.job = job
        self.record = record
