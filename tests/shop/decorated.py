"""Typed handlers with `@job`."""

from django_future import ScheduledJob, job, job_as_parameter
from tests.shop.models import Order


@job
def greet(name: str, *, times: int = 1) -> str:
    """Greet a person."""
    return ", ".join(["hello"] * times) + f" {name}"


@job(queue_name="mail", priority=5, expires="2d")
def remind(order: Order, text: str = "soon") -> str:
    """Remind the customer of an order."""
    return f"{order.number}: {text}"


@job(expires=None)
async def wave(name: str) -> str:
    """Return a greeting."""
    return f"waved at {name}"


@job
@job_as_parameter
def report(job: ScheduledJob, text: str) -> str:
    """Return the id of the job and the text."""
    return f"{job.pk}: {text}"


@job_as_parameter
@job
def report_marked_above(job: ScheduledJob, text: str) -> str:
    """Return the id of the job and the text."""
    return f"{job.pk}: {text}"
