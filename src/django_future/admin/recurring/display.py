"""Columns and fields of recurring jobs in the admin. SQL may have written any of their values."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin import display as labelled
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_future import clock
from django_future.admin import bound_object, display
from django_future.admin.columns import NO_ARGS, NO_KWARGS, column
from django_future.admin.sensitive import without_sensitive
from django_future.models import RecurringJob, ScheduledJob
from django_future.models.fields import raw_value
from django_future.recurrence.timing import describe_duration, zone_of
from django_future.serialization import plain_of

UPCOMING = 5  # instants on the page of a recurring job
MAX_TEXT_LENGTH = 100  # characters of one cell of the list
ARGUMENTS = ("args", "kwargs")


def jobs_url(request: HttpRequest, site: AdminSite) -> str:
    """Return the address of the list of jobs, or an empty text if the user may not view them."""
    is_registered = site.is_registered(ScheduledJob)
    if not is_registered or not site.get_model_admin(ScheduledJob).has_view_permission(request):
        return ""
    try:
        return reverse("admin:django_future_scheduledjob_changelist", current_app=site.name)
    except NoReverseMatch:
        return ""


def runs_link(recurring: RecurringJob) -> str:
    """Return the number of runs, as a link to the list of those whose jobs exist."""
    url = getattr(recurring, "jobs_url", "")  # the pages of the admin set it
    if not url:
        return str(recurring.runs)
    address = f"{url}?recurring={recurring.pk}"
    return format_html('<a href="{}">{}</a>', address, recurring.runs)


def call(recurring: RecurringJob) -> str:
    """Return what the runs call, with the name of the content object, without a query for it."""
    full = recurring.callable_name
    name = format_html(
        '<span title="{}">{}</span>', full, display.dotted(full.rpartition(".")[2] or full)
    )
    if recurring.object_id is None:
        return name
    return format_html("{} ({})", name, bound_object.label(as_job(recurring)))


@labelled(description=gettext_lazy("schedule"))
def rhythm(recurring: RecurringJob) -> str:
    """Show the rhythm in words, or why there is none."""
    shown = display.line(_readable(recurring, recurring.describe), MAX_TEXT_LENGTH)
    # The words for a cron expression are English in any language.
    return format_html('<span lang="en">{}</span>', shown) if recurring.cron else shown


def pause_in_words(recurring: RecurringJob) -> str:
    """Return who has paused it, and why."""
    given = {"author": recurring.paused_by, "reason": recurring.paused_reason}
    if given["author"] and given["reason"]:
        return _("paused by %(author)s: %(reason)s") % given
    if given["author"]:
        return _("paused by %(author)s") % given
    return _("paused: %(reason)s") % given if given["reason"] else _("paused")


@labelled(description=gettext_lazy("next times of the schedule"))
def upcoming(recurring: RecurringJob) -> str:
    """Show the next instants, or why there are none. A pause does not matter."""

    def shown() -> str:
        instants = recurring.upcoming(UPCOMING)
        lines = (((with_zone(instant)),) for instant in instants)
        return format_html_join(mark_safe("<br>"), "{}", lines) or display.NOTHING

    return _readable(recurring, shown)


@labelled(description=gettext_lazy("content object"))
def content_object(recurring: RecurringJob) -> str:
    """Show the name of the content object, without a query for it."""
    return bound_object.label(as_job(recurring))


def arguments(name: str) -> Callable[[Any], str]:
    """Return a function that shows the arguments in a field, without the sensitive ones."""
    field: Any = RecurringJob._meta.get_field(name)

    @labelled(description=field.verbose_name)
    def shown(recurring: RecurringJob) -> str:
        return display.value(_without_sensitive(recurring, name))

    shown.__name__ = name
    return shown


def is_hidden(recurring: RecurringJob) -> bool:
    """Return whether some of the arguments are sensitive, or the handler cannot be found."""
    return any(
        plain_of(_without_sensitive(recurring, name)) != plain_of(raw_value(recurring, name))
        for name in ARGUMENTS
    )


def as_job(recurring: RecurringJob) -> ScheduledJob:
    """Return an unsaved job with the same callable and content object, and without arguments."""
    job = ScheduledJob(
        callable_name=recurring.callable_name,
        content_type_id=recurring.content_type_id,
        object_id=recurring.object_id,
        object_database=recurring.object_database,
    )
    job._state.db = recurring._state.db
    job.is_signed = recurring.is_signed
    return job


def _without_sensitive(recurring: RecurringJob, name: str) -> str:
    text: str = raw_value(recurring, name)
    return text if text in {NO_ARGS, NO_KWARGS} else without_sensitive(as_job(recurring), text)


def with_zone(instant: datetime) -> str:
    """Return an instant of a schedule, and its local time if the admin shows another zone."""
    shown = display.instant(clock.to_row(instant))
    if instant.utcoffset() == instant.astimezone(clock.current_zone()).utcoffset():
        return shown
    return format_html("{} ({} {})", shown, f"{instant:%H:%M:%S}", instant.tzinfo)


def _readable(recurring: RecurringJob, show: Callable[[], str]) -> str:
    """Return what `show` returns, or why the rhythm cannot be followed."""
    try:
        zone_of(recurring.timezone)
        return show()
    except Exception as error:  # noqa: BLE001 - SQL may have written an interval of 0, or none
        return str(error) or type(error).__name__


def _duration(value: timedelta | None) -> str:
    return display.NOTHING if value is None else describe_duration(value)


_column = partial(column, RecurringJob)
next_run_at = _column("next_run_at", display.instant)
last_run_at = _column("last_run_at", display.instant)

# How the page shows each field that the user cannot edit.
READ_ONLY: dict[str, Any] = {
    "callable_name": _column("callable_name", display.dotted),
    "args": arguments("args"),
    "kwargs": arguments("kwargs"),
    "options": _column("options", display.value),
    "every": _column("every", _duration),
    "starts_at": _column("starts_at", display.instant),
    "ends_at": _column("ends_at", display.instant),
    "jitter": _column("jitter", _duration),
    "catch_up_window": _column("catch_up_window", _duration),
    "queued_at": _column("queued_at", display.instant),
    "paused_at": _column("paused_at", display.instant),
    "error": _column("error", display.text),
}
