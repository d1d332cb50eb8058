"""The rows of workers: who lives, and who has not been seen for too long."""

from datetime import datetime

from django_future import clock
from django_future.models import ScheduledJob, Worker
from django_future.store.base import Store
from django_future.store.contention import patient


@patient
def register(store: Store, worker: Worker) -> None:
    """Record that `worker` lives, by the database's clock; call it again at each heartbeat."""
    worker.seen_at = clock.to_row(store.now())
    registered = Worker.objects.using(store.alias).filter(name=worker.name)
    if not registered.update(
        seen_at=worker.seen_at, running=worker.running, sessions=worker.sessions
    ):
        # Two threads may both find it missing.
        Worker.objects.using(store.alias).bulk_create([worker], ignore_conflicts=True)


@patient
def unregister(store: Store, worker: Worker) -> None:
    """Forget a worker that has stopped."""
    Worker.objects.using(store.alias).filter(name=worker.name).delete()


def lost_workers(store: Store, seen_since: datetime) -> list[Worker]:
    """Return the workers that have not been seen since the given instant."""
    return list(Worker.objects.using(store.alias).filter(seen_at__lt=clock.to_row(seen_since)))


def lost_jobs(store: Store, seen_since: datetime) -> list[ScheduledJob]:
    """Return the running jobs whose worker has not been seen since the given instant."""
    # The jobs first: a worker is registered before it claims, so one that is not among the
    # workers read afterwards is gone, not new.
    running = list(store.jobs.running())
    if not running:
        return []
    alive = set(
        Worker.objects.using(store.alias)
        .filter(seen_at__gte=clock.to_row(seen_since))
        .values_list("name", flat=True)
    )
    return [job for job in running if job.worker not in alive]
