"""The signals that say how an execution ended."""

from collections.abc import Sequence

from django_future import signals
from django_future.log import is_only_receiver, log_completions
from django_future.models import ScheduledJob
from django_future.status import Status


def announce(job: ScheduledJob, exception: Exception | None) -> None:
    """Send `job_retried` if another attempt follows, else `job_finished`."""
    if exception is not None and job.status == Status.SCHEDULED:
        signals.job_retried.send_robust(ScheduledJob, job=job, exception=exception)
        return
    error = exception if job.status == Status.FAILED else None
    signals.job_finished.send_robust(ScheduledJob, job=job, exception=error)


def announce_complete(jobs: Sequence[ScheduledJob]) -> None:
    """Send `job_finished` for each of many complete jobs.

    If the log is the only receiver, the lines are logged together, which takes less time.
    """
    for job in jobs:
        job.status = Status.COMPLETE
    if is_only_receiver():
        log_completions(jobs)
        return
    for job in jobs:
        announce(job, None)
