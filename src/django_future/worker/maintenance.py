"""What happens to jobs that nobody runs: they expire, lose a lost worker, or are kept no longer."""

import logging
import math
import time
from datetime import datetime, timedelta

from django.db import DatabaseError, InterfaceError, OperationalError

from django_future import signals
from django_future.conf import config
from django_future.execution.failure import rescue_job
from django_future.log import job_label, log_extra
from django_future.models import ScheduledJob
from django_future.status import Status
from django_future.store import Expired, Store, retention
from django_future.store.lost_jobs import lost_jobs
from django_future.store.workers import MAX_SILENCE, LostWorker, forget, lost_workers

logger = logging.getLogger("django_future")

MAX_NAMED = 10  # of the jobs that expire together
MAX_PRUNE_SECONDS = 1.0  # seconds of a heartbeat
PRUNE_PAUSE_SECONDS = 0.01  # seconds between two transactions that prune, for others


def expire(store: Store, at: datetime, *, seconds: float = math.inf) -> None:
    """Mark the jobs that have waited past their expiry at the instant `at`.

    Stops after `seconds`.
    """
    stop_at = time.monotonic() + seconds
    count, named = 0, list[Expired]()
    while expired := store.expire(at):
        count += len(expired)
        named += expired[: MAX_NAMED - len(named)]
        if time.monotonic() >= stop_at:
            break
    if count:
        signals.jobs_expired.send_robust(ScheduledJob, count=count, jobs=named)


def rescue(store: Store, *, seconds: float = math.inf) -> None:
    """Take the jobs of lost workers from them, for others to run.

    Stops after `seconds`; the next call goes on.
    """
    stop_at = time.monotonic() + seconds
    at = store.now()
    workers = list(lost_workers(store, at))
    for worker in workers:
        _kill_sessions(store, worker)
    for job in lost_jobs(store, at):
        _rescue_lost(store, job)
        if time.monotonic() >= stop_at:
            return
    for worker in workers:
        forget(store, worker, at)


def rescue_unwatched(store: Store) -> None:
    """Rescue for a process that has not watched other workers before, and will not stay.

    When a server has just started, workers that live may not have reached it yet.
    """
    age = store.server_age()
    if age is None or age > MAX_SILENCE * config().HEARTBEAT:
        rescue(store)


def prune(store: Store) -> None:
    """Delete jobs whose retention has passed, for a short time at each heartbeat."""
    # So that the next sign of life is not late.
    seconds = min(MAX_PRUNE_SECONDS, config().HEARTBEAT.total_seconds() / 8)
    keep = config().RETENTION
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
        time.sleep(PRUNE_PAUSE_SECONDS)
    if total:
        signals.jobs_pruned.send_robust(ScheduledJob, status=status, count=total)
    return total


def _kill_sessions(store: Store, worker: LostWorker) -> None:
    if worker.sessions:
        try:
            store.kill_sessions(worker.sessions)
        except DatabaseError:
            # Another user's, for instance. Its jobs are rescued all the same.
            logger.exception("The sessions of the lost worker %s cannot be ended", worker.id)


def _rescue_lost(store: Store, job: ScheduledJob) -> None:
    try:
        rescue_job(job, store, f"The worker {job.worker} was lost while it ran this job")
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        # The fault is in its row. Others are rescued all the same.
        logger.exception(
            "Job %s of a lost worker cannot be rescued", job_label(job), extra=log_extra(job)
        )
