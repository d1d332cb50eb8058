"""Parses cron expressions, and computes their instants. It uses neither the clock nor the settings.

The package cronsim parses the fields and finds the matching wall times, without a time zone. This
module maps the wall times to instants.
"""

import operator
import re
from bisect import bisect_left, insort
from collections.abc import Collection, Hashable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cached_property, lru_cache
from typing import Any

from cronsim import CronSim, CronSimError
from cronsim.explain import explain

from django_future.exceptions import InvalidTime
from django_future.plural import counted

MAX_CRON_LENGTH = 100  # characters

# For each field, what it accepts in addition to '*', ranges, steps and lists.
_FIELDS = {
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day of month": "1 to 31, L or LW",
    "month": "1 to 12, or jan to dec",
    "day of week": "0 to 7, sun to sat, or such as 5L or fri#2",
}
_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_REMEDY = (
    "Give five fields: minute, hour, day of month, month, day of week, such as '0 9 * * mon-fri'."
)
_FIELD = re.compile(r"[0-9A-Za-z*/,#-]+")
_DAY, _SECOND, _RESOLUTION = timedelta(days=1), timedelta(seconds=1), datetime.resolution
# Every possible date occurs within the 50 years after it, which are as many as cronsim tries.
_ANY_WALL = datetime(2000, 1, 1)  # noqa: DTZ001
# The only times of an interval can be in gaps of the clock, year after year.
_PATIENCE = timedelta(days=50 * 366)
_MIN, _MAX = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_MARGIN = timedelta(days=7)  # from the limits of datetime, so that no offset leads beyond them


def parse_cron(text: str) -> "CronExpression":
    """Return the cron expression of `text`: five fields, or a name such as '@daily'.

    Raises `InvalidTime`, also if it can never match.
    """
    return _parsed(_checked(text))


