"""Expires overdue jobs, rescues the jobs of lost workers, and prunes finished jobs."""

import logging
import math
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import DatabaseError, InterfaceError, OperationalError

from django_future import signals
from django_future.conf import config
from django_future.content_objects import load_label
from django_future.execution.failure import rescue_job
from django_future.log import job_label, log_extra
from django_future.models import ScheduledJob
from django_future.status import Status
from django_future.store import Expired, Store, retention, statistics
from django_future.store.lost_jobs import lost_jobs
from django_future.store.workers import MAX_SILENCE, LostWorker, forget, lost_workers
from django_future.task_signals import send_all_finished

logger = logging.getLogger("django_future")

MAX_NAMED = 10  # expired jobs that one signal contains
MAX_PRUNE_SECONDS = 1.0  # in each round of housekeeping
PRUNE_PAUSE_SECONDS = 0.01  # between two transactions, so that others can get their locks

# By database, the ids of expired tasks whose signals could not be sent.
_unsent: dict[str, list[int]] = {}


def expire(store: Store, at: datetime, *, seconds: float = math.inf) -> None:
    """Expire the jobs whose `expires_at` is `at` or earlier, for at most about `seconds`."""
    stop_at = time.monotonic() + seconds
    count, first_jobs = 0, list[Expired]()
    try:
        while True:
            expired = store.expire(at)
            count += len(expired)
            first_jobs += expired[: MAX_NAMED - len(first_jobs)]
            statistics.count_expired(expired, store.alias)
            _send_tasks_finished([job.id for job in expired if job.is_task], store.alias)
            if not expired or time.monotonic() >= stop_at:
                break
    finally:
        # Also after an error: the jobs before it have expired, and no later call returns them.
        if count:
            signals.jobs_expired.send_robust(ScheduledJob, count=count, jobs=first_jobs)


def rescue(store: Store, *, seconds: float = math.inf) -> None:
    """Rescue the jobs of lost workers, for at most about `seconds`; the next call continues."""
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


def rescue_once(store: Store) -> None:
    """Rescue the jobs of lost workers in a process that is too short-lived for `Punctuality`.

    It does nothing if the database server has just started, because running workers may not have
    reconnected yet.
    """
    age = store.server_age()
    if age is None or age > MAX_SILENCE * config().HEARTBEAT:
        rescue(store)


def write_statistics(store: Store) -> None:
    """Write the numbers of the jobs that this process has counted; log why if that fails."""
    try:
        statistics.flush(store)
    except Exception:
        logger.exception("The statistics could not be written; trying again later")


def prune(store: Store) -> None:
    """Delete jobs whose retention is over, for at most about a second."""
    # With a short HEARTBEAT, the next round of housekeeping must not be late.
    seconds = min(MAX_PRUNE_SECONDS, config().HEARTBEAT.total_seconds() / 8)
    retentions = config().RETENTION
    for status, length in retentions.items():
        try:
            prune_status(store, status, length, seconds=seconds / len(retentions))
        except Exception:
            logger.exception(
                "The %s jobs could not be pruned; pruning continues with other statuses", status
            )


def prune_status(
    store: Store, status: Status, length: timedelta, *, seconds: float = math.inf
) -> int:
    """Delete jobs that got their final `status` longer than `length` ago, and return their number.

    It stops after about `seconds`.
    """
    stop_at = time.monotonic() + seconds
    total = 0
    try:
        for count in retention.prune(store, status, store.now() - length):
            total += count
            if time.monotonic() >= stop_at:
                break
            time.sleep(PRUNE_PAUSE_SECONDS)
    finally:
        # Also after an error: the jobs before it are deleted.
        if total:
            signals.jobs_pruned.send_robust(ScheduledJob, status=status, count=total)
    return total


def _send_tasks_finished(ids: Sequence[int], alias: str) -> None:
    """Send `task_finished` for expired tasks; if their rows cannot be read, the next call does."""
    unsent = _unsent.pop(alias, [])
    try:
        send_all_finished([*unsent, *ids], alias)
    except (DatabaseError, InterfaceError):
        # Each is tried twice only, because one of the rows may be unreadable.
        _unsent.setdefault(alias, []).extend(ids)
        raise


def _kill_sessions(store: Store, worker: LostWorker) -> None:
    if worker.sessions:
        try:
            store.kill_sessions(worker.sessions)
        except DatabaseError:
            # For example, they belong to another database user. The jobs are rescued anyway.
            logger.exception("The sessions of the lost worker %s could not be ended", worker.id)


def _rescue_lost(store: Store, job: ScheduledJob) -> None:
    try:
        load_label(job)  # for the log; this process may not have run a job of the same model
        rescue_job(job, store, f"The worker {job.worker} was lost while it ran this job")
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        # The row of this job is invalid. The other jobs are rescued anyway.
        logger.exception(
            "Job %s of a lost worker could not be rescued", job_label(job), extra=log_extra(job)
        )
