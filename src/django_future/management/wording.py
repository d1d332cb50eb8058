"""How commands name jobs."""

from contextlib import suppress

from django.contrib.contenttypes.models import ContentType

from django_future import clock
from django_future.content_objects import content_type, known_label
from django_future.handlers import options_of
from django_future.models import ScheduledJob
from django_future.models.fields import raw_value
from django_future.resolution import loaded_handler
from django_future.serialization import describe

MAX_CALL = 500  # characters of the arguments in a line
HIDDEN = "[hidden]"


def jobs(count: int) -> str:
    """Return a number of jobs in words."""
    return f"{count:,} job{'' if count == 1 else 's'}"


def line_about(job: ScheduledJob) -> str:
    """Return on one line what a job calls, with what and when; nothing is loaded or imported."""
    due = clock.from_row(job.scheduled_at).astimezone(clock.current_zone())
    with suppress(ContentType.DoesNotExist):
        content_type(job)  # so that its name is known
    label = known_label(job)
    bound = f" for {label}" if label else ""
    call = f"{job.pk} {job.callable_name}({_call(job)}){bound}"
    return _printable(f"{call}, due {due:%Y-%m-%d %H:%M:%S}")


def _call(job: ScheduledJob) -> str:
    if options_of(loaded_handler(job)).sensitive_arguments:
        return HIDDEN
    texts = {name: str(raw_value(job, name)) for name in ("args", "kwargs")}
    shown = ", ".join(describe(text) for text in texts.values() if text not in {"[]", "{}"})
    return shown if len(shown) <= MAX_CALL else f"{shown[:MAX_CALL]}…"


def _printable(text: str) -> str:
    # SQL may have written what would move the cursor of a terminal.
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
