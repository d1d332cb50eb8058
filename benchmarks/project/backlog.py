"""Schedules a backlog of jobs."""

from collections.abc import Iterator

from benchmarks.shape import Shape

CHUNK_SIZE = 10_000


def fill(job: str, count: int) -> None:
    """Schedule `count` jobs for now."""
    import django

    django.setup()
    from django_future import schedule_jobs

    shape, handler = Shape.here(), f"benchmarks.project.jobs.{job}"
    for numbers in _chunks(count):
        schedule_jobs(
            {"when": "0s", "callable": handler, "args": [number], **shape.options(number)}
            for number in numbers
        )


def _chunks(count: int) -> Iterator[range]:
    for first in range(0, count, CHUNK_SIZE):
        yield range(first, min(first + CHUNK_SIZE, count))
