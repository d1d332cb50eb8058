"""What is asked of a job, checked, and as its row will hold it; nothing is written here."""

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

from django.db import models

from django_future import clock
from django_future.arguments import encode
from django_future.exceptions import InvalidArguments, InvalidObject, InvalidTime
from django_future.models import LONGEST_OBJECT_ID, ScheduledJob
from django_future.when import When, parse_when


class Moment(NamedTuple):
    """When somebody schedules, and in which zone they mean a time without one."""

    now: datetime
    zone: tzinfo

    @classmethod
    def present(cls) -> "Moment":
        """Return the present one."""
        return cls(clock.now(), clock.current_zone())


def check_object(content_object: models.Model | None) -> None:
    """Raise `InvalidObject` unless a job can be bound to `content_object`."""
    if content_object is None:
        return
    if not isinstance(content_object, models.Model):
        raise InvalidObject(f"{content_object!r} is not a model instance. Pass it in args.")
    if content_object._state.adding or content_object.pk is None:
        raise InvalidObject(f"{content_object!r} is not saved yet. Save it first.")
    if isinstance(content_object.pk, tuple) or len(str(content_object.pk)) > LONGEST_OBJECT_ID:
        raise InvalidObject(
            f"The primary key {content_object.pk!r} is composite or has more than "
            f"{LONGEST_OBJECT_ID} characters. Pass the object in args."
        )


def set_times(job: ScheduledJob, moment: Moment, when: When, expires: When | None) -> None:
    """Set when `job` is due, and past what time it does not run.

    Raises `InvalidTime`.
    """
    scheduled_at = parse_when(when, now=moment.now, zone=moment.zone)
    job.scheduled_at = clock.to_row(scheduled_at)
    if expires is None:
        return
    expires_at = parse_when(expires, now=scheduled_at, zone=moment.zone)
    if expires_at <= scheduled_at:
        raise InvalidTime(
            f"expires={expires!r} is {expires_at}, which is not after the scheduled time "
            f"{scheduled_at}. Give a later one, or None for never."
        )
    job.expires_at = clock.to_row(expires_at)


def encoded_args(args: Sequence[Any]) -> str:
    """Return what is stored of `args`, or raise `InvalidArguments`."""
    if isinstance(args, str | bytes) or not isinstance(args, Sequence):
        raise InvalidArguments(f"args is {args!r}. Give a list or a tuple, such as [{args!r}].")
    return encode(list(args))


def encoded_kwargs(kwargs: Mapping[str, Any]) -> str:
    """Return what is stored of `kwargs`, or raise `InvalidArguments`."""
    if not isinstance(kwargs, Mapping) or not all(isinstance(key, str) for key in kwargs):
        raise InvalidArguments(f"kwargs is {kwargs!r}. Give a dictionary with names as keys.")
    return encode(dict(kwargs))