class CronExpression:
    """The instants at which the local time matches a cron expression. `parse_cron` returns it.

    If neither the minute nor the hour contains '*' or '/', the times are fixed: a time in a gap of
    the clock runs at the end of the gap, and one that comes twice runs the first time only. Every
    other expression runs at each minute at which the clock shows a match.

    A zone is a `ZoneInfo`, or another tzinfo that supports `fold`.
    """

    def __init__(self, text: str, fields: list[str]) -> None:
        self.text = text
        self.is_fixed = not re.search(r"[*/]", fields[0] + fields[1])
        self._fields = fields
        self._sim = CronSim(" ".join(fields), _ANY_WALL)
        self._hours, self._minutes = sorted(self._sim.hours), sorted(self._sim.minutes)

    def __repr__(self) -> str:
        return f"CronExpression({self.text!r})"

    def after(self, instant: datetime, zone: tzinfo) -> Iterator[datetime]:
        """Yield the instants after `instant` in UTC, the first one first.

        They are endless, except that they end near the limits of datetime, or where an interval
        finds no match in 50 years, because all of its matches are in gaps of the clock.
        """
        return self._instants(instant, zone, reverse=False)

    def before(self, instant: datetime, zone: tzinfo) -> Iterator[datetime]:
        """Yield the instants before `instant` in UTC, the last one first. They end like `after`."""
        return self._instants(instant, zone, reverse=True)

    def count(self, start: datetime, end: datetime, zone: tzinfo) -> int:
        """Return the number of instants from `start` to `end`, inclusive, without a walk."""
        start = max(start, _MIN + _MARGIN).astimezone(UTC)
        end = min(end, _MAX - _MARGIN).astimezone(UTC) + _RESOLUTION
        if start >= end:
            return 0
        total = 0
        # The times after the start come for the second time if the clock went back just before.
        for begin, stop, earlier, offset in _spans(start - 2 * _DAY, end, zone):
            first = max(begin, start) + offset
            if self.is_fixed and earlier > offset:
                first = max(first, begin + earlier)
            elif self.is_fixed and earlier < offset and start <= begin:
                # All times in the gap and the time at its end share one instant.
                first = begin + offset + _RESOLUTION
                total += self._number_between(begin + earlier, first) > 0
            total += self._number_between(first, stop + offset)
        return total

    @cached_property
    def words(self) -> str:
        """The expression in English, such as "At 09:00, Monday to Friday"."""
        fields = self._fields
        if not self._sim.day_and and self._has_every_day():
            # explain() leaves out a field that matches every day, as if the other one decided.
            fields = [*fields[:2], "*", fields[3], "*"]
        text = explain(" ".join(fields)).replace(" and on ", " or on ").replace(" through ", " to ")
        text = re.sub(
            r"\bday of (month|week)\b", r"day of the \1", text.replace("it's on", "it is")
        )
        text = re.sub(r"(?<! or) on (\w+day to )", r", \1", text)
        return re.sub(r"\b(\d*?)(1?\d)th\b", _ordinal, text)

    def _instants(self, limit: datetime, zone: tzinfo, *, reverse: bool) -> Iterator[datetime]:
        """Yield each candidate once, in order. Times that come twice are found out of order."""
        index, is_settled, is_beyond = 0, operator.le, operator.gt
        if reverse:
            index, is_settled, is_beyond = -1, operator.ge, operator.lt
        pending: list[datetime] = []
        for found, settled in self._candidates(limit, zone, reverse=reverse):
            for instant in found:
                insort(pending, instant)
            while pending and is_settled(pending[index], settled):
                instant = pending.pop(index)
                if is_beyond(instant, limit):
                    yield instant
                    limit = instant

    def _candidates(
        self, limit: datetime, zone: tzinfo, *, reverse: bool
    ) -> Iterator[tuple[tuple[datetime, ...], datetime]]:
        """Yield the instants of each matching wall time, and an instant that later ones are beyond.

        The instants of the first wall times may not be beyond `limit`.
        """
        offsets = _offset_range if isinstance(zone, Hashable) else _offset_range.__wrapped__
        with suppress(OverflowError):
            lowest, highest = offsets(zone, limit.astimezone(zone).toordinal())
            start = limit.astimezone(UTC) + (highest if reverse else lowest)
            last_found = start = start.replace(tzinfo=None)
            for wall in CronSim(" ".join(self._fields), start, reverse=reverse):
                lowest, highest = offsets(zone, wall.toordinal())
                settled = (wall - (lowest if reverse else highest)).replace(tzinfo=UTC)
                found = (settled,) if lowest == highest else self._instants_of(wall, zone)
                if found:
                    last_found = wall
                elif abs(wall - last_found) > _PATIENCE:
                    break
                yield found, settled

    def _instants_of(self, wall: datetime, zone: tzinfo) -> tuple[datetime, ...]:
        """Return the instants of a wall time, which may be in a gap, or occur twice (PEP 495)."""
        first = wall.replace(tzinfo=zone).astimezone(UTC)
        second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
        if first > second:
            return (_change_of_offset(second, first, zone),) if self.is_fixed else ()
        return (first,) if self.is_fixed or first == second else (first, second)

    def _number_between(self, start: datetime, end: datetime) -> int:
        """Return the number of matching wall times from `start` to before `end`."""
        if start >= end:
            return 0
        days = range(start.toordinal(), end.toordinal())
        number = sum(self._matches(date.fromordinal(day)) for day in days)
        number *= len(self._hours) * len(self._minutes)
        return number + self._number_of_day(end) - self._number_of_day(start)

    def _number_of_day(self, end: datetime) -> int:
        """Return the number of matching wall times from midnight to before `end`."""
        if not self._matches(end):
            return 0
        number = bisect_left(self._hours, end.hour) * len(self._minutes)
        if end.hour in self._sim.hours:
            number += bisect_left(self._minutes, end.minute + (end.second + end.microsecond > 0))
        return number

    def _matches(self, day: date) -> bool:
        return day.month in self._sim.months and self._sim.match_day(day)

    def _has_every_day(self) -> bool:
        weekdays = {day % 7 for day in self._sim.weekdays if isinstance(day, int)}
        return self._sim.days.issuperset(range(1, 32)) or weekdays.issuperset(range(7))


def _checked(text: Any) -> str:
    if not isinstance(text, str):
        raise InvalidTime(
            f"{text!r} is not a cron expression, but a {type(text).__name__}. {_REMEDY}"
        )
    if len(text) > MAX_CRON_LENGTH:
        raise InvalidTime(
            f"A cron expression that begins with {text[:30]!r} has {len(text)} characters. Give at "
            f"most {MAX_CRON_LENGTH}."
        )
    return text.strip()


