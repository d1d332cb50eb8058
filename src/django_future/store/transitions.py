"""The changes of a job's status that are the same on each database, in the order of its life.

The claim of due jobs, the completion and the expiry are methods of `Store` (base.py), because
databases differ in them.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Greatest

from django_future import clock
from django_future.exceptions import LeaseLost
from django_future.models import ScheduledJob, Worker
from django_future.models.fields import as_parameter
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.status import Status
from django_future.store import attempts, leases
from django_future.store.attempts import RETRIED, WORKER_LOST, Failure
from django_future.store.base import JOBS, NOTIFY_HORIZON, SET_CLAIMED, Store
from django_future.store.contention import retry_on_contention
from django_future.text import shortened, storable
from django_future.when import MAX_INSTANT

# How long a job with an unknown handler is postponed.
MIN_DELAY, MAX_DELAY = timedelta(seconds=1), timedelta(minutes=10)
BATCH_SIZE = 500  # ids; SQLite may limit a statement to 999 parameters

HANDLER_UNKNOWN = "It is released for a worker that does."  # ends the error of such a job

_TIMES = "scheduled_at", "first_due_at", "created_at", "expires_at"
_AFTER_ATTEMPT = "status", "scheduled_at", "finished_at", "error", "error_kind"
_ATTEMPT = "task_backend", "attempts", "worker", "started_at", "finished_at"
# The unique key is cleared, so that code can schedule the same job again.
_PARKED: dict[str, Any] = {
    "status": Status.PARKED, "worker": "", "started_at": None, "unique_key": None,
}  # fmt: skip


OnTasks = Callable[[Collection[int], str], None]  # with the ids, and the alias of the database


# scheduled -> running


@retry_on_contention
def claim_one(store: Store, worker: Worker, job_id: int) -> ScheduledJob | None:
    """Claim the job of that id for `worker`, even if it is not due; None if it is not scheduled."""
    # Locks one row for the length of this statement, or of the open transaction. A rival's claim
    # skips the row, or waits and then no longer sees it as scheduled.
    now = as_parameter(store.now(), store.connection)
    with store.connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {JOBS} SET {SET_CLAIMED} WHERE id = %s AND status = 'scheduled'",
            [worker.name, now, job_id],
        )
        is_claimed = bool(cursor.rowcount)
    return store.jobs.get(pk=job_id) if is_claimed else None


@retry_on_contention
def record_start(store: Store, job: ScheduledJob) -> None:
    """Record the start of a job that was rescued before or is not rescuable.

    The claim of any other job records it.

    Raises `LeaseLost`.
    """
    if not leases.held(store, job).update(started_at=job.started_at):
        raise leases.lease_lost(job)


# running -> scheduled


@retry_on_contention
def release(store: Store, job: ScheduledJob) -> bool:
    """Release a claimed job as if it had never been claimed; False if its lease is lost."""
    with transaction.atomic(using=store.alias):
        leases.hold(store, job)
        return _release(store, job)


@retry_on_contention
def release_unlocked(store: Store, jobs: Sequence[ScheduledJob]) -> list[ScheduledJob]:
    """Release those of `jobs` whose rows no other transaction has locked; return the others."""
    with transaction.atomic(using=store.alias):
        locked = leases.hold_unlocked(store, jobs)
        for job in jobs:
            if job.pk not in locked:
                _release(store, job)
    return [job for job in jobs if job.pk in locked]


@retry_on_contention
def release_unknown(store: Store, job: ScheduledJob, error: str) -> None:
    """Release a claimed job whose handler is unknown to its worker, and record why.

    Raises `LeaseLost`.
    """
    with transaction.atomic(using=store.alias):
        _update_once(
            store,
            job,
            Q(status=Status.SCHEDULED, error=error),
            status=Status.SCHEDULED,
            worker="",
            started_at=None,
            attempts=F("attempts") - 1,
            error=error,
        )
    job.status, job.error = Status.SCHEDULED, error
    _notify_later(store)


def is_handler_unknown(error: str) -> bool:
    """Return whether the recorded error of a job is that a worker did not know its handler."""
    return error.endswith(HANDLER_UNKNOWN)


@retry_on_contention
def postpone(store: Store, job: ScheduledJob, at: datetime) -> None:
    """Move a released job with an unknown handler to `at` plus its age.

    The age counts as at least 1 s and at most 10 min. So a job whose handler no worker knows is
    claimed less and less often, and delays no other job.
    """
    if leases.locked(store, [job]):
        return  # then the next claim finds the job again
    # If another worker has claimed the job in the meantime, the lease differs and nothing changes.
    released = store.jobs.scheduled().filter(pk=job.pk, lease=job.lease)
    for row in released.only("scheduled_at", "first_due_at"):
        first_due_at = row.first_due_at or row.scheduled_at
        age = store.now() - clock.from_row(first_due_at)
        later_at = clock.to_row(at + min(max(age, MIN_DELAY), MAX_DELAY))
        released.update(scheduled_at=later_at, first_due_at=first_due_at)


@retry_on_contention
def rescue(store: Store, job: ScheduledJob, *, is_counted: bool) -> bool:
    """Schedule the job of a lost worker again; False if it has ended in the meantime."""
    with transaction.atomic(using=store.alias):
        leases.hold(store, job)
        is_rescued = _schedule_again(store, job, rescues=F("rescues") + int(is_counted))
        if is_rescued and job.task_backend is not None and job.started_at is not None:
            job.finished_at = clock.to_row(store.now())
            attempts.record(store, job, Failure(WORKER_LOST, f"{WORKER_LOST}: {job.worker}"))
            job.finished_at = None
    return is_rescued


@retry_on_contention
def schedule_retry(store: Store, job: ScheduledJob, at: datetime, failure: Failure | None) -> None:
    """Schedule a running job again for the instant `at`, and record its failed attempt.

    The job already has its `finished_at`, which is that of the attempt. Raises `LeaseLost`.
    """
    changes: dict[str, Any] = {"status": Status.SCHEDULED, "scheduled_at": clock.to_row(at)}
    if failure is not None:
        changes["error"] = failure.traceback
    with transaction.atomic(using=store.alias):
        # `first_due_at` must precede `scheduled_at`: MySQL assigns from left to right.
        first_due_at = Coalesce(F("first_due_at"), F("scheduled_at"))
        _update_held(store, job, started_at=None, worker="", first_due_at=first_due_at, **changes)
        if failure is None and job.task_backend is not None:
            failure = Failure(RETRIED, f"{RETRIED}: another attempt follows")
        if failure is not None:
            attempts.record(store, job, failure)
    vars(job).pop("first_due_at", None)  # the next access loads it
    _apply(job, finished_at=None, return_value=None, **changes)
    _notify_later(store)


def apply_recorded_end(store: Store, job: ScheduledJob, *, is_retry: bool) -> bool:
    """Apply to `job` the end of its attempt if it is recorded, and return whether it is.

    An earlier try may have committed it, though its answer was lost. `is_retry` says whether the
    attempt ended with a `Retry`.
    """
    # An end that another process has recorded has another time.
    is_own = Q(finished_at=job.finished_at)
    if attempts.is_recorded(store, job):
        is_own |= Q(status=Status.SCHEDULED)
    elif is_retry and job.task_backend is None:
        # The time of such an attempt is not stored. A rescue would have counted itself, and a
        # change by hand would have cleared the time when the job was first due.
        counts = {"attempts": job.attempts, "rescues": job.rescues}
        is_own |= Q(status=Status.SCHEDULED, first_due_at__isnull=False, **counts)
    rows = store.jobs.filter(is_own, pk=job.pk, lease=job.lease)
    row = rows.values(*_AFTER_ATTEMPT).first()
    if row is not None:
        _apply(job, return_value=None, **row)
    return row is not None


# scheduled -> scheduled, at another time


def move(store: Store, jobs: ScheduledJobQuerySet, at: datetime) -> int:
    """Move those of `jobs` that are scheduled to the instant `at`, and return how many.

    An instant that has passed means now, and jobs that are due already keep their place then.
    """
    if not jobs.query.is_sliced:
        jobs = jobs.scheduled()
    return sum(_move_batch(store, ids, at) for ids in batches_of_ids(jobs))


@retry_on_contention
def _move_batch(store: Store, ids: Sequence[int], at: datetime) -> int:
    now, count = store.now(), 0
    at = max(at, now)
    # Locks the rows by primary key, in the order of their keys, until the batch commits. A claim
    # skips them, and a rival that moves or cancels them waits. The query has no condition on the
    # status: MariaDB would then lock the index of the status before the row, and deadlock with a
    # claim, which locks the row first.
    with transaction.atomic(using=store.alias):
        store.take_write_lock()
        ids_by_lifetime: dict[timedelta | None, list[int]] = defaultdict(list)
        rows = store.jobs.select_for_update().filter(pk__in=ids).order_by("pk")
        for job in rows.only(*_TIMES, "status"):
            if job.status == Status.SCHEDULED:
                count += 1
                if at > now or not _may_start(job, now):
                    ids_by_lifetime[job.lifetime].append(job.pk)
        for lifetime, group in ids_by_lifetime.items():
            store.jobs.filter(pk__in=group).update(
                scheduled_at=clock.to_row(at), first_due_at=None, expires_at=_expiry(at, lifetime)
            )
        if count and at - now < NOTIFY_HORIZON:
            _notify_later(store)
    return count


def _may_start(job: ScheduledJob, at: datetime) -> bool:
    is_expired = job.expires_at is not None and clock.from_row(job.expires_at) <= at
    return clock.from_row(job.scheduled_at) <= at and not is_expired


# running -> failed, cancelled or deleted


@retry_on_contention
def fail(store: Store, job: ScheduledJob, failure: Failure) -> None:
    """Record that a job failed, and why. It already has its `finished_at`.

    Raises `LeaseLost`.
    """
    with transaction.atomic(using=store.alias):
        _finish_as(store, job, Status.FAILED, failure.traceback, error_kind=failure.kind)
        attempts.record(store, job, failure)


@retry_on_contention
def record_cancelled(store: Store, job: ScheduledJob, reason: str) -> None:
    """Record that a running job is cancelled by its own execution, and why.

    It already has its `finished_at`. Raises `LeaseLost`.
    """
    with transaction.atomic(using=store.alias):
        _finish_as(store, job, Status.CANCELLED, reason)


def delete_complete(store: Store, job: ScheduledJob) -> None:
    """Delete a complete job within its transaction, in place of `Store.finish`.

    Raises `LeaseLost`.
    """
    with transaction.atomic(using=store.alias):
        # Locks the row before that of its progress, which another thread may be writing.
        list(leases.held(store, job).select_for_update())
        deleted, _ = leases.held(store, job).delete()
    if not deleted:
        raise leases.lease_lost(job)
    job.status = Status.COMPLETE


def has_deleted_itself(store: Store, job: ScheduledJob) -> bool:
    """Return whether the open transaction has deleted the row of a job that it still held.

    The commit of that transaction then records the end of the job with its effects.
    """
    if store.jobs.filter(pk=job.pk).exists():
        return False
    if len(store.connection.atomic_blocks) > 1:
        return True  # in the transaction of a test, which no other connection sees
    # Another connection still sees the row as it was before. The open transaction has the row
    # locked until it ends, so the answer cannot become wrong.
    observer = store.connection.copy()
    try:
        with observer.cursor() as cursor:
            cursor.execute(
                """
                SELECT 1 FROM django_future_scheduledjob
                WHERE id = %s AND lease = %s AND worker = %s AND status = 'running'
                """,
                [job.pk, job.lease, job.worker],
            )
            return cursor.fetchone() is not None
    finally:
        observer.close()


# scheduled, parked or running -> cancelled


@retry_on_contention
def cancel(
    store: Store,
    jobs: ScheduledJobQuerySet,
    *,
    running: bool = False,
    reason: str = "",
    on_tasks: OnTasks = lambda *_: None,
) -> int:
    """Cancel those of `jobs` that wait or are parked, and with `running` those that run.

    Returns how many. A running job loses its lease, and with it everything its handler writes.
    `on_tasks` is called in the transaction in which tasks are cancelled.
    """
    if jobs.query.is_sliced:
        jobs = store.jobs.filter(pk__in=list(jobs.values_list("pk", flat=True)))
    states = Status.cancellable(running=running)
    jobs = jobs.filter(status__in=states)
    changes = {
        "status": Status.CANCELLED,
        "finished_at": clock.to_row(store.now()),
        "error": shortened(storable(reason)),
        "unique_key": None,
    }
    batches = batches_of_ids(jobs.filter(task_backend__isnull=False))
    # A task that is added after this query stays as it is, because `on_tasks` would not get it.
    others = jobs.filter(task_backend__isnull=True)
    if not batches:
        return others.update(**changes)
    with transaction.atomic(using=store.alias):
        store.take_write_lock()
        count = 0
        for ids in batches:
            # Locks the rows by primary key, for the reasons given in `_move_batch`. A rival that
            # cancels them waits, and then finds them cancelled.
            rows = store.jobs.select_for_update().filter(pk__in=ids).order_by("pk")
            own = [pk for pk, status in rows.values_list("pk", "status") if status in states]
            count += store.jobs.filter(pk__in=own).update(**changes)
            on_tasks(own, store.alias)
        return count + others.update(**changes)


# running or scheduled -> parked, parked -> scheduled


@retry_on_contention
def park(store: Store, job: ScheduledJob, reason: str) -> None:
    """Park a claimed job as if it had never been claimed, and record why.

    Raises `LeaseLost`.
    """
    with transaction.atomic(using=store.alias):
        is_parked = Q(status=Status.PARKED)
        _update_once(store, job, is_parked, **_PARKED, attempts=F("attempts") - 1, error=reason)
    job.status, job.error = Status.PARKED, reason


def park_locked(store: Store, job: ScheduledJob, reason: str) -> None:
    """Park a scheduled job whose row the open transaction has locked."""
    store.jobs.filter(pk=job.pk).update(**_PARKED, error=reason)


@retry_on_contention
def sign(store: Store, job: ScheduledJob, columns: Mapping[str, Any]) -> bool:
    """Write a signature and what it signs, and schedule the job again if it is parked.

    Returns False, and writes nothing, if the row has another status or signature than `job`.
    """
    rows = store.jobs.filter(pk=job.pk, status=job.status, signature=job.signature)
    if not rows.update(**columns, status=Status.SCHEDULED, error=""):
        return False
    _notify_later(store)
    return True


@retry_on_contention
def rename(store: Store, job: ScheduledJob, columns: Mapping[str, Any]) -> bool:
    """Write the new name of a scheduled job's callable, as `sign` writes a signature."""
    with transaction.atomic(using=store.alias):
        row = store.jobs.scheduled().filter(pk=job.pk, signature=job.signature)
        is_renamed = bool(row.update(**columns, error=""))
    if is_renamed:
        _notify_later(store)
    return is_renamed


