"""Handlers of which one job at a time is wanted."""

from django_future import ScheduledJob, job, job_as_parameter
from tests.shop.models import Order, Trace


@job(unique=True)
def sync(order_id: int, *, depth: int = 1, key: object = lambda: None) -> str:
    """Say what was synchronised."""
    return f"{order_id}, {depth} deep"


@job(unique=True)
def remind(order: Order, *channels: str, **words: str) -> str:
    """Remind the customer of an order."""
    return order.number


@job(unique=True)
@job_as_parameter
def sync_as_job(job: ScheduledJob, order: Order, text: str = "now") -> str:
    """Leave a trace that tells the job."""
    Trace.objects.create(text=str(job.pk))
    return text


@job(unique="nightly")
def report(day: int = 1) -> int:
    """Report of a day, one report at a time."""
    return day


@job(unique="nightly")
def clean() -> None:
    """Clean up, one at a time."""


@job(unique=True, unique_replace=True)
def index(page: int) -> int:
    """Index a page, a while after its last change."""
    return page


@job(unique=lambda order, text="": f"{order.number} {text}".strip())
def write(order: Order, text: str = "") -> str:
    """Write to the customer of an order."""
    return text


@job(unique=True)
def sync_again(order_id: int) -> int | None:
    """Schedule the same while it runs, which is there already."""
    return sync_again.schedule("1h", order_id).pk


@job
@job_as_parameter
def trace_job(job: ScheduledJob) -> None:
    """Leave a trace that tells the job."""
    Trace.objects.create(text=str(job.pk))
