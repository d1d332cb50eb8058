"""A table of the jobs and their results, for a terminal."""

from django.utils import timezone
from django.utils.timesince import timeuntil

from django_future import ScheduledJob

HEADINGS = ["id", "callable", "bound to", "scheduled for", "status", "result"]


def lines():
    """Return the line with the headings, and one line for each job."""
    rows = [HEADINGS, *map(cells, ScheduledJob.objects.order_by("scheduled_at", "pk"))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def cells(job):
    """Return the cells of one job."""
    return [
        str(job.pk),
        job.callable_name,
        str(job.content_object or "-"),
        f"{timezone.localtime(job.scheduled_at):%a %d %b %H:%M}",
        job.status,
        outcome(job),
    ]


def outcome(job):
    """Return the result of a job in a few words."""
    texts = {
        "scheduled": f"due in {time_until(job)}",
        "complete": str(job.return_value),
        "failed": job.error.strip().rpartition("\n")[-1],
        "expired": "not executed in time",
        "cancelled": "never ran",
    }
    return texts[job.status]


def time_until(job):
    """Return the time until a job is due, without non-breaking spaces."""
    return timeuntil(job.scheduled_at, depth=1).replace("\xa0", " ")
