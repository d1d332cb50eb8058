"""The buttons on the page of a job: which there are in its state, and what each does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django import forms
from django.contrib.admin import AdminSite
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_future import clock
from django_future.admin import display
from django_future.admin.addresses import address
from django_future.exceptions import InvalidTime
from django_future.models import ScheduledJob
from django_future.status import Status
from django_future.when import MAX_TEXT_LENGTH, parse_when

Label = str | Promise


class Refused(Exception):
    """An action on a job did nothing. The text says why, in the language of the user."""


@dataclass(frozen=True)
class Done:
    """What an action did: a text for its user, and one for the log."""

    message: str
    entry: str


@dataclass(frozen=True)
class Button:
    """A button that sends `name` to the server, in each of `states`."""

    name: str
    label: Label
    states: Sequence[str]
    act: Callable[[ScheduledJob, HttpRequest, AdminSite], Done]
    needs_time: bool = False
    is_strong: bool = False
    is_dangerous: bool = False


def buttons_for(job: ScheduledJob) -> list[Button]:
    """Return the buttons for a job in its state."""
    return [button for button in BUTTONS if job.status in button.states]


def dealt_with_url(job: ScheduledJob, site: AdminSite) -> str:
    """Return where a note says that the failure is dealt with; empty if that cannot be said."""
    if job.status != Status.FAILED or job.failure_note_id is not None:
        return ""
    return address(site, "django_future_scheduledjob_dealt_with", job.pk)


def _run_now(job: ScheduledJob, _request: HttpRequest, _site: AdminSite) -> Done:
    job.run_now()
    return Done(_("The job is due now."), _("Made due now."))


def _move(job: ScheduledJob, request: HttpRequest, _site: AdminSite) -> Done:
    job.move(chosen_time(request.POST.get("when", "")))
    details = {"time": display.instant(job.scheduled_at)}
    message = format_html(_("The job is now due at {}."), details["time"])
    at = clock.from_row(job.scheduled_at).astimezone(clock.current_zone())
    return Done(message, _("Moved to %(time)s.") % {"time": f"{at:%Y-%m-%d %H:%M:%S %Z}"})


def _cancel(job: ScheduledJob, _request: HttpRequest, _site: AdminSite) -> Done:
    job.cancel()
    return Done(_("The job was cancelled."), _("Cancelled."))


def _stop(job: ScheduledJob, _request: HttpRequest, _site: AdminSite) -> Done:
    job.cancel(running=True)
    message = _("The job was cancelled. Its worker interrupts the handler within a second.")
    return Done(message, _("Cancelled while it was running."))


def _retry(job: ScheduledJob, _request: HttpRequest, _site: AdminSite) -> Done:
    job.retry()
    return Done(_("The job will be retried."), _("Retried."))


def _run_again(job: ScheduledJob, _request: HttpRequest, site: AdminSite) -> Done:
    if job.status not in Status.final():
        raise Refused(_("it has not ended"))
    copy = job.reschedule("0s")
    url = address(site, "django_future_scheduledjob_change", copy.pk)
    link = format_html('<a href="{}">{}</a>', url, copy.pk)
    message = format_html(_("The job will run again as job {}."), link)
    return Done(message, _("Run again as job %(number)s.") % {"number": copy.pk})


def chosen_time(text: str) -> datetime:
    """Return the instant of an offset such as 3h, or of a date in the zone of the user.

    Raises `Refused`.
    """
    try:
        return parse_when(text, now=clock.now(), zone=clock.current_zone())
    except InvalidTime:
        pass
    try:
        value = forms.DateTimeField().clean(text[:MAX_TEXT_LENGTH])  # as the user's language has it
        if timezone.is_naive(value):
            value = value.replace(tzinfo=clock.current_zone())
        return parse_when(value, now=clock.now(), zone=clock.current_zone())
    except (InvalidTime, ValidationError, OverflowError):
        reason = _("%(value)s is not a time. Give an offset such as 3h, or a date and a time")
        raise Refused(reason % {"value": f"“{display.cut(text, 50)}”"}) from None


BUTTONS = [
    Button("run_now", gettext_lazy("Run now"), [Status.SCHEDULED], _run_now, is_strong=True),
    Button("retry", gettext_lazy("Retry"), Status.retryable(), _retry, is_strong=True),
    Button("run_again", gettext_lazy("Run again"), Status.final(), _run_again),
    Button("move", gettext_lazy("Move"), [Status.SCHEDULED], _move, needs_time=True),
    Button(
        "cancel",
        gettext_lazy("Cancel the job"),
        [Status.SCHEDULED, Status.PARKED],
        _cancel,
        is_dangerous=True,
    ),
    Button(
        "stop", gettext_lazy("Cancel the running job"), [Status.RUNNING], _stop, is_dangerous=True
    ),
]
BUTTONS_BY_NAME = {button.name: button for button in BUTTONS}
