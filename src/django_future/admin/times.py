"""Times as people say them: "in 3 hours", "4 min ago". The exact time is the title."""

from datetime import datetime, timedelta

from django.utils import formats
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_future import clock
from django_future.admin import display

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def relative(value: datetime | None, at: datetime) -> str:
    """Return how far a time from a row is from `at`, such as "in 3 h" or "4 min ago"."""
    if value is None:
        return display.NOTHING
    return exact(value, words(clock.from_row(value) - at))


def words(distance: timedelta) -> str:
    """Return a distance from now as words, such as "in 3 h" or "4 min ago"."""
    text = _("%(length)s ago") if distance < timedelta() else _("in %(length)s")
    return text % {"length": length(abs(distance))}


def exact(value: datetime, text: str) -> str:
    """Return `text` for a time from a row, with the exact time in the current zone as title."""
    local = clock.from_row(value).astimezone(clock.current_zone())
    title = f"{display.day(local.date())} {local:%H:%M:%S}"
    return format_html('<time datetime="{}" title="{}">{}</time>', local.isoformat(), title, text)


def length(duration: timedelta) -> str:
    """Return a duration in its largest unit, such as "250 ms", "12 s", "5 min" or "3 days"."""
    seconds = max(duration.total_seconds(), 0.0)
    if seconds < 1:
        return _("%(number)s ms") % {"number": formats.number_format(round(1000 * seconds))}
    if duration < _MINUTE:
        return _("%(number)s s") % {"number": formats.number_format(int(seconds))}
    if duration < _HOUR:
        return _("%(number)s min") % {"number": formats.number_format(duration // _MINUTE)}
    if duration < 2 * _DAY:
        return _("%(number)s h") % {"number": formats.number_format(duration // _HOUR)}
    days = duration // _DAY
    text = ngettext("%(number)s day", "%(number)s days", days)
    return text % {"number": formats.number_format(days)}
