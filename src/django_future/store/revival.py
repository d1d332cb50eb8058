"""Jobs that have ended without success, put back to run again."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, F, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce, Greatest

from django_future import clock
from django_future.models import JobAttempt
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.status import Status
from django_future.store.base import Store
from django_future.store.contention import retry_on_contention
from django_future.when import MAX_INSTANT

_TIMES = "scheduled_at", "first_due_at", "created_at", "expires_at"
BATCH = 500  # SQLite may hold a statement to 999 parameters


def retry(store: Store, jobs: ScheduledJobQuerySet) -> int:
    """Put those of `jobs` that may be retried back, due now, and return how many."""
    if not jobs.query.is_sliced:
        jobs = jobs.filter(status__in=Status.retryable())
    ids = sorted(set(jobs.values_list("pk", flat=True)))
    count = sum(_retry(store, ids[start : start + BATCH]) for start in range(0, len(ids), BATCH))
    if count:
        transaction.on_commit(store.notify, using=store.alias, robust=True)
    return count


@retry_on_contention
def _retry(store: Store, ids: Sequence[int]) -> int:
    at = store.now()
    # Locks the rows, in the order of their keys and by those alone, until the batch commits.
    # Workers have no use for them; a rival waits, and then finds them scheduled.
    with transaction.atomic(using=store.alias):
        store.take_write_lock()
        alike: dict[timedelta | None, list[int]] = defaultdict(list)
        rows = store.jobs.select_for_update().filter(pk__in=ids).order_by("pk")
        for job in rows.only(*_TIMES, "status"):
            if job.status in Status.retryable():
                alike[job.lifetime].append(job.pk)
        return sum(_put_back(store, pks, at, lifetime) for lifetime, pks in alike.items())


def _put_back(store: Store, ids: Sequence[int], at: datetime, lifetime: timedelta | None) -> int:
    failed = JobAttempt.objects.filter(job=OuterRef("pk")).order_by().values("job")
    count = Coalesce(Subquery(failed.values(count=Count("pk"))), Value(0))
    return store.jobs.filter(pk__in=ids).update(
        status=Status.SCHEDULED,
        scheduled_at=clock.to_row(at),
        first_due_at=None,
        expires_at=_later(at, lifetime),
        max_attempts=Greatest(F("max_attempts"), count + 1),
        rescues=0,
        worker="",
        started_at=None,
        finished_at=None,
        error="",
    )


def _later(at: datetime, lifetime: timedelta | None) -> datetime | None:
    if lifetime is None or lifetime > MAX_INSTANT - at:
        return None
    return clock.to_row(at + lifetime)