# failed, expired or cancelled -> scheduled


def retry(store: Store, jobs: ScheduledJobQuerySet) -> int:
    """Schedule those of `jobs` that may be retried, to run now, and return how many."""
    if not jobs.query.is_sliced:
        jobs = jobs.filter(status__in=Status.retryable())
    return sum(_retry_batch(store, ids) for ids in batches_of_ids(jobs))


@retry_on_contention
def _retry_batch(store: Store, ids: Sequence[int]) -> int:
    at = store.now()
    # Locks the rows by primary key, in the order of their keys, until the batch commits. Workers
    # do not claim these jobs. A rival waits, and then finds them scheduled.
    with transaction.atomic(using=store.alias):
        store.take_write_lock()
        ids_by_lifetime: dict[timedelta | None, list[int]] = defaultdict(list)
        rows = store.jobs.select_for_update().filter(pk__in=ids).order_by("pk")
        for job in rows.only(*_TIMES, *_ATTEMPT, "status"):
            if job.status in Status.retryable():
                ids_by_lifetime[job.lifetime].append(job.pk)
                attempts.record_if_cancelled(store, job)
        if ids_by_lifetime:
            _notify_later(store)
        return sum(
            _retry_with_lifetime(store, group, at, lifetime)
            for lifetime, group in ids_by_lifetime.items()
        )


