"""Tables of the jobs and of the recurring jobs, for a terminal."""

from django.utils import timezone
from django.utils.timesince import timeuntil

from django_future import RecurringJob, ScheduledJob

HEADINGS = ["id", "callable", "bound to", "scheduled for", "status", "result"]
RECURRING_HEADINGS = ["recurring job", "rhythm", "runs", "missed", "next runs"]


def of_jobs():
    """Return a line with the headings, and one line for each job."""
    return lines(HEADINGS, map(cells, ScheduledJob.objects.order_by("scheduled_at", "pk")))


def of_recurring_jobs():
    """Return a line with the headings, and one line for each recurring job."""
    return lines(RECURRING_HEADINGS, map(recurring_cells, RecurringJob.objects.order_by("name")))


def lines(headings, rows):
    """Return the lines of a table with aligned columns."""
    rows = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def cells(job):
    """Return the cells of one job."""
    return [
        str(job.pk),
        job.callable_name,
        str(job.content_object or "-"),
        moment(timezone.localtime(job.scheduled_at)),
        job.status,
        outcome(job),
    ]


def recurring_cells(recurring):
    """Return the cells of one recurring job."""
    return [
        recurring.name,
        recurring.describe(),
        str(recurring.runs),
        str(recurring.missed_runs),
        ", ".join(map(moment, recurring.upcoming(2, after=recurring.last_run_at))),
    ]


def moment(local):
    """Return a local time in a short form."""
    return f"{local:%a %d %b %H:%M}"


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
