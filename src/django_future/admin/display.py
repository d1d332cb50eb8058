"""Formatting of values for the admin. No function here loads a pickle or runs a query."""

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import lru_cache

from django.utils import dateformat, formats
from django.utils.html import format_html, format_html_join
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from django_future import clock
from django_future.models import JobProgress
from django_future.serialization import describe
from django_future.status import Status

NOTHING = "-"
MAX_VALUE_LENGTH = 10_000  # characters of one value; a page may show several values
SYMBOLS: dict[str, str] = {
    Status.SCHEDULED: "○",
    Status.RUNNING: "▸",
    Status.COMPLETE: "✓",
    Status.FAILED: "✗",
    Status.EXPIRED: "◌",
    Status.CANCELLED: "⊘",
    Status.PARKED: "⚠",
}


def dotted(name: str) -> str:
    """Return a dotted name that may wrap after each "." and "_"."""
    return _breakable(re.split(r"(?<=[._])", name))


def short_name(callable_name: str) -> str:
    """Return the last part of the name of a callable."""
    return callable_name.rpartition(".")[2] or callable_name


def status(value: str, label: str = "") -> str:
    """Return `label`, or the word for a status, with a symbol that screen readers skip."""
    symbol, label = SYMBOLS.get(value, "?"), label or Status.label_of(value)
    return format_html('<span aria-hidden="true">{}</span>&nbsp;{}', symbol, label)


def instant(value: datetime | None) -> str:
    """Return a time from a row to the second, in the current time zone."""
    if value is None:
        return NOTHING
    local = clock.from_row(value).astimezone(clock.current_zone())
    shown = day(local.date()).replace(" ", "\N{NO-BREAK SPACE}")
    return format_html(
        '<time datetime="{}">{} {}</time>', local.isoformat(), shown, f"{local:%H:%M:%S}"
    )


def day(value: date) -> str:
    """Return a date in the format of the active language."""
    return _day(value, formats.get_format("DATE_FORMAT"), get_language())


def duration(length: timedelta) -> str:
    """Return a duration to the millisecond; from one minute on, to the second."""
    if length < timedelta(minutes=1):
        return f"{formats.number_format(length.total_seconds(), 3)} s"
    return str(timedelta(seconds=round(length.total_seconds())))


def value(text: str | None) -> str:
    """Return a stored value as text for people, cut after `MAX_VALUE_LENGTH` characters."""
    if text is None:
        return NOTHING
    return format_html("<code>{}</code>", line(describe(text), MAX_VALUE_LENGTH))


def progress(report: JobProgress) -> str:
    """Return the progress of a job, such as '3 of 10, 30 %: resizing'."""
    return ": ".join(filter(None, [_amount(report), report.message])) or NOTHING


def text(text: str) -> str:
    """Return a traceback or a log as preformatted text with wrapped lines."""
    return format_html("<pre wrap>{}</pre>", text) if text else NOTHING


def line(text: str, max_length: int) -> str:
    """Return at most `max_length` characters; a narrow column may break long words."""
    return _breakable(re.findall(r"\s+|\S{1,20}", cut(text, max_length)))


def cut(text: str, max_length: int) -> str:
    """Return at most `max_length` characters of `text`, with "…" at the end if it is longer."""
    return text if len(text) <= max_length else f"{text[: max_length - 1]}…"


# Cached, because many times of a page are on the same day.
@lru_cache(maxsize=100)
def _day(value: date, date_format: str, language: str | None) -> str:  # noqa: ARG001 - of the words
    return dateformat.format(value, date_format)


def _amount(report: JobProgress) -> str:
    if report.done is None:
        return ""
    done = formats.number_format(report.done)
    if report.total is None or report.total <= 0:  # SQL may have written it
        return done
    shown = {"done": done, "total": formats.number_format(report.total)}
    percent = formats.number_format(100 * report.done // report.total)
    shown["percent"] = f"{percent}\N{NO-BREAK SPACE}%"
    return _("%(done)s of %(total)s, %(percent)s") % shown


def _breakable(parts: Iterable[str]) -> str:
    return format_html_join(format_html("<wbr>{}", ""), "{}", ((part,) for part in parts))
