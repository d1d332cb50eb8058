"""A week in the past of the flower shop, and what its admin shows now."""

import random
from datetime import timedelta

from django.db.models import F
from django.utils import timezone

from django_future import ScheduledJob, pause_queue, schedule_job, schedule_jobs, schedule_recurring
from django_future.models import JobStatistics
from shop import jobs
from shop.models import Customer, Order

DAYS = 7
JOBS_PER_HOUR = 6
FAILURES = {
    "CardRefused in shop.jobs.charge": "shop.jobs.CardRefused: the card has expired",
    "TimeoutError in shop.jobs.charge": "TimeoutError: the bank did not answer in 10 s",
}
NAMES = {"default": "shop.jobs.offer", "mail": "shop.jobs.follow_up", "bank": "shop.jobs.charge"}


def write_history():
    """Write the jobs of a week that have ended, and the statistics of each minute."""
    chance = random.Random(1)  # the same week each time
    hours = range(DAYS * 24, 0, -1)
    ended = [ended_job(hour, chance) for hour in hours for _ in range(JOBS_PER_HOUR)]
    ScheduledJob.objects.bulk_create(ended, batch_size=500)
    ids = [job.pk for job in ended]
    ScheduledJob.objects.filter(pk__in=ids).update(created_at=F("scheduled_at"))
    minutes = {}
    for job in ended:
        at = job.finished_at.replace(second=0, microsecond=0)
        row = minutes.setdefault((at, job.queue_name), {"complete": 0, "failed": 0, "late_50ms": 0})
        row[job.status] += 1
        row["late_50ms"] += 1
    JobStatistics.objects.bulk_create(
        [JobStatistics(minute_at=at, queue_name=name, **row) for (at, name), row in minutes.items()]
    )


def ended_job(hour, chance):
    """Return a job that ended about `hour` hours ago. One in twenty has failed."""
    due_at = timezone.now() - timedelta(hours=hour, seconds=chance.randrange(3600))
    started_at = due_at + timedelta(milliseconds=chance.randrange(5, 50))
    queue_name = chance.choice(list(NAMES))
    job = ScheduledJob(
        callable_name=NAMES[queue_name],
        queue_name=queue_name,
        status="complete",
        attempts=1,
        worker="florist:1",
        scheduled_at=due_at,
        started_at=started_at,
        finished_at=started_at + timedelta(milliseconds=chance.randrange(20, 4000)),
        return_value="done",
    )
    if queue_name == "bank" and chance.random() < 3 / 20:
        kind, error = chance.choice(list(FAILURES.items()))
        job.status, job.return_value, job.error_kind = "failed", None, kind
        job.error = f"Traceback (most recent call last):\n{error}"
    return job


def schedule_the_present():
    """Schedule what runs, waits and recurs now."""
    ada = Customer.objects.first()
    roses = Order.objects.create(customer=ada, flowers="roses for a wedding")
    schedule_job("0s", jobs.print_cards, content_object=ada, args=[600])
    schedule_jobs(
        {"when": f"{minutes}m", "callable": jobs.follow_up, "content_object": roses}
        for minutes in range(5, 600, 45)
    )
    # No worker serves this queue, so its jobs are late.
    schedule_job("0s", jobs.offer, args=["daisies", 20], queue_name="printer", expires=None)
    schedule_job("0s", jobs.offer, args=["irises", 10], queue_name="printer", expires=None)
    schedule_job("0s", jobs.offer, args=["peonies", 30], queue_name="reports", expires=None)
    pause_queue("reports", reason="month end", paused_by="ada")
    schedule_recurring("tidy", jobs.offer, args=["the rest", 50], cron="0 18 * * mon-fri",
                       timezone="Europe/Berlin")  # fmt: skip
    schedule_recurring("count the till", jobs.offer, args=["tulips", 5], every="1m")
