"""Texts about jobs for the output of commands."""

from django_future import clock
from django_future.content_objects import known_label, load_label
from django_future.handlers import options_of
from django_future.models import ScheduledJob
from django_future.models.fields import raw_value
from django_future.resolution import loaded_handler
from django_future.serialization import describe

MAX_ARGUMENTS_LENGTH = 500  # characters of the arguments in a line
HIDDEN = "[hidden]"


def line_about(job: ScheduledJob) -> str:
    """Return one line with the handler of a job, its arguments and its time.

    It loads no pickle and imports no module.
    """
    due = clock.from_row(job.scheduled_at).astimezone(clock.current_zone())
    load_label(job)
    label = known_label(job)
    bound = f" for {label}" if label else ""
    call = f"{job.pk} {job.callable_name}({_call(job)}){bound}"
    return _printable(f"{call}, due {due:%Y-%m-%d %H:%M:%S}")


def _call(job: ScheduledJob) -> str:
    if options_of(loaded_handler(job)).sensitive_arguments:
        return HIDDEN
    texts = {name: str(raw_value(job, name)) for name in ("args", "kwargs")}
    shown = ", ".join(describe(text) for text in texts.values() if text not in {"[]", "{}"})
    return shown if len(shown) <= MAX_ARGUMENTS_LENGTH else f"{shown[:MAX_ARGUMENTS_LENGTH]}…"


def _printable(text: str) -> str:
    # A row that was written by SQL may contain control characters for the terminal.
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
