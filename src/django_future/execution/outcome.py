"""What became of one execution of a job, and why an execution may not come to its end."""

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from django_future.exceptions import FutureError
from django_future.models import ScheduledJob
from django_future.status import Status


class Result(Enum):
    """How an execution ended."""

    RECORDED = "recorded"  # the status of the job says how
    LEASE_LOST = "lease lost"  # the job belongs to another worker now, which reports its end
    HANDLER_UNKNOWN = "handler unknown"  # the job is released for another worker
    PARKED = "parked"  # the signature of the job does not hold


class Outcome(NamedTuple):
    """What became of one execution; `exception` is what its handler raised."""

    job: ScheduledJob
    exception: Exception | None = None
    result: Result = Result.RECORDED

    @property
    def failure(self) -> Exception | None:
        """The exception that the job failed with; None if another attempt follows."""
        has_failed = self.job.status == Status.FAILED and self.result is not Result.LEASE_LOST
        return self.exception if has_failed else None

    @property
    def was_called(self) -> bool:
        """Whether the handler of the job could be called at all."""
        return self.result not in {Result.HANDLER_UNKNOWN, Result.PARKED}


class Interrupted(KeyboardInterrupt):
    """Raised in a handler that still runs when its worker must end."""


class NotStarted(FutureError):
    """Raised if the database was unreachable before the call, so the job is to be released."""


class NotRecorded(FutureError):
    """Raised if the database was unreachable when the end of `job` was to be recorded.

    `record` records it, on any thread, once the database is reachable again.
    """

    def __init__(self, job: ScheduledJob, record: Callable[[], object]) -> None:
        super().__init__(f"The end of job {job.pk} could not be recorded.")
        self.job = job
        self.record = record
