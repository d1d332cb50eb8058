"""New jobs of which there is one at a time: a look tells where to begin, the index decides."""

from contextlib import nullcontext
from functools import partial

from django.db import IntegrityError, transaction

from django_future import clock, signals, signatures
from django_future.exceptions import KeyTaken
from django_future.models import ScheduledJob
from django_future.status import Status
from django_future.store.base import Expired, Store
from django_future.store.contention import retry_on_contention
from django_future.store.postgresql.notify import NOTIFY_HORIZON
from django_future.store.transitions import park_locked

TRIES = 10


@retry_on_contention
def add_unique(store: Store, job: ScheduledJob, *, is_replacing: bool) -> ScheduledJob:
    """Insert a new job and return it, or the one with its key that is scheduled or running.

    With `is_replacing`, one that is still scheduled is moved to the time of the new one.

    Raises `KeyTaken` if another has the key which this transaction cannot see.
    """
    if store.connection.in_atomic_block:
        store.take_write_lock()
    # Between the look and what follows from it another may take the key, or the one that has it may
    # be claimed, or end. Then that is what the next look sees.
    refusal: IntegrityError | None = None
    holders = store.jobs.filter(unique_key=job.unique_key, callable_name=job.callable_name)
    for _ in range(TRIES):
        # Not first(), whose order by primary key may lead a planner past all jobs there are.
        holder = next(iter(holders.all()), None)
        if holder is None:
            refusal = _insert(store, job)
            if refusal is None:
                return job
        elif _stays(store, holder, job, is_replacing=is_replacing):
            return holder
    raise KeyTaken(
        f"Another job of {job.callable_name} has the unique key {job.unique_key!r}, and this "
        "transaction cannot see it. Schedule the job outside of it, or let its isolation level be "
        "READ COMMITTED."
    ) from refusal


def _insert(store: Store, job: ScheduledJob) -> IntegrityError | None:
    """Insert a new job, or return why the database refuses it."""
    # Waits for a rival's transaction that has inserted the same key, or is ending the job that had
    # it. A failure undoes this statement alone, not what the caller's transaction did before.
    is_inside = store.connection.in_atomic_block
    try:
        with transaction.atomic(using=store.alias) if is_inside else nullcontext():
            store.add([job])
    except IntegrityError as error:
        return error
    return None


def _stays(store: Store, holder: ScheduledJob, new: ScheduledJob, *, is_replacing: bool) -> bool:
    """Tell whether `holder` stands for the new job, once moved to its time if that is asked for."""
    if holder.status == Status.RUNNING:
        return True
    if not holder.is_signed:
        _park(store, holder)
        return False
    if is_replacing:
        return _move(store, holder, new)
    if holder.expires_at is None or clock.from_row(holder.expires_at) > store.now():
        return True
    _expire(store, holder)
    return False


def _move(store: Store, holder: ScheduledJob, new: ScheduledJob) -> bool:
    with transaction.atomic(using=store.alias):
        if not _lock(store, holder):
            return False
        holder.scheduled_at, holder.expires_at = new.scheduled_at, new.expires_at
        holder.first_due_at = None
        store.jobs.filter(pk=holder.pk).update(
            scheduled_at=new.scheduled_at, expires_at=new.expires_at, first_due_at=None
        )
        if clock.from_row(new.scheduled_at) - clock.now() < NOTIFY_HORIZON:
            transaction.on_commit(store.notify, using=store.alias, robust=True)
    return True


def _expire(store: Store, holder: ScheduledJob) -> None:
    # Nobody will run it any more, though no worker has come by to say so.
    with transaction.atomic(using=store.alias):
        if _lock(store, holder):
            store.jobs.filter(pk=holder.pk).update(
                status=Status.EXPIRED, finished_at=clock.to_row(store.now()), unique_key=None
            )
            expired = Expired(holder.pk, holder.callable_name)
            tell = partial(signals.jobs_expired.send_robust, ScheduledJob, count=1, jobs=[expired])
            transaction.on_commit(tell, using=store.alias, robust=True)


def _park(store: Store, holder: ScheduledJob) -> None:
    # It would never run, and must not stand for a job that code schedules.
    error = signatures.not_signed(holder.__dict__)
    with transaction.atomic(using=store.alias):
        if _lock(store, holder):
            park_locked(store, holder, str(error))
            tell = partial(
                signals.job_parked.send_robust, ScheduledJob, job=holder, exception=error
            )
            transaction.on_commit(tell, using=store.alias, robust=True)


def _lock(store: Store, holder: ScheduledJob) -> bool:
    """Unset workers from a job that is still scheduled, or tell that it is not any more."""
    # Locks one row until the transaction ends, which a claim skips meanwhile. By primary key alone:
    # for a condition on the status MariaDB would go through its index, lock that first, and so
    # deadlock with a claim, which locks the row first.
    store.take_write_lock()
    row = store.jobs.select_for_update().filter(pk=holder.pk).only("status").first()
    return row is not None and row.status == Status.SCHEDULED