@lru_cache(maxsize=1024)
def _parsed(text: str) -> CronExpression:
    if text.startswith("@") and text.lower() not in _MACROS:
        raise InvalidTime(_unknown_macro(text))
    fields = re.split(r"[ \t]+", _MACROS.get(text.lower(), text)) if text else []
    if len(fields) != len(_FIELDS):
        found = counted(len(fields), "field")
        raise InvalidTime(f"{text!r} is not a cron expression, because it has {found}. {_REMEDY}")
    for position, name in enumerate(_FIELDS):
        if not _is_valid(fields[position], position):
            raise InvalidTime(
                f"{text!r} is not a cron expression, because its {name} is {fields[position]!r}. "
                f"Give {_FIELDS[name]}; a range goes upward. {_REMEDY}"
            )
    try:
        expression = CronExpression(text, fields)
        next(CronSim(" ".join(fields), _ANY_WALL))
    except (CronSimError, StopIteration) as error:
        raise InvalidTime(
            f"{text!r} never matches, because no month has such a day. Give a day of month and a "
            "month that go together, such as '0 0 L 2 *'."
        ) from error
    return expression


def _unknown_macro(text: str) -> str:
    if text.lower() == "@reboot":
        reason = "@reboot names no time, so a job cannot be scheduled for it."
    else:
        reason = f"{text!r} is not the name of a cron expression."
    return f"{reason} Give {', '.join(_MACROS)} or five fields, such as '0 9 * * mon-fri'."


def _is_valid(field: str, position: int) -> bool:
    # cronsim converts to upper case, which makes ASCII letters of some that are not.
    if not _FIELD.fullmatch(field):
        return False
    # cronsim takes the range of one value in '5-5/10' for that value, so for the start of steps.
    stepped_ranges = re.findall(r"([^,/]+-[^,/]+)/", field)
    try:
        _values(field, position)
        return all(len(_values(span, position)) > 1 for span in stepped_ranges)
    except CronSimError:
        return False


def _values(field: str, position: int) -> Collection[object]:
    fields = ["*"] * len(_FIELDS)
    fields[position] = field
    sim = CronSim(" ".join(fields), _ANY_WALL)
    return (sim.minutes, sim.hours, sim.days, sim.months, sim.weekdays)[position]


def _ordinal(match: re.Match[str]) -> str:
    """Return an ordinal number, which explain() always ends with "th"."""
    return match[1] + match[2] + {"1": "st", "2": "nd", "3": "rd"}.get(match[2], "th")


@lru_cache(maxsize=4096)
def _offset_range(zone: tzinfo, day: int) -> tuple[timedelta, timedelta]:
    """Return the lowest and highest offset that a wall time of the date with this ordinal can have.

    They include the offsets of the times that come before it on the clock and after it in UTC, or
    the reverse. All of them are within a day of it, because an offset is shorter than a day.
    """
    # No zone has ever kept an offset for less than three days, so one look a day finds them all.
    offsets = [_offset(_MIN + (day + shift) * _DAY, zone) for shift in (-2, -1, 0, 1)]
    return min(offsets), max(offsets)


def _spans(
    start: datetime, end: datetime, zone: tzinfo
) -> Iterator[tuple[datetime, datetime, timedelta, timedelta]]:
    """Yield begin, end, previous offset and offset of each period with the same offset."""
    begin = checked = start.replace(microsecond=0)
    previous = offset = _offset(begin, zone)
    while checked < end:
        border = min(checked + _DAY, end)
        if _offset(border, zone) != offset:
            border = _change_of_offset(checked, border, zone)
            yield begin, border, previous, offset
            begin, previous, offset = border, offset, _offset(border, zone)
        checked = border
    if begin < end:
        yield begin, end, previous, offset


def _change_of_offset(start: datetime, end: datetime, zone: tzinfo) -> datetime:
    """Return the first instant after `start` at which the offset is not that at `start`."""
    offset = _offset(start, zone)
    seconds = range((end - start) // _SECOND + 1)
    number = bisect_left(
        seconds, x=True, key=lambda second: _offset(start + second * _SECOND, zone) != offset
    )
    return start + number * _SECOND


def _offset(instant: datetime, zone: tzinfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()
