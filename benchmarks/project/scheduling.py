"""Schedules jobs, and creates bare rows for comparison."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta


@contextmanager
def scheduler(how: str) -> Iterator[Callable[[int], object]]:
    """Yield a function that schedules a number of jobs, or creates as many rows."""
    import django

    django.setup()
    yield {"one by one": _one_by_one, "at once": _at_once, "bare": _bare}[how]


def _one_by_one(count: int) -> None:
    from benchmarks.project.jobs import noop
    from django_future import schedule_job

    for number in range(count):
        schedule_job("0s", noop, args=[number])


def _at_once(count: int) -> None:
    from benchmarks.project.jobs import noop
    from django_future import schedule_jobs

    schedule_jobs({"when": "0s", "callable": noop, "args": [number]} for number in range(count))


def _bare(count: int) -> None:
    from django.utils import timezone

    from benchmarks.project.models import WideRow

    for number in range(count):
        now = timezone.now()
        WideRow.objects.create(
            callable_name="benchmarks.project.jobs.noop",
            args=f"[{number}]",
            kwargs="{}",
            scheduled_at=now,
            expires_at=now + timedelta(days=7),
        )
