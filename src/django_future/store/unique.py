"""Inserts unique jobs. A query finds the job that has the key; the unique index decides."""

from collections.abc import Callable, Collection
from contextlib import nullcontext
from functools import partial

from django.db import IntegrityError, transaction

from django_future import clock, signals, signatures
from django_future.exceptions import KeyTaken
from django_future.models import ScheduledJob
from django_future.status import Status
from django_future.store import leases
from django_future.store.base import NOTIFY_HORIZON, Expired, Store
from django_future.store.contention import retry_on_contention
from django_future.store.transitions import park_locked

MAX_TRIES = 10

OnExpired = Callable[[Collection[int], str], None]  # with the ids, and the alias of the database


@retry_on_contention
def add_unique(
    store: Store, job: ScheduledJob, *, is_replacing: bool, on_expired: OnExpired
) -> ScheduledJob:
    """Insert a new job and return it, or return the scheduled or running job that has its key.

    With `is_replacing`, a job that is still scheduled moves to the time of the new one.
    `on_expired` is called in the transaction in which an expired job is recorded as such.

    Raises `KeyTaken` if this transaction cannot see the job that has the key.
    """
    if store.connection.in_atomic_block:
        # SQLite refuses, without waiting, a write in a transaction that read before another
        # connection wrote.
        store.take_write_lock()
    # After the query, a rival may take the key, or the job that has it may be claimed or end. Then
    # the next try sees the change.
    refusal: IntegrityError | None = None
    holders = store.jobs.filter(unique_key=job.unique_key, callable_name=job.callable_name)
    for _ in range(MAX_TRIES):
        # Not first(): for its order by primary key, a planner may read the whole table.
        holder = next(iter(holders.all()), None)
        if holder is None:
            refusal = _insert(store, job)
            if refusal is None:
                return job
        elif _reuse(store, holder, job, is_replacing=is_replacing, on_expired=on_expired):
            return holder
    raise KeyTaken(
        f"Another job of {job.callable_name} has the unique key {job.unique_key!r}, and this "
        "transaction cannot see it. Schedule the job outside of the transaction, or use the "
        "isolation level READ COMMITTED."
    ) from refusal


def key_of(job: ScheduledJob) -> tuple[str, str | None]:
    """Return the callable and the unique key, which no two scheduled or running jobs share."""
    return job.callable_name, job.unique_key


def locked_keys(store: Store, jobs: Collection[ScheduledJob]) -> Collection[tuple[str, str | None]]:
    """Return those keys of `jobs` whose scheduled job another transaction has locked."""
    if not jobs:
        return ()
    # Without a condition on the status, for which a planner may read all waiting jobs.
    holders = store.jobs.filter(
        callable_name__in={job.callable_name for job in jobs},
        unique_key__in={job.unique_key for job in jobs},
    ).only("callable_name", "unique_key", "status")
    waiting = [holder for holder in holders if holder.status == Status.SCHEDULED]
    locked = leases.locked(store, waiting) if waiting else set()
    return {key_of(holder) for holder in waiting if holder.pk in locked}


def _insert(store: Store, job: ScheduledJob) -> IntegrityError | None:
    """Insert a new job; return the error if the database refuses it."""
    # Waits for the transaction of a rival that has inserted the same key, or ends the job that had
    # it. A failure rolls back this statement only, not the caller's transaction.
    is_inside = store.connection.in_atomic_block
    try:
        with transaction.atomic(using=store.alias) if is_inside else nullcontext():
            store.add([job])
    except IntegrityError as error:
        return error
    return None


def _reuse(
    store: Store,
    holder: ScheduledJob,
    new: ScheduledJob,
    *,
    is_replacing: bool,
    on_expired: OnExpired,
) -> bool:
    """Return whether `holder` takes the place of the new job; with `is_replacing`, move it."""
    if holder.status == Status.RUNNING:
        return True
    if not holder.is_signed:
        _park(store, holder)
        return False
    if is_replacing:
        return _move(store, holder, new)
    if holder.expires_at is None or clock.from_row(holder.expires_at) > store.now():
        return True
    _expire(store, holder, on_expired)
    return False


def _move(store: Store, holder: ScheduledJob, new: ScheduledJob) -> bool:
    with transaction.atomic(using=store.alias):
        if not _lock_scheduled(store, holder):
            return False
        holder.scheduled_at, holder.expires_at = new.scheduled_at, new.expires_at
        holder.first_due_at, holder.run_after = None, new.run_after
        store.jobs.filter(pk=holder.pk).update(
            scheduled_at=new.scheduled_at,
            expires_at=new.expires_at,
            run_after=new.run_after,
            first_due_at=None,
        )
        if clock.from_row(new.scheduled_at) - clock.now() < NOTIFY_HORIZON:
            transaction.on_commit(store.notify, using=store.alias, robust=True)
    return True


def _expire(store: Store, holder: ScheduledJob, on_expired: OnExpired) -> None:
    # The job never starts any more, but no worker has set its status yet.
    with transaction.atomic(using=store.alias):
        if _lock_scheduled(store, holder):
            now = clock.to_row(store.now())
            store.jobs.filter(pk=holder.pk).update(
                status=Status.EXPIRED, finished_at=now, unique_key=None
            )
            is_task = holder.task_backend is not None
            expired = Expired(holder.pk, holder.callable_name, holder.queue_name, is_task, now)
            send = partial(signals.jobs_expired.send_robust, ScheduledJob, count=1, jobs=[expired])
            transaction.on_commit(send, using=store.alias, robust=True)
            on_expired([holder.pk], store.alias)


def _park(store: Store, holder: ScheduledJob) -> None:
    # The job would never run, and must not take the place of a job that code schedules.
    error = signatures.signature_error(holder.__dict__)
    with transaction.atomic(using=store.alias):
        if _lock_scheduled(store, holder):
            park_locked(store, holder, str(error))
            send = partial(
                signals.job_parked.send_robust, ScheduledJob, job=holder, exception=error
            )
            transaction.on_commit(send, using=store.alias, robust=True)


def _lock_scheduled(store: Store, holder: ScheduledJob) -> bool:
    """Lock the row of a job, and return whether it is still scheduled."""
    # Locks one row until the transaction ends. Claims skip the row. The query has no condition on
    # the status: MariaDB would then lock the index of the status before the row, and deadlock with
    # a claim, which locks the row first.
    store.take_write_lock()
    row = store.jobs.select_for_update().filter(pk=holder.pk).only("status").first()
    return row is not None and row.status == Status.SCHEDULED
