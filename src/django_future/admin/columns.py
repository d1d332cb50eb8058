"""What the admin shows of a row, each under its label."""

from collections.abc import Callable
from typing import Any, Protocol

from django.contrib.admin import display as labelled
from django.db.models import Model
from django.utils.translation import gettext_lazy as _

from django_future import clock
from django_future.admin import bound, display
from django_future.arguments import describe
from django_future.models import ScheduledJob
from django_future.status import Status

LINE = 60  # characters of the arguments in a list
NO_ARGS, NO_KWARGS = "[]", "{}"


class ListedJob(Protocol):
    """A job of a list, with the beginnings of its stored arguments."""

    args_start: str
    kwargs_start: str


def column(model: type[Model], name: str, show: Callable[[Any], str]) -> Callable[[Any], str]:
    """Return what shows the field `name`, which it does not decode, under the field's own label."""
    field: Any = model._meta.get_field(name)

    @labelled(description=field.verbose_name, ordering=name)
    def shown(row: Model) -> str:
        return show(field.value_from_object(row))

    shown.__name__ = name  # by which the admin finds the help text
    return shown


@labelled(description=_("status"))
def status(job: ScheduledJob) -> str:
    """Show the status in words and as a symbol."""
    return display.status(job.status, job.get_status_display())


@labelled(description=_("queue"))
def queue_name(job: ScheduledJob) -> str:
    """Show where the job waits, and whether it has to because the queue is paused."""
    if job.status == Status.SCHEDULED and getattr(job, "is_paused", False):
        return _("%(queue)s (paused)") % {"queue": job.queue_name}
    return job.queue_name


@labelled(description=_("arguments"))
def call(job: ListedJob) -> str:
    """Show on one line what the callable is called with."""
    texts = [(job.args_start, NO_ARGS), (job.kwargs_start, NO_KWARGS)]
    shown = " ".join(describe(text) for text, nothing in texts if text != nothing)
    return display.line(shown, LINE) or display.NOTHING


@labelled(description=_("content object"))
def content_object(job: ScheduledJob) -> str:
    """Show which object the job is bound to, without asking whether it exists."""
    return bound.label(job)


@labelled(description=_("duration"))
def duration(job: ScheduledJob) -> str:
    """Show how long the job ran."""
    if job.started_at is None or job.finished_at is None:
        return display.NOTHING
    return display.duration(clock.from_row(job.finished_at) - clock.from_row(job.started_at))
