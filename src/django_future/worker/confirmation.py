"""Jobs that wait in this process after their claim, and are confirmed before they start."""

from django_future import clock
from django_future.models import ScheduledJob
from django_future.store import Store
from django_future.store.completion import lease_lost
from django_future.worker.ready import Ready

MAX_AT_ONCE = 500  # jobs; a query for each would take longer than a small job


class Confirmation:
    """Makes sure by one query that a job, and those which start next, are still this worker's."""

    def __init__(self, store: Store, ready: Ready) -> None:
        self._store = store
        self._ready = ready

    def confirm(self, job: ScheduledJob) -> None:
        """Raise `LeaseLost` if a claimed job is no longer this worker's.

        A job that waits and is confirmed counts as claimed now, so it is not confirmed again soon.
        """
        now = clock.to_row(self._store.now())
        waiting = self._ready.first_due(MAX_AT_ONCE - 1)
        held = self._store.leases([job, *waiting])
        for each in waiting:
            if each.started_at is not None and (each.id, each.lease, each.worker) in held:
                each.started_at = now
        if (job.id, job.lease, job.worker) not in held:
            raise lease_lost(job)
