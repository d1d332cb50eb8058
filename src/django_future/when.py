"""Parses times and durations. It uses neither the clock nor the settings."""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any

from django_future.exceptions import InvalidTime

When = datetime | timedelta | str

MAX_TEXT_LENGTH = 100  # characters
MAX_DURATION = timedelta(days=36_525)  # 100 years; now plus this is a valid datetime
# One day from the limits of datetime, so that every time zone can represent them.
MIN_INSTANT, MAX_INSTANT = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)

_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
# Possessive quantifiers do not backtrack, so matching takes linear time.
_NUMBER = r"(\d++(?:[.,]\d++)?+)"
_SHORT_PART = re.compile(rf"\s*+{_NUMBER}\s*+([wdhms])", re.ASCII)
_ISO = re.compile(
    rf"P(?:{_NUMBER}W)?(?:{_NUMBER}D)?(?:T(?=\d)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?",
    re.ASCII,
)
_REMEDY = (
    "Give a datetime, a timedelta, an offset such as '5d', '90s' or '1h30m' (units w, d, h, m, s "
    "in that order), or ISO 8601 such as 'PT1H' or '2030-01-31T09:00+01:00'."
)


def parse_when(value: When, *, now: datetime, zone: tzinfo) -> datetime:
    """Return the instant of `value` in UTC.

    An offset counts from `now`, which must be aware. A naive datetime is local time in `zone`. If
    that time occurs twice, `fold` selects one (PEP 495). If the time does not exist, it moves
    forward by the length of the gap.

    Raises `InvalidTime`, also for an instant before `MIN_INSTANT` or after `MAX_INSTANT`.
    """
    parsed = _parse(value)
    try:
        if isinstance(parsed, timedelta):
            instant = (now + parsed).astimezone(UTC)
        else:
            instant = _instant(parsed, zone)
    except (OverflowError, ValueError) as error:
        raise InvalidTime(_out_of_range(value)) from error
    if not MIN_INSTANT <= instant <= MAX_INSTANT:
        raise InvalidTime(_out_of_range(value))
    return instant


def is_time(value: object) -> bool:
    """Return whether `parse_when` accepts `value`."""
    try:
        _parse(value)
    except InvalidTime:
        return False
    return True


def is_offset(value: object) -> bool:
    """Return whether `parse_when` reads `value` as an offset from now."""
    return is_time(value) and isinstance(_parse(value), timedelta)


def parse_duration(value: timedelta | str) -> timedelta:
    """Return the duration of `value`: a timedelta, `'1h30m'` or `'PT1H30M'`.

    Raises `InvalidTime`, also for more than `MAX_DURATION`, because a thread cannot wait that long,
    and the end may be out of the range of datetime.
    """
    duration = _duration(value) if isinstance(value, str) else value
    if not isinstance(duration, timedelta):
        remedy = "'90s'," if isinstance(value, str) else "a timedelta,"
        raise InvalidTime(f"{value!r} is not a duration. Give {remedy} '1h30m' or 'PT1H30M'.")
    if not -MAX_DURATION <= duration <= MAX_DURATION:
        raise InvalidTime(
            f"{value!r} is longer than 100 years. Give at most {MAX_DURATION.days} days."
        )
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
        raise InvalidTime(f"{value!r} is not a time. {_remedy_for(value.strip())}") from error


def _remedy_for(text: str) -> str:
    if text.startswith("-") and _parsed_duration(text.removeprefix("-")) is not None:
        return (
            "An offset in a text cannot be negative. For a time that has passed, give a datetime "
            "or a timedelta."
        )
    return _REMEDY


def _duration(text: str) -> timedelta | None:
    if len(text) > MAX_TEXT_LENGTH:
        raise InvalidTime(
            f"A time that begins with {text[:30]!r} has {len(text)} characters. Give at most "
            f"{MAX_TEXT_LENGTH}."
        )
    return _parsed_duration(text)


@lru_cache
def _parsed_duration(text: str) -> timedelta | None:
    parts = _short_parts(text.strip()) or _iso_parts(text.strip())
    if not parts:
        return None
    lengths = {unit: float(number.replace(",", ".")) for unit, number in parts.items()}
    try:
        return timedelta(**lengths)
    except OverflowError as error:
        raise InvalidTime(
            f"{text!r} is too long. Give at most {MAX_DURATION.days} days."
        ) from error


def _short_parts(text: str) -> dict[str, str]:
    """Return the number of each unit in a text such as '1h30m', or {} for another text.

    Units must be in the order of `_UNITS`, each at most once.
    """
    parts: dict[str, str] = {}
    allowed, position = "".join(_UNITS), 0
    while position < len(text):
        match = _SHORT_PART.match(text, position)
        if match is None or match[2] not in allowed:
            return {}
        parts[_UNITS[match[2]]] = match[1]
        allowed, position = allowed.partition(match[2])[2], match.end()
    return parts


def _iso_parts(text: str) -> dict[str, str]:
    match = _ISO.fullmatch(text)
    if match is None:
        return {}
    named = zip(_UNITS.values(), match.groups(), strict=True)
    return {unit: number for unit, number in named if number is not None}


def _out_of_range(value: Any) -> str:
    return (
        f"{value!r} is out of range. Give a time from {MIN_INSTANT.date()} to {MAX_INSTANT.date()}."
    )


def _instant(value: datetime, zone: tzinfo) -> datetime:
    if value.tzinfo is not None and value.utcoffset() is not None:
        return value.astimezone(UTC)
    wall = value.replace(tzinfo=zone)
    instant = wall.astimezone(UTC)
    exists = instant.astimezone(zone).replace(tzinfo=None) == value.replace(tzinfo=None)
    # In a gap, fold=0 uses the offset before the gap, which moves the time forward.
    return instant if exists else wall.replace(fold=0).astimezone(UTC)
