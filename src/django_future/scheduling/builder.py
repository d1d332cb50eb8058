"""Builds an unsaved job from a call of `schedule_job`, or from another job."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from functools import cache
from types import NoneType
from typing import Any, NamedTuple, Required, Unpack, cast, get_type_hints

from django.db import models

from django_future import clock, handlers, signatures
from django_future.content_objects import bind
from django_future.databases import jobs_database
from django_future.exceptions import (
    InvalidCallable,
    InvalidOption,
    InvalidTime,
    SchedulingError,
)
from django_future.handlers import Handler, Target
from django_future.models import ScheduledJob
from django_future.models.fields import raw_value, signed_columns
from django_future.options import (
    RUN_OPTIONS,
    UNSET,
    AnyOptions,
    JobOptions,
    Unset,
    unknown_option_message,
)
from django_future.parameters import check_arguments
from django_future.scheduling.unique import unique_key
from django_future.scheduling.validation import (
    check_object,
    check_order,
    encode_args,
    encode_kwargs,
    missing_time,
)
from django_future.serialization import TAG, Stored, encode, plain_of, sign_pickles
from django_future.tasks.handler import TaskHandler
from django_future.when import When, is_time, parse_when


class Options(AnyOptions, total=False):
    """The options of one job: those of `@job`, and the database `using`."""

    using: str | None


class CallOptions(Options, total=False):
    """The options of one job, its content object, and when it expires."""

    content_object: models.Model | None
    expires: When | None


class JobSpec(CallOptions, total=False):
    """The arguments of one `schedule_job` call."""

    when: Required[When]
    callable: Required[Target]
    args: Sequence[Any]
    kwargs: Mapping[str, Any] | None


class SchedulingContext(NamedTuple):
    """The current time, and the time zone of naive datetimes."""

    now: datetime
    zone: tzinfo

    @classmethod
    def current(cls) -> "SchedulingContext":
        """Return the context of a call made now."""
        return cls(clock.now(), clock.current_zone())


class Draft(NamedTuple):
    """An unsaved job.

    With `is_replacing`, a scheduled job with the same unique key is moved to the new time instead.
    """

    job: ScheduledJob
    is_replacing: bool


def build(
    context: SchedulingContext,
    /,
    when: When,
    callable: Target,  # noqa: A002
    content_object: models.Model | None = None,
    expires: When | Unset | None = UNSET,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    **options: Unpack[Options],
) -> Draft:
    """Build the unsaved job of one call of `schedule_job`.

    Raises a `SchedulingError`.
    """
    callable_name, handler = _identify(when, callable, content_object)
    own_options, handler_options = _call_options(options), handlers.options_of(handler)
    job_options = replace(handler_options, **own_options) if own_options else handler_options
    kwargs = kwargs or {}
    using = options.get("using")
    if isinstance(handler, TaskHandler):
        args, kwargs = handler.normalize_arguments(args, kwargs)
        using = using or handler.database
    alias = jobs_database(using, instance=content_object)
    try:
        values = default_values() | {
            "callable_name": callable_name,
            "args": encode_args(args, callable_name),
            "kwargs": encode_kwargs(kwargs, callable_name),
            "options": stored_options(own_options, callable_name),
            "task_backend": _backend_of(handler),
            **job_options.columns,
        }
        is_bound = content_object is not None
        _check_arguments(callable_name, handler, args, kwargs, is_bound=is_bound)
        job = ScheduledJob.from_values(values, alias, is_new=True)
        if content_object is not None:
            bind(job, content_object)
        if job_options.unique:
            job.unique_key = unique_key(
                job, job_options.unique, handler, content_object, args, kwargs
            )
    except SchedulingError as error:
        if not is_time(when):
            raise missing_time(when, args) from None
        if handler_options.sensitive_arguments:
            raise error from None  # the cause may quote an argument
        raise
    try:
        set_times(job, context, when, job_options.expires if expires is UNSET else expires)
    except InvalidTime:
        check_order(when, **dict(zip(["the first argument"], args, strict=False)))
        raise
    return Draft(job, job_options.unique_replace)


def build_copy(
    context: SchedulingContext,
    old: ScheduledJob,
    /,
    when: When,
    callable: Target | None = None,  # noqa: A002
    content_object: models.Model | Unset | None = UNSET,
    expires: When | Unset | None = UNSET,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    **options: Unpack[Options],
) -> Draft:
    """Build an unsaved copy of `old`, in which the passed arguments replace those of `old`.

    Raises a `SchedulingError`.
    """
    _check_signature(old)
    changed_options = _call_options(options)
    job_options = _options_of_copy(old, changed_options)
    new = _unchanged_copy(old, job_options)
    new._state.db = jobs_database(options.get("using"), instance=old)
    is_other_database = new._state.db != jobs_database(instance=old) and old.object_id is not None
    has_other_handler = callable is not None or content_object is not UNSET or is_other_database
    handler = None
    if has_other_handler:
        bound = old.content_object if content_object is UNSET else content_object
        check_object(bound)
        new.callable_name, handler = handlers.identify(callable or old.callable_name, bound)
        new.task_backend = _backend_of(handler)
        bind(new, bound)
    _set_stored_values(new, old, args, kwargs, changed_options)
    if has_other_handler or args is not None or kwargs is not None:
        check_stored_arguments(new, handler or _handler_if_known(old))
    set_times(new, context, when, old.lifetime if expires is UNSET else expires)
    if job_options.unique:
        new.unique_key = _key_of_copy(new, job_options)
    return Draft(new, job_options.unique_replace)


def _check_arguments(
    name: str,
    handler: Handler,
    args: Collection[Any],
    kwargs: Collection[str],
    *,
    is_bound: bool,
) -> None:
    if isinstance(handler, TaskHandler):
        return  # the Tasks API reports wrong arguments when the task runs
    leading = handlers.leading_arguments(name, handler, is_bound=is_bound)
    check_arguments(name, handler, leading, args, kwargs)


def _set_stored_values(
    new: ScheduledJob,
    old: ScheduledJob,
    args: Sequence[Any] | None,
    kwargs: Mapping[str, Any] | None,
    changed_options: AnyOptions,
) -> None:
    """Set the arguments and the options of a copy, with the stored text of those that stay."""
    name = new.callable_name
    stored: Any = new  # texts, which the attributes decode
    stored.args = _stored_for_copy(old, "args", name) if args is None else encode_args(args, name)
    stored.kwargs = (
        _stored_for_copy(old, "kwargs", name) if kwargs is None else encode_kwargs(kwargs, name)
    )
    new.options = (
        stored_options({**_own_options(old), **changed_options}, name)
        if changed_options
        else _stored_for_copy(old, "options", name)
    )


def _backend_of(handler: Handler) -> str | None:
    return handler.alias if isinstance(handler, TaskHandler) else None


def _unchanged_copy(old: ScheduledJob, options: JobOptions) -> ScheduledJob:
    return ScheduledJob(
        callable_name=old.callable_name,
        content_type_id=old.content_type_id,
        object_id=old.object_id,
        object_database=old.object_database,
        task_backend=old.task_backend,
        **options.columns,
    )


def _identify(when: When, target: Target, bound: models.Model | None) -> tuple[str, Handler]:
    try:
        check_object(bound)
        return handlers.identify(target, bound)
    except SchedulingError:
        check_order(when, callable=target, content_object=bound)
        raise


@cache
def default_values() -> dict[str, Any]:
    """Return the value of each column of a job that has only default values."""
    return {field.attname: field.get_default() for field in ScheduledJob._meta.concrete_fields}


_OPTION_NAMES = get_type_hints(Options).keys()


def _call_options(options: Options) -> AnyOptions:
    if not options:
        return {}
    if unknown := options.keys() - _OPTION_NAMES:
        remedy = f" Pass an argument of the callable as kwargs={{{min(unknown)!r}: ...}}."
        raise InvalidOption(f"For a job {unknown_option_message(unknown, CallOptions, remedy)}")
    own: Any = {name: value for name, value in options.items() if name != "using"}
    return cast("AnyOptions", own)


def stored_options(options: AnyOptions, callable_name: str) -> Stored | None:
    """Return the options that are read when the job runs, as its row stores them."""
    if not options:
        return None
    stored = {name: value for name, value in options.items() if name in RUN_OPTIONS}
    return encode(stored, ("options", callable_name)) if stored else None


def set_times(
    job: ScheduledJob, context: SchedulingContext, when: When, expires: When | None
) -> None:
    """Set when `job` is due and when it expires.

    If the scheduled time has passed, the job is due now, and an offset in `expires` counts from
    now.

    Raises `InvalidTime`.
    """
    scheduled_at = parse_when(when, now=context.now, zone=context.zone)
    job.scheduled_at = clock.to_row(scheduled_at)
    if expires is None:
        return
    due_at = max(scheduled_at, context.now)
    try:
        expires_at = parse_when(expires, now=due_at, zone=context.zone)
    except InvalidTime as error:
        raise InvalidTime(f"expires: {error}") from error
    if expires_at <= due_at:
        name = "the current time" if due_at > scheduled_at else "the scheduled time"
        raise InvalidTime(
            f"expires={expires!r} is {expires_at.astimezone(context.zone)}, which is not after "
            f"{name} {due_at.astimezone(context.zone)}. Give a later one, or None for never."
        )
    job.expires_at = clock.to_row(expires_at)


def _check_signature(job: ScheduledJob) -> None:
    # The copy gets a valid signature, so a row that SQL wrote must not be copied.
    if not job.is_signed:
        signatures.check({**signed_columns(job), "signature": job.signature})


def _stored_for_copy(job: ScheduledJob, name: str, callable_name: str) -> Any:
    """Return the stored value `name` of `job`, for a copy that calls `callable_name`."""
    value = raw_value(job, name)
    if type(value) is not Stored or callable_name == job.callable_name:
        return value
    return sign_pickles(value, (name, job.callable_name), (name, callable_name))


def _options_of_copy(job: ScheduledJob, changed: AnyOptions) -> JobOptions:
    old: Any = {
        "queue_name": job.queue_name,
        "priority": job.priority,
        "max_attempts": job.max_attempts,
        "rescue": job.is_rescuable,
    }
    return JobOptions(**(old | changed))


def _key_of_copy(new: ScheduledJob, options: JobOptions) -> str:
    content_object = new.content_object
    _, handler = handlers.identify(new.callable_name, content_object)
    return unique_key(new, options.unique, handler, content_object, new.args, new.kwargs)


def check_stored_arguments(new: ScheduledJob, handler: Handler | None) -> None:
    """Raise `InvalidArguments` if `handler`, unless None, does not accept the arguments of `new`.

    The arguments are not decoded. Only their number and their names matter.
    """
    args, kwargs = (
        plain_of(value) if isinstance(value, Stored) else value
        for value in (new.__dict__["args"], new.__dict__["kwargs"])
    )
    is_known = isinstance(args, list | tuple) and isinstance(kwargs, dict) and TAG not in kwargs
    if handler is not None and is_known:
        is_bound = new.object_id is not None
        _check_arguments(new.callable_name, handler, args, kwargs, is_bound=is_bound)


def _handler_if_known(job: ScheduledJob) -> Handler | None:
    """Return the handler of `job`, or None if this process cannot import it."""
    bound = None if "." in job.callable_name else job.content_object
    try:
        return handlers.resolve(job.callable_name, bound)
    except InvalidCallable:
        return None  # another process may be able to import it


def _own_options(job: ScheduledJob) -> AnyOptions:
    """Return the options stored with `job`, or raise `InvalidOption`."""
    options = job.options
    if not isinstance(options, dict | NoneType):
        raise InvalidOption(f"The options of job {job.pk} are {options!r}. Schedule a new job.")
    return cast("AnyOptions", options or {})
