"""The measured handlers."""

from benchmarks.starts import record_start


def noop(number: int) -> None:
    """Record the start only."""
    record_start(number)


def insert(number: int) -> None:
    """Record the start, and insert one row."""
    from benchmarks.project.models import Effect

    record_start(number)
    Effect.objects.create(number=number)
