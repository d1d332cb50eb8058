"""Jobs that wait in this process after their claim, and are confirmed before they start."""

from datetime import datetime

from django_future import clock
from django_future.models import ScheduledJob
from django_future.store import Session, Store, leases
from django_future.store.leases import lease_lost
from django_future.worker.delay_queue import DelayQueue

MAX_AT_ONCE = 500  # jobs; a query for each would take longer than a small job


class Confirmation:
    """Makes sure by one query that a job, and those which start next, are still this worker's."""

    def __init__(self, store: Store, ready: DelayQueue) -> None:
        self._store = store
        self._ready = ready
        # When the jobs of the latest query were confirmed. Threads replace it, and change none.
        self._confirmed_at: dict[tuple[int, int], datetime] = {}

    def confirm(self, job: ScheduledJob, session: Session, since: datetime) -> None:
        """Raise `LeaseLost` unless a job has been this worker's at or after the instant `since`."""
        confirmed_at = self._confirmed_at.get((job.id, job.lease))
        if confirmed_at is not None and confirmed_at >= since:
            return
        session.end_idle()
        now = clock.to_row(self._store.now())
        jobs = [job, *self._ready.first_due(MAX_AT_ONCE - 1)]
        held = leases.running_leases(self._store, jobs)
        confirmed_at_by_job = {
            (each.id, each.lease): now
            for each in jobs
            if (each.id, each.lease, each.worker) in held
        }
        self._confirmed_at = confirmed_at_by_job
        if (job.id, job.lease) not in confirmed_at_by_job:
            raise lease_lost(job)
