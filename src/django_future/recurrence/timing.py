"""When a recurring job runs: a cron expression or an interval, between two bounds."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from itertools import takewhile
from zoneinfo import ZoneInfo

from django.utils.translation import gettext

from django_future.exceptions import InvalidTime
from django_future.recurrence.cron import parse_cron
from django_future.when import MAX_INSTANT

MIN_INTERVAL = timedelta(seconds=1)
MAX_ZONE_LENGTH = 64  # characters
TICK = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class Timing:
    """The instants of a recurring job, in UTC.

    `cron` is in local time of `zone`. Without it, the instants are `anchor_at` and each `every`
    after it. `starts_at` and `ends_at` are inclusive.

    Raises `InvalidTime` if neither is given, or the interval is too short.
    """

    cron: str
    every: timedelta | None
    zone: str
    anchor_at: datetime
    starts_at: datetime | None = None
    ends_at: datetime | None = None

    def __post_init__(self) -> None:
        # SQL may have written the row. An interval of 0 would have an infinite number of instants.
        if not self.cron and (self.every is None or self.every < MIN_INTERVAL):
            raise InvalidTime(
                f"every is {self.every!r}, and cron is empty. Give at least '1s', or a cron "
                "expression."
            )

    def after(self, instant: datetime) -> Iterator[datetime]:
        """Yield the instants after `instant`, the first one first."""
        if self.starts_at is not None:
            instant = max(instant, self.starts_at - TICK)
        instants = self._cron_after(instant) if self.cron else self._interval_after(instant)
        ends_at = self.ends_at or MAX_INSTANT
        return takewhile(lambda found: found <= ends_at, instants)

    def since(self, instant: datetime) -> Iterator[datetime]:
        """Yield `instant`, if it is one of the instants, and those after it."""
        return self.after(instant - TICK)

    def before(self, instant: datetime) -> Iterator[datetime]:
        """Yield the instants before `instant`, the last one first."""
        if self.ends_at is not None:
            instant = min(instant, self.ends_at + TICK)
        instants = self._cron_before(instant) if self.cron else self._interval_before(instant)
        if self.starts_at is None:
            return instants
        starts_at = self.starts_at
        return takewhile(lambda found: found >= starts_at, instants)

    def count(self, first: datetime, last: datetime) -> int:
        """Return the number of instants from `first` to `last`, inclusive, without a walk."""
        first = max(first, self.starts_at) if self.starts_at else first
        last = min(last, self.ends_at) if self.ends_at else last
        if last < first:
            return 0
        if self.cron:
            return parse_cron(self.cron).count(first, last, zone_of(self.zone))
        return self._number_until(last) - self._number_until(first - TICK)

    def describe(self) -> str:
        """Return the rhythm in words, such as "At 09:00, Monday to Friday, Europe/Berlin"."""
        if self.cron:
            return f"{parse_cron(self.cron).words}, {self.zone}"
        return gettext("Every %(length)s") % {
            "length": describe_duration(self.every or timedelta())
        }

    def _cron_after(self, instant: datetime) -> Iterator[datetime]:
        return parse_cron(self.cron).after(instant, zone_of(self.zone))

    def _cron_before(self, instant: datetime) -> Iterator[datetime]:
        return parse_cron(self.cron).before(instant, zone_of(self.zone))

    def _number_until(self, instant: datetime) -> int:
        """Return how many instants of an interval are not after `instant`."""
        assert self.every is not None  # noqa: S101 - for type checkers: cron or every is given
        return max((instant - self.anchor_at) // self.every + 1, 0)

    def _interval_after(self, instant: datetime) -> Iterator[datetime]:
        number = self._number_until(instant)
        while (found := self._interval_at(number)) is not None:
            yield found
            number += 1

    def _interval_before(self, instant: datetime) -> Iterator[datetime]:
        for number in range(self._number_until(instant - TICK) - 1, -1, -1):
            found = self._interval_at(number)
            if found is not None:
                yield found

    def _interval_at(self, number: int) -> datetime | None:
        assert self.every is not None  # noqa: S101
        try:
            return self.anchor_at + number * self.every
        except OverflowError:
            return None


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """Return the time zone with this name of the IANA database.

    Raises `InvalidTime`.
    """
    message = (
        f"timezone is {name!r}, which is not a known time zone. Give a name of the IANA database, "
        "such as 'Europe/Berlin'."
    )
    if not name or len(name) > MAX_ZONE_LENGTH:
        raise InvalidTime(message)
    try:
        return ZoneInfo(name)
    except (ValueError, LookupError, OSError) as error:
        # OSError for the name of a directory, such as 'America'.
        raise InvalidTime(message) from error


def jitter_of(name: str, instant: datetime, limit: timedelta | None) -> timedelta:
    """Return how much later than `instant` a run is scheduled, from 0 to less than `limit`.

    It is always the same for a name and an instant, so that a preview can show it.
    """
    if not limit:
        return timedelta()
    digest = sha256(f"{name} {instant.astimezone(UTC).isoformat()}".encode()).digest()
    return limit * (int.from_bytes(digest[:4], "big") / 2**32)


def describe_duration(duration: timedelta) -> str:
    """Return a duration in the form that `parse_duration` reads, such as '1d12h' or '90s'."""
    seconds, text = duration // timedelta(seconds=1), ""
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        number, seconds = divmod(seconds, length)
        text += f"{number}{unit}" if number else ""
    fraction = duration.microseconds
    if fraction:
        return f"{text}{seconds}.{fraction:06}".rstrip("0") + "s"
    return f"{text}{seconds}s" if seconds or not text else text
