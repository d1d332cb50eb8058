"""Put jobs on the calendar, move them, take them off."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from functools import cache
from itertools import groupby
from typing import Any, NamedTuple, Required, Unpack, cast, get_type_hints

from asgiref.sync import sync_to_async
from django.contrib.contenttypes.models import ContentType
from django.db import models, router

from django_future import clock, handlers
from django_future.arguments import Stored, encode
from django_future.exceptions import (
    InvalidArguments,
    InvalidObject,
    InvalidOption,
    InvalidTime,
    NotCancellable,
    SchedulingError,
)
from django_future.fields import unread
from django_future.handlers import Target
from django_future.models import LONGEST_OBJECT_ID, ScheduledJob
from django_future.options import KEEP, WHEN_RUN, AnyOptions, JobOptions, Keep, no_option
from django_future.querysets import ScheduledJobQuerySet
from django_future.store import store_for
from django_future.when import When, parse_when


class Options(AnyOptions, total=False):
    """What `@job` may say, for one job; and the database `using`."""

    using: str | None


class CallOptions(Options, total=False):
    """What may be said of a job beside when it calls what, with what."""

    content_object: models.Model | None
    expires: When | None


class JobSpec(CallOptions, total=False):
    """The arguments of one `schedule_job` call."""

    when: Required[When]
    callable: Required[Target]
    args: Sequence[Any]
    kwargs: Mapping[str, Any] | None


def schedule_job(
    when: When,
    callable: Target,  # noqa: A002
    content_object: models.Model | None = None,
    expires: When | Keep | None = KEEP,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    **options: Unpack[Options],
) -> ScheduledJob:
    """Schedule a call of `callable` and return the saved job.

    An offset in `when` counts from now, one in `expires` from the scheduled time; `expires=None`
    means never, and a week is usual. The callable gets the job if it is decorated with
    `job_as_parameter`, then the content object, then `args` and `kwargs`. Instead of a callable,
    the name of a method of the content object will do. The options are those of `@job`, and go
    before what that says.

    The job is one row, and part of the transaction that is open on its database: `using`, or what
    the router says.

    Raises a `SchedulingError` that says what is wrong; nothing is written then.
    """
    moment = _Moment.present()
    job = _new_job(moment, when, callable, content_object, expires, args, kwargs, **options)
    store_for(job._state.db).add([job])
    return job


aschedule_job = sync_to_async(schedule_job)


def schedule_jobs(specs: Iterable[JobSpec]) -> list[ScheduledJob]:
    """Schedule many jobs in few statements; each spec holds the arguments of a `schedule_job`.

    Every spec is checked before the first is written.
    """
    jobs, moment = [], _Moment.present()
    for index, spec in enumerate(specs):
        try:
            jobs.append(_new_job(moment, **spec))
        except TypeError as error:
            raise InvalidOption(f"The spec at index {index} is not right: {error}.") from error
        except SchedulingError as error:
            error.add_note(f"This is the spec at index {index}.")
            raise
    for alias, group in groupby(sorted(jobs, key=_alias_of), key=_alias_of):
        store_for(alias).add(list(group))
    return jobs


def unsaved_job(**spec: Unpack[JobSpec]) -> ScheduledJob:
    """Return the job that `schedule_job` would save."""
    return _new_job(_Moment.present(), **spec)


def reschedule_job(
    job: ScheduledJob,
    when: When,
    callable: Target | None = None,  # noqa: A002
    content_object: models.Model | Keep | None = KEEP,
    expires: When | Keep | None = KEEP,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    **options: Unpack[Options],
) -> ScheduledJob:
    """Schedule a new job with the attributes of `job`, but for those that are given.

    An offset in `when` counts from now. The new job expires as long after its time as the old one.
    """
    given = _given(options)
    old: Any = {name: getattr(job, column) for name, column in _COLUMNS.items()}
    chosen = JobOptions(**(old | given))
    new = ScheduledJob(
        callable_name=job.callable_name,
        content_type_id=job.content_type_id,
        object_id=job.object_id,
        args=unread(job, "args") if args is None else _encoded_args(args),
        kwargs=unread(job, "kwargs") if kwargs is None else _encoded_kwargs(kwargs),
        options=_kept({**(job.options or {}), **given}),
        **_columns(chosen),
    )
    new._state.db = options.get("using") or job._state.db
    moved = new._state.db != job._state.db and job.object_id is not None
    if callable is not None or content_object is not KEEP or moved:
        bound = job.content_object if content_object is KEEP else content_object
        _check_object(bound)
        new.callable_name, _ = handlers.identify(callable or job.callable_name, bound)
        _bind(new, bound)
    lifetime = None if job.expires_at is None else job.expires_at - job.scheduled_at
    _set_times(new, _Moment.present(), when, lifetime if expires is KEEP else expires)
    store_for(new._state.db).add([new])
    return new


def cancel_job(job: ScheduledJob, *, running: bool = False, reason: str = "") -> None:
    """Cancel `job`, which then never runs; one that is `running` is interrupted, if that is asked.

    The `reason` is kept with it.

    Raises `NotCancellable` if it has ended, or is running and that is not asked.
    """
    alias = _alias_of(job)
    jobs = ScheduledJob.objects.using(alias).filter(pk=job.pk)
    cancelled = store_for(alias).cancel(jobs, running=running, reason=reason)
    job.refresh_from_db(using=alias, fields=["status", "finished_at", "error"])
    if not cancelled:
        remedy = "" if running else " A job that runs is cancelled by cancel(running=True)."
        raise NotCancellable(f"Job {job.pk} is {job.status}, not scheduled.{remedy}")


def cancel_jobs(queryset: ScheduledJobQuerySet, *, running: bool = False, reason: str = "") -> int:
    """Cancel the jobs of `queryset` that are scheduled, and return how many those were.

    With `running` also those that run, whose handlers are interrupted and their effects rolled
    back. Others stay as they are, and are not counted.
    """
    return store_for(queryset.db).cancel(queryset, running=running, reason=reason)


def _new_job(
    moment: "_Moment",
    /,
    when: When,
    callable: Target,  # noqa: A002
    content_object: models.Model | None = None,
    expires: When | Keep | None = KEEP,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    **options: Unpack[Options],
) -> ScheduledJob:
    _check_object(content_object)
    callable_name, handler = handlers.identify(callable, content_object)
    given = _given(options)
    usual = handlers.options_of(handler)
    chosen = replace(usual, **given) if given else usual
    values = _blank() | {
        "callable_name": callable_name,
        "args": _encoded_args(args),
        "kwargs": _encoded_kwargs(kwargs or {}),
        "options": _kept(given),
        **_columns(chosen),
    }
    alias = options.get("using") or router.db_for_write(ScheduledJob, instance=content_object)
    job = ScheduledJob.bare(values, alias, is_new=True)
    if content_object is not None:
        _bind(job, content_object)
    _set_times(job, moment, when, chosen.expires if expires is KEEP else expires)
    return job


class _Moment(NamedTuple):
    """When somebody schedules, and in which zone they mean a time without one."""

    now: datetime
    zone: tzinfo

    @classmethod
    def present(cls) -> "_Moment":
        """Return the present one."""
        return cls(clock.now(), clock.current_zone())


@cache
def _blank() -> dict[str, Any]:
    return {field.attname: field.get_default() for field in ScheduledJob._meta.concrete_fields}


_KNOWN = get_type_hints(Options).keys()
_COLUMNS = {
    "queue_name": "queue_name",
    "priority": "priority",
    "max_attempts": "max_attempts",
    "rescue": "is_rescuable",
}


def _given(options: Options) -> AnyOptions:
    if unknown := options.keys() - _KNOWN:
        raise InvalidOption(f"For a job {no_option(unknown, Options)}.")
    given: Any = {name: value for name, value in options.items() if name != "using"}
    return cast("AnyOptions", given)


def _columns(options: JobOptions) -> dict[str, Any]:
    return {column: getattr(options, name) for name, column in _COLUMNS.items()}


def _kept(given: AnyOptions) -> Stored | None:
    """Return what the job keeps, to be read when it runs."""
    kept = {name: value for name, value in given.items() if name in WHEN_RUN}
    return encode(kept) if kept else None


def _check_object(content_object: models.Model | None) -> None:
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


def _bind(job: ScheduledJob, content_object: models.Model | None) -> None:
    if content_object is None:
        job.content_type_id = job.object_id = None
        return
    content_types = ContentType.objects.db_manager(job._state.db)
    job.content_type = content_types.get_for_model(content_object, for_concrete_model=False)
    job.object_id = str(content_object.pk)


def _set_times(job: ScheduledJob, moment: _Moment, when: When, expires: When | None) -> None:
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


def _encoded_args(args: Sequence[Any]) -> str:
    if isinstance(args, str | bytes) or not isinstance(args, Sequence):
        raise InvalidArguments(f"args is {args!r}. Give a list or a tuple, such as [{args!r}].")
    return encode(list(args))


def _encoded_kwargs(kwargs: Mapping[str, Any]) -> str:
    if not isinstance(kwargs, Mapping) or not all(isinstance(key, str) for key in kwargs):
        raise InvalidArguments(f"kwargs is {kwargs!r}. Give a dictionary with names as keys.")
    return encode(dict(kwargs))


def _alias_of(job: ScheduledJob) -> str:
    return job._state.db or router.db_for_write(ScheduledJob, instance=job)
