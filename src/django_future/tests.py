"""The handlers that the first documentation of django-future calls, for trying it out."""

from django_future import job_as_parameter
from django_future.models import ScheduledJob


def sample_job() -> None:
    """Say that it ran."""
    print("Simple job executed.")  # noqa: T201


def job_with_args(n: int, k: int) -> None:
    """Say what it was called with."""
    print(f"Job with arguments: n = {n}, k = {k}")  # noqa: T201


@job_as_parameter
def job_job(job: ScheduledJob) -> None:
    """Say which job it is."""
    print(f"Got job as argument: {job!r}")  # noqa: T201


def failjob() -> None:
    """Fail.

    Raises `ValueError`, always.
    """
    raise ValueError("fail")
