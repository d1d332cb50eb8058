"""Checks the leases of claimed jobs just before they start."""

from datetime import datetime

from django_future import clock
from django_future.models import ScheduledJob
from django_future.store import Session, Store, leases
from django_future.store.leases import lease_lost
from django_future.worker.delay_queue import DelayQueue

MAX_JOBS = 500  # in a query; one query for each job would take longer than a small job


class Confirmation:
    """Checks with one query the leases of a job and of the jobs that start next."""

    def __init__(self, store: Store, ready: DelayQueue) -> None:
        self._store = store
        self._ready = ready
        # When the latest query confirmed each job. Threads replace the dictionary as a whole, and
        # never change it.
        self._confirmed_at: dict[tuple[int, int], datetime] = {}

    def confirm(self, job: ScheduledJob, session: Session, since: datetime) -> None:
        """Raise `LeaseLost` unless this worker has held the lease of a job at or after `since`."""
        confirmed_at = self._confirmed_at.get((job.id, job.lease))
        if confirmed_at is not None and confirmed_at >= since:
            return
        session.end_idle()
        now = clock.to_row(self._store.now())
        jobs = [job, *self._ready.first_due(MAX_JOBS - 1)]
        held = leases.running_leases(self._store, jobs)
        confirmed_at_by_job = {
            (waiting.id, waiting.lease): now
            for waiting in jobs
            if (waiting.id, waiting.lease, waiting.worker) in held
        }
        self._confirmed_at = confirmed_at_by_job
        if (job.id, job.lease) not in confirmed_at_by_job:
            raise lease_lost(job)
