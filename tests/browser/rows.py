"""One row of each kind, so that each page of the admin has something to show."""

from datetime import timedelta

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User

from django_future import (
    ScheduledJob,
    clock,
    deal_with_failures,
    pause_queue,
    run_jobs,
    schedule_job,
    schedule_recurring,
)
from django_future.models import JobProgress, PausedQueue, Worker
from django_future.status import Status
from tests.shop import decorated, jobs
from tests.shop.models import Order
from tests.support.admin_pages import job_in
from tests.support.past_jobs import schedule_in_the_past

LONG = "an_argument_without_a_space_" * 8


def write_rows(user: User) -> dict[str, int]:
    """Write the rows, and return the primary key of each by its name."""
    order = Order.objects.create(number="A1")
    recurring, paused = _recurring_jobs()
    found = _ended_jobs(order) | _open_jobs(order, recurring)
    LogEntry.objects.log_actions(user.pk, found.values(), CHANGE, change_message="Moved.")
    pause_queue("reports", reason="month end", paused_by="ada")
    at = clock.to_row(clock.now())
    worker = {"name": "florist:1", "host": "florist", "pid": 1, "started_at": at, "seen_at": at}
    found |= {
        "order": order,
        "recurring": recurring,
        "paused_recurring": paused,
        "queue": PausedQueue.objects.get(),
        "worker": Worker.objects.create(**worker),
    }
    return {name: row.pk for name, row in found.items()}


def _ended_jobs(order):
    complete = schedule_in_the_past(timedelta(hours=3), jobs.take, order, args=[LONG, [1, 2]])
    failed = schedule_in_the_past(timedelta(hours=2), jobs.with_cause)
    dealt_with = schedule_in_the_past(timedelta(hours=1), jobs.fail, args=[f"card expired {LONG}"])
    run_jobs(ignore_errors=True)
    deal_with_failures(ScheduledJob.objects.filter(pk=dealt_with.pk), note="refunded", author="ada")
    schedule_in_the_past(timedelta(hours=1), jobs.fail, args=[f"no stock of {LONG}"])
    run_jobs(ignore_errors=True)
    return {
        "complete": complete,
        "failed": failed,
        "dealt_with": dealt_with,
        **{status: job_in(status) for status in ("expired", "cancelled", "parked")},
    }


def _open_jobs(order, recurring):
    running = job_in(Status.RUNNING, jobs.take, content_object=order)
    at = clock.to_row(clock.now())
    ScheduledJob.objects.filter(pk=running.pk).update(started_at=at, worker="florist:1", attempts=1)
    progress = {"done": 3, "total": 10, "message": "cards", "log": "2 cards are printed\n" * 5}
    JobProgress.objects.create(job=running, updated_at=at, **progress)
    return {
        "scheduled": schedule_job("1h", decorated.greet, args=["Ada"], queue_name="reports"),
        "late": schedule_in_the_past(timedelta(hours=1), jobs.echo, args=[LONG]),
        "running": running,
        "run": recurring.trigger(),
    }


def _recurring_jobs():
    recurring = schedule_recurring("hourly", jobs.trace, cron="0 * * * *")
    paused = schedule_recurring(
        "nightly", jobs.echo, args=[LONG], every="1d", timezone="Asia/Tokyo"
    )
    paused.pause("month end", "ada")
    return recurring, paused
