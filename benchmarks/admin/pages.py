"""The measured pages, and what a request of each costs."""

import time
from dataclasses import dataclass
from http import HTTPStatus
from statistics import median

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, reverse

from django_future.models import RecurringJob, ScheduledJob
from django_future.store.postgresql.prepared import PLAN_SETTINGS

MAX_QUERIES, MAX_MS, MAX_KB = 8, 60, 150
TIMES = 7
FILTERS = (
    "", "status__exact=scheduled", "status__exact=failed", "status__exact=running",
    "queue_name=default", "callable_name=benchmarks.project.jobs.noop",
    "q=benchmarks.project", "q=500000", "p=2",
    "when=hour", "when=today", "when=week", "when=next-hour", "when=next-day", "waits=due",
    "waits=late", "waits=retrying", "order=next", "order=next&p=200", "recurring=1",
    # Few jobs match these.
    "queue_name=rare", "callable_name=benchmarks.project.jobs.rare", "q=benchmarks.rare",
)  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """What one page costs."""

    name: str
    status: int
    queries: int
    ms: float
    kilobytes: float
    worst_sql: str
    worst_ms: float

    @property
    def holds(self) -> bool:
        """Whether the page is within the bounds."""
        is_small = self.queries <= MAX_QUERIES and self.kilobytes <= MAX_KB
        return self.status == HTTPStatus.OK and is_small and self.ms <= MAX_MS


def logged_in() -> Client:
    """Return a client of a superuser."""
    client = Client()
    client.force_login(User.objects.create_superuser("bench"))
    return client


def addresses() -> dict[str, str | None]:
    """Return the addresses of the pages by name; None if a page does not exist."""
    job = ScheduledJob.objects.order_by("pk").only("pk").first()
    recurring = RecurringJob.objects.order_by("pk").only("pk").first()
    jobs = reverse("admin:django_future_scheduledjob_changelist")
    preview = _address("django_future_recurringjob_preview")
    return {
        "overview": reverse("admin:app_list", args=["django_future"]),
        "overview fragment": _address("django_future_overview"),
        **{f"list ?{one}": f"{jobs}?{one}" for one in FILTERS},
        "job": _address("django_future_scheduledjob_change", job.pk),
        "job progress": _address("django_future_scheduledjob_progress", job.pk),
        "add a job": _address("django_future_scheduledjob_add"),
        "failures": _address("django_future_failures"),
        "recurring jobs": _address("django_future_recurringjob_changelist"),
        "recurring job": _address("django_future_recurringjob_change", recurring.pk),
        "add a recurring job": _address("django_future_recurringjob_add"),
        "preview of a schedule": preview and f"{preview}?cron=0+9+*+*+*&timezone=UTC",
    }


def measure(client: Client, name: str, address: str) -> Cost:
    """Request a page: once to warm up, `TIMES` times for the time, once for the queries."""
    client.get(address)
    took = []
    for _ in range(TIMES):
        began_at = time.perf_counter()
        client.get(address)
        took.append(1000 * (time.perf_counter() - began_at))
    with CaptureQueriesContext(connection) as captured:
        response = client.get(address)
    worst = max(captured.captured_queries, key=lambda one: float(one["time"]), default=None)
    return Cost(
        name, response.status_code, len(captured), median(took), len(response.content) / 1000,
        worst["sql"] if worst else "", 1000 * float(worst["time"]) if worst else 0.0,
    )  # fmt: skip


def plan(sql: str) -> str:
    """Return how the database runs a query."""
    settings = PLAN_SETTINGS if sql.startswith(PLAN_SETTINGS) else ""
    with connection.cursor() as cursor:
        cursor.execute(f"{settings}EXPLAIN (ANALYZE) {sql.removeprefix(settings)}")
        while cursor.nextset():
            pass
        return "\n".join(line for (line,) in cursor.fetchall())


def _address(name: str, *args: int) -> str | None:
    try:
        return reverse(f"admin:{name}", args=args)
    except NoReverseMatch:
        return None
