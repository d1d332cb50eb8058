"""The rows of paused queues, whose jobs no worker claims."""

from django.db import transaction

from django_future import clock
from django_future.models import PausedQueue
from django_future.store.base import Store
from django_future.store.contention import retry_on_contention
from django_future.store.selection import PAUSED


@retry_on_contention
def pause(store: Store, queue_name: str, reason: str, paused_by: str = "") -> None:
    """Record that a queue is paused; if it already is, change the reason and who paused it."""
    paused = PausedQueue.objects.using(store.alias)
    values = {"reason": reason, "paused_by": paused_by}
    if not paused.filter(queue_name=queue_name).update(**values):
        paused_at = clock.to_row(store.now())
        queue = PausedQueue(queue_name=queue_name, paused_at=paused_at, **values)
        # A rival may have inserted the row since.
        paused.bulk_create([queue], ignore_conflicts=True)
    _notify_on_commit(store)


@retry_on_contention
def resume(store: Store, queue_name: str) -> None:
    """Delete the record that a queue is paused."""
    PausedQueue.objects.using(store.alias).filter(queue_name=queue_name).delete()
    _notify_on_commit(store)


def paused_queues(store: Store) -> tuple[str, ...]:
    """Return the names of the queues that are paused."""
    with store.connection.cursor() as cursor:
        cursor.execute(PAUSED)
        return tuple(name for (name,) in cursor.fetchall())


def _notify_on_commit(store: Store) -> None:
    transaction.on_commit(store.notify, using=store.alias, robust=True)
