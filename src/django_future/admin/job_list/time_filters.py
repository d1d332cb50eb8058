"""The filters of the list of jobs by time, and its order. They read the indexes of times."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from django_future import clock
from django_future.admin.job_list.merged_order import (
    Arm,
    MergedOrder,
    all_arms,
    scheduled_arms,
)
from django_future.status import Status
from django_future.store import store_for

LATE_AFTER = timedelta(minutes=1)
MAX_PRIORITIES = 20  # if more are in use, the server reads all scheduled jobs
RETRY_HORIZON = timedelta(days=1)  # later ones are not found, because no index has the attempts
_HOUR, _DAY, _WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
_NOW, _PRIORITIES = "django_future_now", "django_future_priorities"

Range = Callable[[datetime], tuple[datetime, datetime]]


def set_now(request: HttpRequest, at: datetime) -> None:
    """Let the filters by time be relative to `at`, so that later requests find the same jobs."""
    setattr(request, _NOW, at)


def order_of(request: HttpRequest, alias: str) -> MergedOrder | None:
    """Return the order by time that the filters of a request need; None for newest first."""
    when, waits = request.GET.get("when"), request.GET.get("waits")
    is_next_first = request.GET.get("order") == NEXT_FIRST
    if waits in _WAITS or when in _COMING or is_next_first:
        return MergedOrder(scheduled_arms(_priorities(request, alias)), is_ascending=True)
    if when in _PAST:
        arms = all_arms(_priorities(request, alias))
        # PostgreSQL would count the cost of arms that another filter excludes, and may compile the
        # query for it, which takes longer than the query.
        status = request.GET.get("status__exact")
        ranged = [_within(arm, request) for arm in arms if status in {None, arm.status}]
        return MergedOrder(ranged, is_ascending=False)
    return None


def past_range(request: HttpRequest, alias: str) -> Q | None:
    """Return the condition of the filter "when" if it has a range that includes the past."""
    when = request.GET.get("when")
    if when not in _PAST:
        return None
    start, end = _row_range(when, request)
    parts = [(Status.final(), Q(finished_at__gte=start, finished_at__lte=end))]
    parts.append(([Status.RUNNING], Q(started_at__gte=start, started_at__lte=end)))
    due = Q(scheduled_at__gte=start, scheduled_at__lte=end)
    parts.append(([Status.PARKED], due))
    parts.append(([Status.SCHEDULED], due & _scheduled(_priorities(request, alias))))
    status = request.GET.get("status__exact")
    conditions = [
        Q(status__in=statuses) & part
        for statuses, part in parts
        if status is None or status in statuses
    ]
    return reduce(or_, conditions, Q(pk__in=[]))


def _within(arm: Arm, request: HttpRequest) -> Arm:
    start, end = _row_range(request.GET["when"], request)
    times = {f"{arm.column}__gte": start, f"{arm.column}__lte": end}
    return arm._replace(condition=arm.condition & Q(**times))


class _TimeFilter(ABC, SimpleListFilter):
    """A filter by a condition on the status and on times."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the jobs that match the choice."""
        value = self.value()
        if value is None:
            return queryset
        if value not in {name for name, _label in self.lookup_choices}:
            raise IncorrectLookupParameters
        return queryset.filter(self.condition(value, request, queryset.db))

    @abstractmethod
    def condition(self, value: str, request: HttpRequest, alias: str) -> Q:
        """Return the condition of a choice."""


class WhenFilter(_TimeFilter):
    """Jobs whose time is in a range: the time that the list shows as "when"."""

    title = _("when")
    parameter_name = "when"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002
        """Return the ranges."""
        return [
            ("hour", _("Past hour")),
            ("today", _("Today")),
            ("week", _("Past 7 days")),
            ("next-hour", _("Next hour")),
            ("next-day", _("Next 24 hours")),
        ]

    def condition(self, value: str, request: HttpRequest, alias: str) -> Q:
        """Return the condition that the time is in a range of the future.

        The list itself applies a range that includes the past: see `past_range`.
        """
        if value in _PAST:
            return Q()
        start, end = _row_range(value, request)
        scheduled = _scheduled(_priorities(request, alias))
        return scheduled & Q(scheduled_at__gte=start, scheduled_at__lte=end)


class WaitsFilter(_TimeFilter):
    """Scheduled jobs by how they wait, in the words of the column "status"."""

    title = _("waiting")
    parameter_name = "waits"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002
        """Return the ways to wait."""
        return [
            ("due", _("Due now")),
            ("late", _("Late")),
            ("retrying", _("Retrying within a day")),
        ]

    def condition(self, value: str, request: HttpRequest, alias: str) -> Q:
        """Return the condition that a job waits like this."""
        now = _now(request)
        scheduled, at = _scheduled(_priorities(request, alias)), clock.to_row(now)
        if value == "due":
            return scheduled & Q(scheduled_at__lte=at)
        if value == "late":
            return scheduled & Q(scheduled_at__lt=clock.to_row(now - LATE_AFTER))
        horizon = clock.to_row(now + RETRY_HORIZON)
        return scheduled & Q(attempts__gt=0, scheduled_at__gt=at, scheduled_at__lte=horizon)


class OrderFilter(_TimeFilter):
    """The order of the list. "Next first" has only scheduled jobs."""

    title = _("order")
    parameter_name = "order"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002
        """Return the order "next first"."""
        return [(NEXT_FIRST, _("Next first (scheduled jobs)"))]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Yield the orders; "newest first" replaces the choice "All"."""
        usual, *others = super().choices(changelist)
        yield {**usual, "display": _("Newest first")}
        yield from others

    def condition(self, value: str, request: HttpRequest, alias: str) -> Q:  # noqa: ARG002
        """Return the condition that a job is scheduled."""
        return Q(status=Status.SCHEDULED)


def _scheduled(found: list[int]) -> Q:
    # With the priorities, a server reads just the range of times of each in the index of due jobs.
    scheduled = Q(status=Status.SCHEDULED)
    return scheduled & Q(priority__in=found) if found else scheduled


def _priorities(request: HttpRequest, alias: str) -> list[int]:
    found: list[int] | None = getattr(request, _PRIORITIES, None)
    if found is None:
        found = store_for(alias).due_query.waiting_priorities(MAX_PRIORITIES + 1)
        found = found if len(found) <= MAX_PRIORITIES else []
        setattr(request, _PRIORITIES, found)
    return found


def _now(request: HttpRequest) -> datetime:
    at: datetime = getattr(request, _NOW, None) or clock.now()
    return at


def _row_range(name: str, request: HttpRequest) -> tuple[datetime, datetime]:
    start, end = _RANGES[name](_now(request))
    return clock.to_row(start), clock.to_row(end)


def _today(now: datetime) -> tuple[datetime, datetime]:
    local = now.astimezone(clock.current_zone())
    start = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return start, start + _DAY


NEXT_FIRST = "next"
_PAST, _COMING = ("hour", "today", "week"), ("next-hour", "next-day")
_WAITS = ("due", "late", "retrying")
_RANGES: dict[str, Range] = {
    "hour": lambda now: (now - _HOUR, now),
    "today": _today,
    "week": lambda now: (now - _WEEK, now),
    "next-hour": lambda now: (now, now + _HOUR),
    "next-day": lambda now: (now, now + _DAY),
}
