"""What the admin shows of a row, each under its label."""

from collections.abc import Callable
from typing import Any

from django.contrib.admin import display as labelled
from django.db.models import Model
from django.utils.translation import gettext_lazy as _

from django_future import clock
from django_future.admin import bound_object, display
from django_future.admin.sensitive import without_sensitive
from django_future.models import ScheduledJob
from django_future.serialization import describe
from django_future.signatures import holds
from django_future.status import Status

LINE = 60  # characters of the arguments in a list
NO_ARGS, NO_KWARGS = "[]", "{}"


def column(model: type[Model], name: str, show: Callable[[Any], str]) -> Callable[[Any], str]:
    """Return what shows the field `name`, which it does not decode, under the field's own label."""
    field: Any = model._meta.get_field(name)

    @labelled(description=field.verbose_name, ordering=name)
    def shown(row: Model) -> str:
        return show(field.value_from_object(row))

    shown.__name__ = name  # by which the admin finds the help text
    return shown


def arguments(name: str) -> Callable[[Any], str]:
    """Return what shows the arguments in the field `name`, but for the sensitive ones."""
    field: Any = ScheduledJob._meta.get_field(name)

    @labelled(description=field.verbose_name)
    def shown(job: ScheduledJob) -> str:
        return display.value(without_sensitive(job, field.value_from_object(job)))

    shown.__name__ = name
    return shown


@labelled(description=_("status"))
def status(job: ScheduledJob) -> str:
    """Show the status in words and as a symbol."""
    return display.status(job.status, job.get_status_display())


@labelled(description=_("arguments"))
def call(job: Any) -> str:
    """Show on one line what the callable is called with.

    The list gives `args_start` and `kwargs_start`, the beginnings of what is stored.
    """
    texts = [(job.args_start, NO_ARGS), (job.kwargs_start, NO_KWARGS)]
    # Of very long arguments the list has the beginnings, with which no signature holds.
    job.is_signed = holds({**vars(job), "args": job.args_start, "kwargs": job.kwargs_start})
    shown = " ".join(
        describe(without_sensitive(job, text)) for text, nothing in texts if text != nothing
    )
    return display.line(shown, LINE) or display.NOTHING


@labelled(description=_("content object"))
def content_object(job: ScheduledJob) -> str:
    """Show which object the job is bound to, without asking whether it exists."""
    return bound_object.label(job)


@labelled(description=_("duration"))
def duration(job: ScheduledJob) -> str:
    """Show how long the job ran."""
    if job.started_at is None or job.finished_at is None:
        return display.NOTHING
    return display.duration(clock.from_row(job.finished_at) - clock.from_row(job.started_at))


@labelled(description=_("status"))
def status_and_progress(job: ScheduledJob) -> str:
    """Show the status, and beside it how far a job that runs is."""
    label = str(job.get_status_display())
    if job.status == Status.RUNNING and has_progress(job):
        label = f"{label}, {display.progress(job.current_progress)}"
    return display.status(job.status, display.cut(label, LINE))


@labelled(description=_("progress"))
def progress(job: ScheduledJob) -> str:
    """Show how far a job is, or was at last, as its handler said."""
    return display.progress(job.current_progress)


@labelled(description=_("log"))
def log(job: ScheduledJob) -> str:
    """Show the lines that the handler has written."""
    return display.text(job.current_progress.log)


def has_progress(job: ScheduledJob) -> bool:
    """Tell whether the handler has said anything."""
    return hasattr(job, "current_progress")
