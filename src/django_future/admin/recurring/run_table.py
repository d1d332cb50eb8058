"""The table of the latest runs on the page of a recurring job."""

from typing import Any, NamedTuple

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from django_future import clock
from django_future.admin import display
from django_future.admin.job_list.line import attempts
from django_future.admin.recurring import line
from django_future.admin.recurring.latest_runs import Run, runs_of
from django_future.models import RecurringJob, ScheduledJob

MAX_RUNS = 20


class Row(NamedTuple):
    """One run in the table."""

    instant: str
    started: str
    took: str
    outcome: str
    attempts: str
    number: int
    url: str


def table_of(recurring: RecurringJob, request: HttpRequest, site: Any) -> list[Row]:
    """Return the latest runs, with links to their jobs if the user may view jobs."""
    is_registered = site.is_registered(ScheduledJob)
    may_view = is_registered and site.get_model_admin(ScheduledJob).has_view_permission(request)
    return [
        _row(run, _address(run, site) if may_view else "") for run in runs_of(recurring, MAX_RUNS)
    ]


def _row(run: Any, url: str) -> Row:
    return Row(
        instant=_("triggered") if run.recurs_at is None else display.instant(run.recurs_at),
        started=display.instant(run.started_at),
        took=_took(run),
        outcome=line.outcome(run),
        attempts=attempts(run),
        number=run.pk,
        url=url,
    )


def _took(run: Run) -> str:
    if run.started_at is None or run.finished_at is None:
        return display.NOTHING
    return display.duration(clock.from_row(run.finished_at) - clock.from_row(run.started_at))


def _address(run: Run, site: Any) -> str:
    try:
        page = "admin:django_future_scheduledjob_change"
        return reverse(page, args=[run.pk], current_app=site.name)
    except NoReverseMatch:
        return ""
