"""What happens to jobs that nobody runs: they expire, or are taken from workers that were lost."""

from datetime import datetime

from django_future import signals
from django_future.conf import config
from django_future.exceptions import LeaseLost
from django_future.models import ScheduledJob
from django_future.store import Store

MOST_RESCUES = 3
_WORKER_LOST = (
    "django_future.exceptions.WorkerLost: The worker {worker} stopped without a word while it ran "
    "this job, as {rescues} did before. The job may be what ends them; it is not run again."
)


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
    rescued = [job for job in store.lost(seen_since) if _rescue(job, store)]
    if rescued:
        signals.jobs_rescued.send_robust(ScheduledJob, jobs=rescued)
    store.forget_workers(seen_since)


def _rescue(job: ScheduledJob, store: Store) -> bool:
    if job.rescues < MOST_RESCUES:
        return store.rescue(job)
    try:
        store.fail(job, _WORKER_LOST.format(worker=job.worker, rescues=job.rescues))
    except LeaseLost:
        return False
    return True
