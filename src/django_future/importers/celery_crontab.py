"""Converts a crontab of Celery to a cron expression that matches at the same times."""

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

from django_future.importers.entry import NotCarriedOver


class _Unit(NamedTuple):
    """What a field of a crontab counts."""

    column: str
    first: int
    last: int
    names: tuple[str, ...] = ()

    @property
    def all(self) -> range:
        return range(self.first, self.last + 1)


_MONTHS = (
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
)  # fmt: skip
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_UNITS = (
    _Unit("minute", 0, 59),
    _Unit("hour", 0, 23),
    _Unit("day_of_month", 1, 31),
    _Unit("month_of_year", 1, 12, _MONTHS),
    _Unit("day_of_week", 0, 6, _WEEKDAYS),
)
_PART = re.compile(
    r"(?:(?P<star>\*)|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?", re.ASCII
)


class _Field(NamedTuple):
    text: str
    numbers: Collection[int]


def cron_of(crontab: Mapping[str, str]) -> str:
    """Return the cron expression of a crontab, whose keys are the columns of Celery.

    Raises `NotCarriedOver`.
    """
    minute, hour, day, month, weekday = (_field(str(crontab[unit.column]), unit) for unit in _UNITS)
    if not day.text.startswith("*") and not weekday.text.startswith("*"):
        # Celery wants both days to match, and a cron expression either of them. Both mean the same
        # for weekdays in whole weeks of the month, such as the first Monday.
        day, weekday = _Field("*", ()), _weekdays_in_weeks(day, weekday, crontab)
    return " ".join(field.text for field in (minute, hour, day, month, weekday))


def _field(text: str, unit: _Unit) -> _Field:
    parts = [_part(part.strip(), unit) for part in text.split(",")]
    # A field of days that begins with a star restricts the other one, as in Celery.
    parts.sort(key=lambda part: not part.text.startswith("*"))
    numbers = {number for part in parts for number in part.numbers}
    if unit.column.startswith("day_") and numbers == set(unit.all):
        return _Field("*", numbers)
    return _Field(",".join(part.text for part in parts), numbers)


def _part(text: str, unit: _Unit) -> _Field:
    match = _PART.fullmatch(text)
    if match is None or (match["step"] and not (match["star"] or match["last"])):
        raise _unreadable(text, unit)
    step = int(match["step"] or 1)
    if not step:
        raise _unreadable(text, unit)
    suffix = f"/{match['step']}" if match["step"] else ""
    if match["star"]:
        return _Field(f"*{suffix}", unit.all[::step])
    first = _number(match["first"], unit)
    last = _number(match["last"] or match["first"], unit)
    if first == last:
        return _Field(_shown(match["first"], unit), [first])
    if first < last:
        ends = (_shown(match[name], unit) for name in ("first", "last"))
        return _Field("-".join(ends) + suffix, range(first, last + 1)[::step])
    # A range that passes the end, such as 22-4. A cron expression has no such ranges.
    numbers = [*range(first, unit.last + 1), *range(unit.first, last + 1)][::step]
    return _Field(",".join(_name(number, unit) for number in numbers), numbers)


def _number(text: str, unit: _Unit) -> int:
    word = text[:3].lower()
    if text.isdigit():
        number = int(text)
    elif word in _MONTHS:
        number = _MONTHS.index(word) + 1
    elif word in _WEEKDAYS:
        number = _WEEKDAYS.index(word)
    else:
        raise _unreadable(text, unit)
    if number not in unit.all:
        raise _unreadable(text, unit)
    return number


def _shown(text: str, unit: _Unit) -> str:
    number = _number(text, unit)
    return str(number) if text.isdigit() else _name(number, unit)


def _name(number: int, unit: _Unit) -> str:
    return unit.names[number - unit.first] if unit.names else str(number)


def _weekdays_in_weeks(day: _Field, weekday: _Field, crontab: Mapping[str, str]) -> _Field:
    weeks = [range(first, min(first + 7, 32)) for first in range(1, 32, 7)]
    chosen = [number for number, week in enumerate(weeks, 1) if set(week).issubset(day.numbers)]
    if sum(len(weeks[number - 1]) for number in chosen) != len(day.numbers):
        raise NotCarriedOver(
            f"day_of_month is {crontab['day_of_month']!r} and day_of_week is "
            f"{crontab['day_of_week']!r}. Celery runs it on days that match both, and a cron "
            "expression on days that match one of them. Schedule it with one of them, and let the "
            "handler check the other one."
        )
    names = (_WEEKDAYS[number] for number in sorted(weekday.numbers))
    return _Field(",".join(f"{name}#{week}" for name in names for week in chosen), ())


def _unreadable(text: str, unit: _Unit) -> NotCarriedOver:
    return NotCarriedOver(
        f"{text!r} in {unit.column} is not a part of a crontab that Celery accepts. Correct it."
    )