def _retry_with_lifetime(
    store: Store, ids: Sequence[int], at: datetime, lifetime: timedelta | None
) -> int:
    return store.jobs.filter(pk__in=ids).update(
        status=Status.SCHEDULED,
        scheduled_at=clock.to_row(at),
        first_due_at=None,
        expires_at=_expiry(at, lifetime),
        max_attempts=Greatest(F("max_attempts"), attempts.failures_of_row() + 1),
        rescues=0,
        worker="",
        started_at=None,
        finished_at=None,
        error="",
        error_kind="",
        failure_note=None,
    )


# What the transitions share


def batches_of_ids(jobs: ScheduledJobQuerySet) -> list[list[int]]:
    """Return the ids of `jobs` in order, in lists short enough for one statement."""
    ids = sorted(set(jobs.values_list("pk", flat=True)))
    return [ids[start : start + BATCH_SIZE] for start in range(0, len(ids), BATCH_SIZE)]


def _expiry(at: datetime, lifetime: timedelta | None) -> datetime | None:
    if lifetime is None or lifetime > MAX_INSTANT - at:
        return None
    return clock.to_row(at + lifetime)


def _release(store: Store, job: ScheduledJob) -> bool:
    return _schedule_again(store, job, attempts=F("attempts") - 1)


def _schedule_again(store: Store, job: ScheduledJob, **counts: object) -> bool:
    row = leases.held(store, job)
    if not row.update(status=Status.SCHEDULED, worker="", started_at=None, **counts):
        return False
    _notify_later(store)
    return True


def _notify_later(store: Store) -> None:
    # Robust, because the change is committed. Without the notification, workers poll.
    transaction.on_commit(store.notify, using=store.alias, robust=True)


def _finish_as(
    store: Store, job: ScheduledJob, status: Status, error: str, *, error_kind: str = ""
) -> None:
    changes = {
        "status": status,
        "finished_at": job.finished_at,
        "error": error,
        "error_kind": error_kind,
    }
    _update_held(store, job, started_at=job.started_at, unique_key=None, **changes)
    _apply(job, return_value=None, **changes)


def _update_held(store: Store, job: ScheduledJob, **changes: Any) -> None:
    leases.hold(store, job)
    if not leases.held(store, job).update(**changes):
        raise leases.lease_lost(job)


def _update_once(store: Store, job: ScheduledJob, recorded: Q, **changes: Any) -> None:
    """Write `changes` unless the row is as `recorded`: an earlier try, whose answer was lost."""
    try:
        _update_held(store, job, **changes)
    except LeaseLost:
        if not store.jobs.filter(recorded, pk=job.pk, lease=job.lease).exists():
            raise


def _apply(job: ScheduledJob, **changes: Any) -> None:
    for name, value in changes.items():
        setattr(job, name, value)
