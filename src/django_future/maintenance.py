"""What happens to jobs that nobody runs: they expire, lose a lost worker, or are kept no longer."""

import logging
import math
import time
from datetime import datetime, timedelta

from django_future import signals
from django_future.conf import config
from django_future.exceptions import LeaseLost, WorkerLost
from django_future.models import ScheduledJob
from django_future.status import Status
from django_future.store import Store, retention
from django_future.store.ends import Failure, fail
from django_future.store.registry import lost_jobs, lost_workers, unregister

logger = logging.getLogger("django_future")

MOST_RESCUES = 3
LONGEST_PRUNING = 1.0  # seconds of a heartbeat
BREATH = 0.01  # seconds between two transactions that prune, for others


def expire(store: Store, at: datetime, *, seconds: float = math.inf) -> None:
    """Mark the jobs that have waited past their expiry at the instant `at`.

    Stops after `seconds`.
    """
    stop_at = time.monotonic() + seconds
    count = 0
    while expired := store.expire(at):
        count += expired
        if time.monotonic() >= stop_at:
            break
    if count:
        signals.jobs_expired.send_robust(ScheduledJob, count=count)


def rescue(store: Store) -> None:
    """Take the jobs of lost workers from them, for others to run."""
    seen_since = store.now() - 1.25 * config().HEARTBEAT
    workers = lost_workers(store, seen_since)
    for worker in workers:
        store.end_sessions(worker)
    for job in lost_jobs(store, seen_since):
        rescue_job(job, store, f"The worker {job.worker} stopped without a word")
    for worker in workers:
        unregister(store, worker)


def rescue_job(job: ScheduledJob, store: Store, reason: str) -> None:
    """Put a job back that was interrupted; fail it if that has happened too often."""
    # A worker holds many jobs, of which it runs a few. A job that was rescued before, or must not
    # be, tells by its start whether it ran, so that those beside one that takes down its workers
    # do not fail with it.
    tells = job.rescues > 0 or not job.is_rescuable
    may_have_run = not tells or job.started_at is not None
    most = MOST_RESCUES if job.is_rescuable else 0
    if job.rescues < most or not may_have_run:
        if store.rescue(job, is_counted=may_have_run):
            signals.job_rescued.send_robust(ScheduledJob, job=job)
        return
    error = WorkerLost(f"{reason} while it ran this job{_why_not_again(job)}")
    name = f"{WorkerLost.__module__}.{WorkerLost.__qualname__}"
    try:
        fail(store, job, Failure(name, f"{name}: {error}"))
    except LeaseLost:
        return
    signals.job_finished.send_robust(ScheduledJob, job=job, exception=error)


def prune(store: Store) -> None:
    """Delete for a moment, at each heartbeat, jobs that were kept for as long as `KEEP` says."""
    # So that the next sign of life is not late.
    seconds = min(LONGEST_PRUNING, config().HEARTBEAT.total_seconds() / 8)
    keep = config().KEEP
    for status, length in keep.items():
        try:
            prune_status(store, status, length, seconds=seconds / len(keep))
        except Exception:
            logger.exception("The %s jobs could not be pruned; those of other statuses are", status)


def prune_status(
    store: Store, status: Status, length: timedelta, *, seconds: float = math.inf
) -> int:
    """Delete the jobs that ended in `status` longer ago than `length`, and return how many.

    Stops after `seconds`.
    """
    stop_at = time.monotonic() + seconds
    total = 0
    for count in retention.prune(store, status, store.now() - length):
        total += count
        if time.monotonic() >= stop_at:
            break
        time.sleep(BREATH)
    if total:
        signals.jobs_pruned.send_robust(ScheduledJob, status=status, count=total)
    return total


def _why_not_again(job: ScheduledJob) -> str:
    if not job.is_rescuable:
        return ". How far it came nobody knows, and with rescue=False it is not run again."
    return (
        f", as did {job.rescues} before it. The job may be what ends them, so it is not run again."
    )
