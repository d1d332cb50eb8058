"""The host's clock, and the form in which instants are kept in rows."""

from datetime import UTC, datetime, tzinfo

from django.conf import settings
from django.utils import timezone


def now() -> datetime:
    """Return the present instant by this host's clock."""
    return datetime.now(UTC)


def current_zone() -> tzinfo:
    """Return the zone in which a naive datetime is meant."""
    return timezone.get_current_timezone() if settings.USE_TZ else timezone.get_default_timezone()


def to_row(instant: datetime) -> datetime:
    """Return an aware `instant` as a model field holds it: naive local time without USE_TZ."""
    if settings.USE_TZ:
        return instant
    return timezone.make_naive(instant, timezone.get_default_timezone())


def from_row(value: datetime) -> datetime:
    """Return what a model field holds as an aware instant in UTC."""
    if timezone.is_naive(value):
        value = value.replace(tzinfo=timezone.get_default_timezone())
    return value.astimezone(UTC)
