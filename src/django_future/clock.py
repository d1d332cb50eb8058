"""The clock of this host, and the form of instants in rows."""

from datetime import UTC, datetime, tzinfo
from functools import cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils import timezone


def now() -> datetime:
    """Return the current time by the clock of this host, in UTC."""
    return datetime.now(UTC)


def current_zone() -> tzinfo:
    """Return the time zone of naive datetimes."""
    return timezone.get_current_timezone() if _uses_zones() else timezone.get_default_timezone()


def to_row(instant: datetime) -> datetime:
    """Return an aware `instant` as a model field stores it: naive local time without USE_TZ."""
    if _uses_zones():
        return instant
    return timezone.make_naive(instant, timezone.get_default_timezone())


def from_row(value: datetime) -> datetime:
    """Return the value of a model field as an aware instant in UTC."""
    if value.tzinfo is UTC:
        return value
    if timezone.is_naive(value):
        value = value.replace(tzinfo=timezone.get_default_timezone())
    return value.astimezone(UTC)


@cache
def _uses_zones() -> bool:
    # Cached, because reading a setting takes longer than converting an instant.
    return bool(settings.USE_TZ)


@receiver(setting_changed)
def _forget(*, setting: str, **_: Any) -> None:
    if setting == "USE_TZ":
        _uses_zones.cache_clear()
