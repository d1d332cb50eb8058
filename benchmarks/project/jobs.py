"""The handlers whose throughput is measured."""

from benchmarks.starts import record_start


def noop(number: int) -> None:
    """Note the start, and no more."""
    record_start(number)


def insert(number: int) -> None:
    """Note the start, and insert one row."""
    from benchmarks.project.models import Effect

    record_start(number)
    Effect.objects.create(number=number)
