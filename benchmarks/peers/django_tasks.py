"""The jobs of the peers that speak Django's Tasks API."""

from django.tasks import task

from benchmarks.project import jobs


@task
def noop(number: int) -> None:
    """Note the start, and no more."""
    jobs.noop(number)


@task
def insert(number: int) -> None:
    """Note the start, and insert one row."""
    jobs.insert(number)
