"""Every line that is logged about jobs."""

import logging
from datetime import timedelta
from typing import Any

from django.dispatch import receiver

from django_future import clock, signals
from django_future.models import ScheduledJob

logger = logging.getLogger("django_future")
logger.addHandler(logging.NullHandler())  # a library is silent until the project configures it


@receiver(signals.job_finished)
def log_finished(*, job: ScheduledJob, exception: Exception | None, **_: Any) -> None:
    """Log a job's end: INFO if it is complete, ERROR with the traceback if it failed."""
    logger.log(
        logging.ERROR if exception else logging.INFO,
        "Job %s %s %s: queue %s, late %.3f s, took %.3f s",
        job.pk,
        job.callable_name,
        job.status,
        job.queue_name,
        _between(job, "scheduled_at", "started_at").total_seconds(),
        _between(job, "started_at", "finished_at").total_seconds(),
        exc_info=exception,
    )


@receiver(signals.job_lost)
def log_lost(*, job: ScheduledJob, **_: Any) -> None:
    """Log that a job was taken from a worker that was believed lost."""
    logger.warning(
        "Job %s %s was claimed by another worker; nothing it wrote was kept",
        job.pk,
        job.callable_name,
    )


@receiver(signals.job_rescued)
def log_rescued(*, job: ScheduledJob, **_: Any) -> None:
    """Log a job that was taken from a lost worker."""
    logger.warning("Job %s %s lost its worker and will run again", job.pk, job.callable_name)


@receiver(signals.jobs_expired)
def log_expired(*, count: int, **_: Any) -> None:
    """Log how many jobs expired."""
    logger.warning("%s jobs expired before they could run", count)


def _between(job: ScheduledJob, earlier: str, later: str) -> timedelta:
    return clock.from_row(getattr(job, later)) - clock.from_row(getattr(job, earlier))
