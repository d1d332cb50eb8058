"""Sample handlers, which the documentation of the first django-future calls."""

from django_future import job_as_parameter
from django_future.models import ScheduledJob


def sample_job() -> None:
    """Print a line."""
    print("Simple job executed.")  # noqa: T201


def job_with_args(n: int, k: int) -> None:
    """Print the arguments."""
    print(f"Job with arguments: n = {n}, k = {k}")  # noqa: T201


@job_as_parameter
def job_job(job: ScheduledJob) -> None:
    """Print the job."""
    print(f"Got job as argument: {job!r}")  # noqa: T201


def failjob() -> None:
    """Raise `ValueError`."""
    raise ValueError("fail")
