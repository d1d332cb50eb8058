"""What people write for a time, turned into an instant. Pure: no clock, no settings."""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any

from django_future.exceptions import InvalidTime

When = datetime | timedelta | str

_NUMBER = r"(\d+(?:[.,]\d+)?)"
_SHORT = re.compile(
    r"\s*".join(rf"(?:{_NUMBER}\s*{unit})?" for unit in "wdhms"),
    re.ASCII,
)
_ISO = re.compile(
    rf"P(?:{_NUMBER}W)?(?:{_NUMBER}D)?(?:T(?=\d)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?",
    re.ASCII,
)
_REMEDY = (
    "Give a datetime, a timedelta, an offset such as '5d', '90s' or '1h30m' (units w, d, h, m, s "
    "in that order), or ISO 8601 such as 'PT1H' or '2030-01-31T09:00+01:00'."
)


def parse_when(value: When, *, now: datetime, zone: tzinfo) -> datetime:
    """Return the instant that `value` means, in UTC.

    An offset counts from `now`, which is aware. A naive datetime is wall time in `zone`, by
    PEP 495: `fold` picks one of two repeated times. A time inside a gap moves forward by the gap.

    Raises `InvalidTime`.
    """
    moment = _parse(value)
    try:
        if isinstance(moment, timedelta):
            return (now + moment).astimezone(UTC)
        return _instant(moment, zone)
    except (OverflowError, ValueError) as error:
        raise InvalidTime(f"{value!r} lies outside the years 1 to 9999.") from error


def parse_duration(value: timedelta | str) -> timedelta:
    """Return the length of time that `value` means: a timedelta, `'1h30m'` or `'PT1H30M'`.

    Raises `InvalidTime`.
    """
    duration = _duration(value) if isinstance(value, str) else value
    if not isinstance(duration, timedelta):
        raise InvalidTime(f"{value!r} is not a duration. Give a timedelta, '1h30m' or 'PT1H30M'.")
    return duration


def _parse(value: Any) -> datetime | timedelta:
    if isinstance(value, datetime | timedelta):
        return value
    if isinstance(value, date):
        raise InvalidTime(f"{value!r} is a date without a time of day. {_REMEDY}")
    if not isinstance(value, str):
        raise InvalidTime(f"{value!r} is not a time. {_REMEDY}")
    duration = _duration(value)
    if duration is not None:
        return duration
    try:
        return datetime.fromisoformat(value.strip())
    except ValueError as error:
        raise InvalidTime(f"{value!r} is not a time. {_REMEDY}") from error


@lru_cache
def _duration(text: str) -> timedelta | None:
    match = _SHORT.fullmatch(text.strip()) or _ISO.fullmatch(text.strip())
    if not match or not any(match.groups()):
        return None
    weeks, days, hours, minutes, seconds = (
        float((number or "0").replace(",", ".")) for number in match.groups()
    )
    try:
        return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError as error:
        raise InvalidTime(f"{text!r} is longer than the calendar.") from error


def _instant(moment: datetime, zone: tzinfo) -> datetime:
    if moment.tzinfo is not None and moment.utcoffset() is not None:
        return moment.astimezone(UTC)
    wall = moment.replace(tzinfo=zone)
    instant = wall.astimezone(UTC)
    exists = instant.astimezone(zone).replace(tzinfo=None) == moment.replace(tzinfo=None)
    # In a gap, fold=0 reckons with the offset from before it, which moves the time forward.
    return instant if exists else wall.replace(fold=0).astimezone(UTC)
