"""The tasks of each backend of Django's Tasks API."""

from django.tasks import task

from benchmarks.project import jobs


@task
def noop(number: int) -> None:
    """Record the start only."""
    jobs.noop(number)


@task
def insert(number: int) -> None:
    """Record the start, and insert one row."""
    jobs.insert(number)
