"""A claim of one job that is known already."""

from django.db.models import F

from django_future import clock
from django_future.models import ScheduledJob, Worker
from django_future.status import Status
from django_future.store.base import Store
from django_future.store.contention import retry_on_contention


@retry_on_contention
def claim_one(store: Store, worker: Worker, job_id: int) -> ScheduledJob | None:
    """Claim for `worker` the job of that id, whatever its time; None if it is not scheduled.

    Its lease grows, and its attempt is counted.
    """
    # Locks one row for the length of this one statement, or of the transaction that is open. A
    # rival's claim skips it, or waits and then no longer sees it as scheduled.
    claimed = (
        store.jobs.scheduled()
        .filter(pk=job_id)
        .update(
            status=Status.RUNNING,
            worker=worker.name,
            lease=F("lease") + 1,
            attempts=F("attempts") + 1,
            started_at=clock.to_row(store.now()),
        )
    )
    return store.jobs.get(pk=job_id) if claimed else None
