"""What is asked of a job, checked, and as its row will hold it; nothing is written here."""

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from types import NoneType
from typing import Any, NamedTuple, cast

from django.db import models

from django_future import clock, handlers, remedies
from django_future.exceptions import (
    InvalidArguments,
    InvalidCallable,
    InvalidObject,
    InvalidOption,
    InvalidTime,
)
from django_future.handlers import Handler
from django_future.models import MAX_OBJECT_ID_LENGTH, ScheduledJob
from django_future.options import AnyOptions
from django_future.parameters import check_arguments
from django_future.serialization import TAG, Stored, encode, plain_of
from django_future.text import MAX_ARGUMENTS_BYTES
from django_future.when import When, is_time, parse_when


class SchedulingContext(NamedTuple):
    """When somebody schedules, and in which zone they mean a time without one."""

    now: datetime
    zone: tzinfo

    @classmethod
    def current(cls) -> "SchedulingContext":
        """Return the present one."""
        return cls(clock.now(), clock.current_zone())


def check_object(content_object: models.Model | None) -> None:
    """Raise `InvalidObject` unless a job can be bound to `content_object`."""
    if content_object is None:
        return
    if not isinstance(content_object, models.Model):
        raise InvalidObject(
            f"content_object is of type {remedies.kind_of(content_object)}, not a model instance. "
            f"{remedies.for_object(content_object)}"
        )
    if content_object._state.adding or content_object.pk is None:
        raise InvalidObject(f"{content_object!r} is not saved yet. Save it first.")
    if isinstance(content_object.pk, tuple) or len(str(content_object.pk)) > MAX_OBJECT_ID_LENGTH:
        raise InvalidObject(
            f"The primary key {content_object.pk!r} is composite or has more than "
            f"{MAX_OBJECT_ID_LENGTH} characters. Pass the object in args."
        )


def check_order(when: object, **others: object) -> None:
    """Raise `InvalidTime` if a time is among the other arguments, and `when` is none."""
    times = [name for name, value in others.items() if is_time(value)]
    if times and not is_time(when):
        raise InvalidTime(
            f"{times[0]} is a time, and when is of type {remedies.kind_of(when)} and is none: the "
            "arguments seem to be swapped. The time comes first, then what to call."
        )


def set_times(
    job: ScheduledJob, moment: SchedulingContext, when: When, expires: When | None
) -> None:
    """Set when `job` is due, and past what time it does not run.

    A job whose time has passed is due at once, so its expiry counts from the present.

    Raises `InvalidTime`.
    """
    scheduled_at = parse_when(when, now=moment.now, zone=moment.zone)
    job.scheduled_at = clock.to_row(scheduled_at)
    if expires is None:
        return
    due_at = max(scheduled_at, moment.now)
    expires_at = parse_when(expires, now=due_at, zone=moment.zone)
    if expires_at <= due_at:
        name = "the present" if due_at > scheduled_at else "the scheduled time"
        raise InvalidTime(
            f"expires={expires!r} is {expires_at}, which is not after {name} {due_at}. Give a "
            "later one, or None for never."
        )
    job.expires_at = clock.to_row(expires_at)


def encoded_args(args: Sequence[Any], callable_name: str) -> str:
    """Return what a job of `callable_name` stores of `args`, or raise `InvalidArguments`."""
    if isinstance(args, str | bytes) or not isinstance(args, Sequence):
        raise InvalidArguments(
            f"args is of type {remedies.kind_of(args)}. Give a list or a tuple, such as [value]."
        )
    return _bounded("args", encode(list(args), ("args", callable_name)))


def encoded_kwargs(kwargs: Mapping[str, Any], callable_name: str) -> str:
    """Return what a job of `callable_name` stores of `kwargs`, or raise `InvalidArguments`."""
    if not isinstance(kwargs, Mapping) or not all(isinstance(key, str) for key in kwargs):
        raise InvalidArguments(
            f"kwargs is of type {remedies.kind_of(kwargs)}, or not all of its keys are texts. Give "
            "a dictionary with the names of parameters as keys."
        )
    return _bounded("kwargs", encode(dict(kwargs), ("kwargs", callable_name)))


def check_copy(new: ScheduledJob, handler: Handler | None) -> None:
    """Raise `InvalidArguments` unless `handler`, if it is known, accepts the arguments of `new`.

    None of them is decoded for that: their number and their names decide.
    """
    args, kwargs = (
        plain_of(value) if isinstance(value, Stored) else value
        for value in (new.__dict__["args"], new.__dict__["kwargs"])
    )
    is_known = isinstance(args, list | tuple) and isinstance(kwargs, dict) and TAG not in kwargs
    if handler is not None and is_known:
        leading = handlers.leading(new.callable_name, handler, is_bound=new.object_id is not None)
        check_arguments(new.callable_name, handler, leading, args, kwargs)


def loaded_handler(job: ScheduledJob) -> Handler | None:
    """Return the handler of `job`; None if it is not known here."""
    bound = None if "." in job.callable_name else job.content_object
    try:
        return handlers.resolve(job.callable_name, bound)
    except InvalidCallable:
        return None  # which a process with other code may know


def fault_of(spec: Any, error: TypeError) -> str:
    """Return what is wrong with a spec that raised `error` as it was drafted, and what to give."""
    if not isinstance(spec, Mapping):
        kind = remedies.kind_of(spec)
        return f"is of type {kind}. Give a dictionary, or what handler.spec() returns."
    if missing := [name for name in ("when", "callable") if name not in spec]:
        return f"has no {' and no '.join(map(repr, missing))}. Give it."
    return f"is not right: {error}."


def own_options(job: ScheduledJob) -> AnyOptions:
    """Return what was said of `job` alone, or raise `InvalidOption`."""
    options = job.options
    if not isinstance(options, dict | NoneType):
        raise InvalidOption(f"The options of job {job.pk} are {options!r}. Schedule a new job.")
    return cast("AnyOptions", options or {})


def _bounded(name: str, text: str) -> str:
    if len(text) > MAX_ARGUMENTS_BYTES:
        raise InvalidArguments(
            f"{name} take {len(text):,} bytes. Give at most {MAX_ARGUMENTS_BYTES:,}: save what is "
            "large, and pass its primary key or its path."
        )
    return text
