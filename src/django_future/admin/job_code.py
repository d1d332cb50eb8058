"""The code that schedules a job like an existing one."""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.apps import apps
from django.contrib.admin import display as labelled
from django.contrib.contenttypes.models import ContentType
from django.utils.html import format_html
from django.utils.translation import gettext, gettext_lazy

from django_future import clock, handlers
from django_future.admin.display import MAX_VALUE_LENGTH
from django_future.admin.sensitive import HIDDEN, without_sensitive
from django_future.admin.source import UNKNOWN, query_for, source_of
from django_future.content_objects import content_type
from django_future.databases import jobs_database
from django_future.exceptions import FutureError
from django_future.models import ScheduledJob
from django_future.models.fields import raw_value
from django_future.options import RUN_OPTIONS, JobOptions
from django_future.recurrence.timing import describe_duration
from django_future.resolution import unbound_handler
from django_future.serialization import plain_of
from django_future.when import MAX_DURATION

# What the sources of values name, and the statement that imports it.
_IMPORTS = {
    "datetime": "import datetime",
    "zoneinfo": "import zoneinfo",
    "Decimal": "from decimal import Decimal",
    "UUID": "from uuid import UUID",
}
_TEXTS = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")


@labelled(description=gettext_lazy("code"))
def code(job: ScheduledJob) -> str:
    """Show the code that schedules the same job."""
    label = gettext("Copy as code")
    return format_html(
        "<details><summary>{}</summary><pre wrap>{}</pre></details>", label, job_as_code(job)
    )


def job_as_code(job: ScheduledJob) -> str:
    """Return a call of `schedule_job` that makes the same job.

    `...` stands for sensitive and for pickled values, and `schedule_job` refuses it. The code
    compiles for any row.
    """
    call = [*_positional(job), *_keywords(job)]
    lines = [
        *_imports(call),
        "from django_future import schedule_job",
        *_model_imports(job, call),
        "",
        *_notes(job, call),
        "schedule_job(",
        *(f"    {argument}," for argument in call),
        ")",
    ]
    return "\n".join(lines) + "\n"


def arguments_source(job: ScheduledJob, name: str) -> str:
    """Return the source of `args` or `kwargs`, with `...` for values that are not shown."""
    shown = shown_arguments(job, name)
    return UNKNOWN if shown is None else source_of(shown).replace(repr(HIDDEN), UNKNOWN)


def stored_text(job: ScheduledJob, name: str) -> str:
    """Return the text that stores a value, also if the attribute has been read."""
    field: Any = ScheduledJob._meta.get_field(name)
    return field.get_prep_value(raw_value(job, name)) or ""


def shown_arguments(job: ScheduledJob, name: str) -> Any:
    """Return the JSON that stores `args` or `kwargs`, without sensitive values.

    None if it is damaged, hidden as a whole, or too long for a page.
    """
    text = without_sensitive(job, stored_text(job, name))
    plain = plain_of(text)
    return plain if len(text) <= MAX_VALUE_LENGTH and isinstance(plain, list | dict) else None


def _positional(job: ScheduledJob) -> Iterator[str]:
    yield repr(_time_of(job))
    yield repr(job.callable_name)
    if job.object_id is not None:
        yield _object(job)


def _keywords(job: ScheduledJob) -> Iterator[str]:
    yield f"expires={_lifetime(job)}"
    for name, empty in (("args", "[]"), ("kwargs", "{}")):
        if (text := arguments_source(job, name)) != empty:
            yield f"{name}={text}"
    usual = _usual_options(job)
    values = {
        "queue_name": job.queue_name,
        "priority": job.priority,
        "max_attempts": job.max_attempts,
        "rescue": job.is_rescuable,
    }
    for name, value in values.items():
        if usual is None or value != getattr(usual, name):
            yield f"{name}={value!r}"
    options = plain_of(stored_text(job, "options") or "{}")
    for name, value in options.items() if isinstance(options, dict) else ():
        if name in RUN_OPTIONS:
            yield f"{name}={source_of(value)}"
    if jobs_database(instance=job) != jobs_database():
        yield f"using={job._state.db!r}"


def _time_of(job: ScheduledJob) -> str:
    instant = clock.from_row(job.scheduled_at)
    try:
        return instant.astimezone(clock.current_zone()).isoformat()
    except OverflowError:  # SQL wrote a time at the end of the calendar
        return instant.isoformat()


def _lifetime(job: ScheduledJob) -> str:
    try:
        lifetime = job.lifetime
    except OverflowError:
        return UNKNOWN
    if lifetime is None:
        return "None"
    if lifetime > MAX_DURATION:  # schedule_job() takes such a length only as an instant
        return repr(clock.from_row(job.expires_at).isoformat()) if job.expires_at else "None"
    return repr(describe_duration(lifetime))


def _usual_options(job: ScheduledJob) -> JobOptions | None:
    """Return the options that the handler gives to each job, or None if it is not known."""
    if not job.is_signed:
        return None
    with suppress(FutureError):
        return handlers.options_of(unbound_handler(job))
    return None


def _object(job: ScheduledJob) -> str:
    kind = _kind(job)
    if kind is None:
        return UNKNOWN
    pk = str(job.object_id)
    is_number = pk.isascii() and pk.isdecimal() and str(int(pk[:18])) == pk
    label = f"{kind.app_label}.{kind.model}"
    try:
        return query_for(label, pk if is_number else repr(pk), job.object_database)
    except LookupError:
        return UNKNOWN


def _kind(job: ScheduledJob) -> ContentType | None:
    with suppress(ContentType.DoesNotExist):
        return content_type(job)
    return None


def _imports(call: list[str]) -> list[str]:
    names = re.findall(r"\w+", " ".join(_TEXTS.sub("", argument) for argument in call))
    return [statement for name, statement in _IMPORTS.items() if name in names]


def _model_imports(job: ScheduledJob, call: list[str]) -> list[str]:
    """Return the imports of the models whose objects the call loads."""
    shown = " ".join(_TEXTS.sub("", argument) for argument in call)
    names = set(re.findall(r"(\w+)\.\w+(?:\.using\(\))?\.get\(", shown))
    kind = _kind(job)
    models = [model for model in apps.get_models() if model.__name__ in names]
    stored = stored_text(job, "args") + stored_text(job, "kwargs")
    wanted = {
        f"from {model.__module__} import {model.__name__}"
        for model in models
        if f'"{model._meta.label_lower}"' in stored
        or (kind is not None and kind.model_class() is model)
    }
    return sorted(wanted)


def _notes(job: ScheduledJob, call: list[str]) -> Iterator[str]:
    if any(UNKNOWN in _TEXTS.sub("", argument) for argument in call):
        yield "# Replace each ... with the value, which the admin does not show."
    if job.unique_key is not None:
        yield "# This job is unique. Pass unique=... if the handler does not declare it."
