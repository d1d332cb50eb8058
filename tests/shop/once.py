"""Handlers with unique jobs."""

from django_future import ScheduledJob, job, job_as_parameter
from tests.shop.models import Order, Trace


@job(unique=True)
def sync(order_id: int, *, depth: int = 1, key: object = lambda: None) -> str:
    """Return a text with the arguments."""
    return f"{order_id}, {depth} deep"


@job(unique=True)
def remind(order: Order, *channels: str, **words: str) -> str:
    """Remind the customer of an order."""
    return order.number


@job(unique=True)
@job_as_parameter
def sync_as_job(job: ScheduledJob, order: Order, text: str = "now") -> str:
    """Write a trace with the id of the job."""
    Trace.objects.create(text=str(job.pk))
    return text


@job(unique="nightly")
def report(day: int = 1) -> int:
    """Return the day, with a fixed key."""
    return day


@job(unique="nightly")
def clean() -> None:
    """Do nothing, with a fixed key."""


@job(unique=True, unique_replace=True)
def index(page: int) -> int:
    """Return the page, with jobs that replace each other."""
    return page


@job(unique=lambda order, text="": f"{order.number} {text}".strip())
def write(order: Order, text: str = "") -> str:
    """Return the text, with a computed key."""
    return text


@job(unique=True)
def sync_again(order_id: int) -> int | None:
    """Schedule the same unique job while it runs."""
    return sync_again.schedule("1h", order_id).pk


@job
@job_as_parameter
def trace_job(job: ScheduledJob) -> None:
    """Write a trace with the id of the job."""
    Trace.objects.create(text=str(job.pk))
