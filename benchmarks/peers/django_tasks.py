"""How the tasks of any backend of Django's Tasks API are enqueued."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def scheduler(_: str) -> Iterator[Callable[[int], object]]:
    """Yield a function that enqueues a number of no-op tasks, one by one."""
    import django

    django.setup()
    from benchmarks.peers.measured_tasks import noop

    def one_by_one(count: int) -> None:
        for number in range(count):
            noop.enqueue(number)

    yield one_by_one


def enqueue_all(job: str, count: int) -> None:
    """Enqueue `count` tasks in one transaction."""
    import django

    django.setup()
    from django.db import transaction

    from benchmarks.peers import measured_tasks

    with transaction.atomic():
        for number in range(count):
            getattr(measured_tasks, job).enqueue(number)
