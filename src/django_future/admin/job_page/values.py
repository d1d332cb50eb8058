"""The arguments and the result of a job as readable Python. No pickle is loaded."""

import json
from itertools import chain, repeat
from typing import Any, NamedTuple

from django.contrib.admin import display as labelled
from django.utils.html import format_html
from django.utils.translation import gettext_lazy

from django_future.admin import display
from django_future.admin.sensitive import positional_names, without_sensitive
from django_future.exceptions import FutureError
from django_future.models import ScheduledJob
from django_future.serialization import TAG, describe

MAX_CALL_LENGTH = 120  # characters of the call at the top of the page
MAX_ARGUMENTS = 100
MAX_LINE_LENGTH = 80  # characters of a value on one line
MAX_OPEN_LENGTH = 1000  # characters of a value that is not folded
INDENT = "    "


class Argument(NamedTuple):
    """One argument: the name of its parameter, and its value as HTML."""

    name: str
    value: str
    text: str  # the value on one line


def call(job: ScheduledJob) -> str:
    """Return the call on one line, with the short name of the callable."""
    name = job.callable_name.rpartition(".")[2]
    found = arguments(job)
    if found is None:
        return display.cut(f"{name}(…)", MAX_CALL_LENGTH)
    texts = (
        one.text if one.name.isdecimal() else f"{one.name}={one.text}"
        for one in found[:MAX_ARGUMENTS]
    )
    return display.cut(f"{name}({', '.join(texts)})", MAX_CALL_LENGTH)


def arguments(job: ScheduledJob) -> list[Argument] | None:
    """Return the arguments with the names of their parameters, and the sensitive ones hidden.

    Returns None if the stored values are not a list and a dictionary.
    """
    args, kwargs = _plain(job, "args"), _plain(job, "kwargs")
    if not isinstance(args, list) or not isinstance(kwargs, dict) or TAG in kwargs:
        return None
    numbers = map(str, range(1, len(args) + 1))
    positional = zip(_names(job), numbers, args, strict=False)
    named = [(name or number, value) for name, number, value in positional]
    return [
        Argument(name, shown(value), _on_one_line(value))
        for name, value in [*named, *kwargs.items()][:MAX_ARGUMENTS]
    ]


def raw_arguments(job: ScheduledJob) -> list[Argument]:
    """Return the stored arguments as they are, with the sensitive ones hidden."""
    return [
        Argument(name, display.value(text), text)
        for name in ("args", "kwargs")
        for text in [without_sensitive(job, _stored(job, name))]
    ]


@labelled(description=gettext_lazy("return value"))
def return_value(job: ScheduledJob) -> str:
    """Show what the callable returned."""
    return _shown_text(_stored(job, "return_value"))


@labelled(description=gettext_lazy("options"))
def options(job: ScheduledJob) -> str:
    """Show the options of this job that differ from those of its handler."""
    return _shown_text(getattr(job, "stored_options", None))


def shown(value: Any) -> str:
    """Return a plain value as HTML: on several lines if it is nested, and folded if it is long."""
    text = display.cut(_pretty(value, ""), display.MAX_VALUE_LENGTH)
    if "\n" not in text and len(text) <= MAX_OPEN_LENGTH:
        return format_html("<code>{}</code>", display.line(text, display.MAX_VALUE_LENGTH))
    block = format_html('<pre class="future-code">{}</pre>', text)
    if len(text) <= MAX_OPEN_LENGTH:
        return block
    summary = display.cut(_on_one_line(value), MAX_LINE_LENGTH)
    return format_html("<details><summary><code>{}</code></summary>{}</details>", summary, block)


def _shown_text(text: str | None) -> str:
    if text is None:
        return display.NOTHING
    try:
        return shown(json.loads(text))
    except (ValueError, RecursionError):
        return display.value(text)


def _stored(job: ScheduledJob, name: str) -> Any:
    field: Any = ScheduledJob._meta.get_field(name)
    return field.value_from_object(job)


def _plain(job: ScheduledJob, name: str) -> Any:
    try:
        return json.loads(without_sensitive(job, _stored(job, name)))
    except (ValueError, RecursionError):
        return None


def _names(job: ScheduledJob) -> Any:
    try:
        return chain(positional_names(job), repeat(None))
    except (ValueError, TypeError, FutureError):
        return repeat(None)


def _on_one_line(value: Any) -> str:
    return describe(json.dumps(value))


def _pretty(value: Any, indent: str) -> str:
    text = _on_one_line(value)
    is_nested = isinstance(value, dict) and TAG not in value
    if isinstance(value, list):
        is_nested = any(isinstance(item, list | dict) for item in value)
    if len(text) + len(indent) <= MAX_LINE_LENGTH or not is_nested or not value:
        return text
    inner = indent + INDENT
    if isinstance(value, list):
        lines = [f"{inner}{_pretty(item, inner)},\n" for item in value]
        return f"[\n{''.join(lines)}{indent}]"
    lines = [f"{inner}{name!r}: {_pretty(item, inner)},\n" for name, item in value.items()]
    return f"{{\n{''.join(lines)}{indent}}}"
