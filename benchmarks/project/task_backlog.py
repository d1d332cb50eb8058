"""Enqueues a backlog of tasks of Django's Tasks API on our backend."""

from benchmarks.peers.django_tasks import scheduler
from benchmarks.project.backlog import CHUNK_SIZE

__all__ = ["fill", "scheduler"]


def fill(job: str, count: int) -> None:
    """Enqueue `count` tasks in bulk."""
    import django

    django.setup()
    from django.tasks import default_task_backend

    from benchmarks.peers import measured_tasks

    task = getattr(measured_tasks, job)
    for first in range(0, count, CHUNK_SIZE):
        numbers = range(first, min(first + CHUNK_SIZE, count))
        default_task_backend.enqueue_many([(task, [number], {}) for number in numbers])
