"""What became of the jobs, in a table that fits a terminal."""

from django.utils import timezone
from django.utils.timesince import timeuntil

from django_future import ScheduledJob

HEADINGS = ["id", "callable", "bound to", "scheduled for", "status", "what came of it"]


def lines():
    """Return a heading, and one line for each job."""
    rows = [HEADINGS, *map(cells, ScheduledJob.objects.order_by("scheduled_at", "pk"))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def cells(job):
    """Return what the table says of one job."""
    return [
        str(job.pk),
        job.callable_name,
        str(job.content_object or "-"),
        f"{timezone.localtime(job.scheduled_at):%a %d %b %H:%M}",
        job.status,
        outcome(job),
    ]


def outcome(job):
    """Say in a few words what came of a job."""
    words = {
        "scheduled": f"due in {time_until(job)}",
        "complete": str(job.return_value),
        "failed": job.error.strip().rpartition("\n")[-1],
        "expired": "nobody ran it in time",
        "cancelled": "never ran",
    }
    return words[job.status]


def time_until(job):
    """Say how far off a job is, in the plain spaces that every terminal shows."""
    return timeuntil(job.scheduled_at, depth=1).replace("\xa0", " ")
