"""The columns of the list of jobs. Each job is one line, with a quiet second one if useful."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.contrib.admin import display as labelled
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_future import clock
from django_future.admin import columns, display, times
from django_future.admin.job_list.time_filters import LATE_AFTER
from django_future.admin.queue_column import queue_column
from django_future.models import ScheduledJob
from django_future.status import Status

MAX_NAME_LENGTH = 40  # characters of one cell
MAX_PROGRESS_LENGTH = 40


def line(model_admin: Any, request: HttpRequest, at: datetime) -> list[Callable[[Any], str]]:
    """Return the columns of one page. `at` is now; all words for times are relative to it."""

    filters = model_admin.get_preserved_filters(request)

    # Closures, because the admin does not pass the request to a column.
    @labelled(description=_("status"))
    def status(job: Any) -> str:
        return _status(job, at)

    @labelled(description=_("handler"))
    def call(job: Any) -> str:
        return _handler(job, _address(job, model_admin.admin_site, filters))

    @labelled(description=_("when"))
    def when(job: Any) -> str:
        return _when(job, at)

    return [status, call, content_object, when, late, duration, attempts, queue_column(request)]


# Short labels, so that all columns fit.
@labelled(description=_("object"))
def content_object(job: ScheduledJob) -> str:
    """Show the model and the key of the bound object; the title has the app, too."""
    label = columns.content_object(job)
    model, space, key = label.partition(" ")
    short = f"{model.rpartition('.')[2]}{space}{key}"
    return label if short == label else format_html('<span title="{}">{}</span>', label, short)


@labelled(description=_("took"))
def duration(job: ScheduledJob) -> str:
    """Show how long the job ran."""
    return columns.duration(job)


@labelled(description=_("late"))
def late(job: ScheduledJob) -> str:
    """Show how much later than its time a job started."""
    if job.started_at is None:
        return display.NOTHING
    lateness = clock.from_row(job.started_at) - clock.from_row(job.scheduled_at)
    return times.length(max(lateness, timedelta()))


@labelled(description=_("attempts"))
def attempts(job: ScheduledJob) -> str:
    """Show the number of attempts, and how many there may be if there may be more than one."""
    if job.max_attempts in {None, 1}:
        return str(job.attempts)
    numbers = {"number": job.attempts, "maximum": job.max_attempts}
    return gettext("%(number)s of %(maximum)s") % numbers


def _status(job: Any, at: datetime) -> str:
    shown = display.status(job.status, _word(job, at))
    if job.status != Status.RUNNING or not columns.has_progress(job):
        return shown
    progress = display.line(display.progress(job.current_progress), MAX_PROGRESS_LENGTH)
    return format_html('{}<div class="future-quiet">{}</div>', shown, progress)


def _word(job: Any, at: datetime) -> str:
    if job.status == Status.SCHEDULED:
        wait = at - clock.from_row(job.scheduled_at)
        if wait > LATE_AFTER:
            return gettext("late")
        if wait >= timedelta():
            return gettext("due")
        if job.attempts:
            return gettext("retrying")
    return Status.label_of(job.status)


def _handler(job: Any, address: str) -> str:
    name = display.line(display.short_name(job.callable_name), MAX_NAME_LENGTH)
    second = job.error_kind if job.status == Status.FAILED and job.error_kind else None
    quiet = display.line(second, MAX_NAME_LENGTH) if second else columns.call(job)
    link = format_html('<a href="{}" title="{}">{}</a>', address, job.callable_name, name)
    if quiet == display.NOTHING:
        return link
    return format_html('{}<div class="future-quiet">{}</div>', link, quiet)


def _address(job: Any, site: Any, filters: str) -> str:
    page = "admin:django_future_scheduledjob_change"
    url = reverse(page, args=[job.pk], current_app=site.name)
    return f"{url}?{filters}" if filters else url


def _when(job: Any, at: datetime) -> str:
    """Show the time that fits the status: when the job ended, began or will begin."""
    if job.finished_at is not None and job.status in Status.final():
        return times.relative(job.finished_at, at)
    if job.started_at is not None and job.status == Status.RUNNING:
        return times.relative(job.started_at, at)
    return times.relative(job.scheduled_at, at)
