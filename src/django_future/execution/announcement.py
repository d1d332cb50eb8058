"""The signals that say how an execution ended."""

from collections.abc import Sequence

from django_future import signals
from django_future.log import is_only_receiver, log_completions
from django_future.models import ScheduledJob
from django_future.status import Status
from django_future.store import statistics
from django_future.task_signals import send_complete, send_finished


def announce(job: ScheduledJob, exception: Exception | None) -> None:
    """Send `job_retried` if another attempt follows, else `job_finished`."""
    if exception is not None and job.status == Status.SCHEDULED:
        signals.job_retried.send_robust(ScheduledJob, job=job, exception=exception)
        return
    _count([job])
    error = exception if job.status == Status.FAILED else None
    signals.job_finished.send_robust(ScheduledJob, job=job, exception=error)
    if job.task_backend is not None:
        send_finished(job, error)


def announce_complete(jobs: Sequence[ScheduledJob]) -> None:
    """Send `job_finished` for each of many complete jobs.

    If the log is the only receiver, the lines are logged together, which takes less time.
    """
    for job in jobs:
        job.status = Status.COMPLETE
    if not is_only_receiver():
        for job in jobs:
            announce(job, None)
        return
    _count(jobs)
    log_completions(jobs)
    if tasks := [job for job in jobs if job.task_backend is not None]:
        send_complete(tasks)


def _count(jobs: Sequence[ScheduledJob]) -> None:
    if jobs and (alias := jobs[0]._state.db):
        statistics.count(jobs, alias)
