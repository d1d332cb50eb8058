"""Columns and fields of the admin, each with its label."""

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
from django_future.signatures import is_valid

MAX_LINE_LENGTH = 60  # characters of one cell of the list
NO_ARGS, NO_KWARGS = "[]", "{}"


def column(model: type[Model], name: str, show: Callable[[Any], str]) -> Callable[[Any], str]:
    """Return a function that shows the raw value of a field, with the label of the field."""
    field: Any = model._meta.get_field(name)

    @labelled(description=field.verbose_name, ordering=name)
    def shown(row: Model) -> str:
        return show(field.value_from_object(row))

    shown.__name__ = name  # the admin finds the help text by this name
    return shown


@labelled(description=_("arguments"))
def call(job: Any) -> str:
    """Show the arguments on one line.

    The list annotates `args_start` and `kwargs_start`, the beginnings of the stored arguments.
    """
    texts = [(job.args_start, NO_ARGS), (job.kwargs_start, NO_KWARGS)]
    # The list has only the beginning of very long arguments, so their signature cannot be valid.
    job.is_signed = is_valid({**vars(job), "args": job.args_start, "kwargs": job.kwargs_start})
    shown = " ".join(
        describe(without_sensitive(job, text)) for text, empty in texts if text != empty
    )
    return display.line(shown, MAX_LINE_LENGTH) or display.NOTHING


@labelled(description=_("content object"))
def content_object(job: ScheduledJob) -> str:
    """Show the name of the bound object, without a query for it."""
    return bound_object.label(job)


@labelled(description=_("duration"))
def duration(job: ScheduledJob) -> str:
    """Show how long the job ran."""
    if job.started_at is None or job.finished_at is None:
        return display.NOTHING
    return display.duration(clock.from_row(job.finished_at) - clock.from_row(job.started_at))


def has_progress(job: ScheduledJob) -> bool:
    """Return whether the handler has reported progress or written log lines."""
    return hasattr(job, "current_progress")
