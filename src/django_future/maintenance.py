"""What happens to jobs that nobody runs: they expire, or are taken from workers that were lost."""

from datetime import datetime

from django_future import signals
from django_future.conf import config
from django_future.exceptions import LeaseLost, WorkerLost
from django_future.models import ScheduledJob
from django_future.store import Store

MOST_RESCUES = 3


def expire(store: Store, at: datetime) -> None:
    """Mark the jobs that have waited past their expiry at the instant `at`."""
    count = 0
    while expired := store.expire(at):
        count += expired
    if count:
        signals.jobs_expired.send_robust(ScheduledJob, count=count)


def rescue(store: Store) -> None:
    """Put back the jobs of lost workers; fail those that have cost too many workers."""
    seen_since = store.now() - 1.5 * config().HEARTBEAT
    for job in store.lost(seen_since):
        if job.rescues >= MOST_RESCUES:
            _give_up(job, store)
        elif store.rescue(job):
            signals.job_rescued.send_robust(ScheduledJob, job=job)
    store.forget_workers(seen_since)


def _give_up(job: ScheduledJob, store: Store) -> None:
    error = WorkerLost(
        f"The worker {job.worker} stopped without a word while it ran this job, as {job.rescues} "
        "others did before. The job may be what ends them, so it is not run again."
    )
    try:
        store.fail(job, f"{WorkerLost.__module__}.{WorkerLost.__qualname__}: {error}")
    except LeaseLost:
        return
    signals.job_finished.send_robust(ScheduledJob, job=job, exception=error)
