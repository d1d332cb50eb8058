"""The values of the form that duplicates a job."""

from dataclasses import dataclass
from keyword import iskeyword
from typing import Any

from django.db.models import Model
from django.utils.translation import gettext as _

from django_future.admin.job_code import shown_arguments, stored_text
from django_future.admin.job_form.call_text import NotACall, read_call
from django_future.admin.job_form.objects import object_of
from django_future.admin.sensitive import HIDDEN, without_sensitive
from django_future.admin.source import UNKNOWN, source_of
from django_future.content_objects import content_type
from django_future.exceptions import InvalidArguments
from django_future.models import ScheduledJob


@dataclass(frozen=True)
class OriginalCall:
    """The arguments of a job as a text, in which `...` stands for those that are not shown.

    Sensitive ones must be entered. Others, such as pickles, are kept with the unchanged text.
    """

    text: str
    has_sensitive: bool
    is_literal: bool


def original_call(job: ScheduledJob) -> OriginalCall:
    """Return the arguments of a signed job."""
    text = _text(shown_arguments(job, "args"), shown_arguments(job, "kwargs"))
    stored = {name: stored_text(job, name) for name in ("args", "kwargs")}
    has_sensitive = any(
        HIDDEN in without_sensitive(job, value) and HIDDEN not in value for value in stored.values()
    )
    try:
        read_call(text)
    except NotACall:
        return OriginalCall(text, has_sensitive, is_literal=False)
    return OriginalCall(text, has_sensitive, is_literal=True)


def literal_call(job: ScheduledJob) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of a job for another handler.

    Raises `InvalidArguments`.
    """
    try:
        return read_call(original_call(job).text)
    except NotACall as error:
        raise InvalidArguments(
            _("Another handler cannot get these arguments. Enter new ones.")
        ) from error


def has_handler(job: ScheduledJob, name: str, content_object: Model | None) -> bool:
    """Return whether the handler `name` for an object is that of a job."""
    if "." in name or name != job.callable_name:
        return name == job.callable_name
    # Another model may have a method of the same name.
    found = object_of(job)
    return found is not None and type(found) is type(content_object)


def initial_values(job: ScheduledJob) -> dict[str, Any]:
    """Return the values of a new form for a job like `job`."""
    kind = None if job.object_id is None else content_type(job)
    return {
        "handler": job.callable_name,
        "arguments": original_call(job).text,
        "content_type": None if kind is None else f"{kind.app_label}.{kind.model}",
        "object_id": job.object_id,
        "queue_name": job.queue_name,
        "priority": job.priority,
    }


def _text(args: Any, kwargs: Any) -> str:
    is_known = isinstance(args, list) and isinstance(kwargs, dict)
    if not is_known or not all(_is_name(name) for name in kwargs):
        return UNKNOWN
    named = [f"{name}={_source(value)}" for name, value in kwargs.items()]
    text = ", ".join([*map(_source, args), *named])
    return f"{text}," if text.startswith("{") else text  # otherwise it may be a JSON object


def _source(plain: Any) -> str:
    return source_of(plain).replace(repr(HIDDEN), UNKNOWN)


def _is_name(text: str) -> bool:
    return text.isidentifier() and not iskeyword(text)
