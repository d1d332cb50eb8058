"""Put jobs on the calendar."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import groupby
from typing import Any, NamedTuple, Required, Unpack, cast, get_type_hints

from asgiref.sync import sync_to_async
from django.db import models

from django_future import handlers, signatures
from django_future.content_objects import bind
from django_future.databases import jobs_database
from django_future.exceptions import (
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
from django_future.remedies import kind_of
from django_future.scheduling.builder import (
    SchedulingContext,
    check_copy,
    check_object,
    check_order,
    encoded_args,
    encoded_kwargs,
    fault_of,
    loaded_handler,
    own_options,
    set_times,
)
from django_future.scheduling.unique import unique_key
from django_future.serialization import Stored, encode, moved
from django_future.store import store_for
from django_future.store.unique import add_unique
from django_future.when import When


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
    expires: When | Unset | None = UNSET,
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
    the router says. If it is `unique` and there is one already, that is returned.

    Raises a `SchedulingError` that says what is wrong; nothing is written then.
    """
    moment = SchedulingContext.current()
    draft = _draft(moment, when, callable, content_object, expires, args, kwargs, **options)
    return _add(draft)


aschedule_job = sync_to_async(schedule_job)


def schedule_jobs(specs: Iterable[JobSpec]) -> list[ScheduledJob]:
    """Schedule many jobs in few statements; each spec holds the arguments of a `schedule_job`.

    Every spec is checked before the first is written. Those that are `unique` are written one by
    one, before the others.
    """
    if isinstance(specs, Mapping | str) or not isinstance(specs, Iterable):
        raise InvalidOption(f"specs is of type {kind_of(specs)}. Give a list of dictionaries.")
    drafts, moment = [], SchedulingContext.current()
    for index, spec in enumerate(specs):
        try:
            drafts.append(_draft(moment, **spec))
        except TypeError as error:
            raise InvalidOption(f"The spec at index {index} {fault_of(spec, error)}") from error
        except SchedulingError as error:
            error.add_note(f"This is the spec at index {index}.")
            raise
    return _add_all(drafts)


def unsaved_job(**spec: Unpack[JobSpec]) -> ScheduledJob:
    """Return the job that `schedule_job` would save."""
    return _draft(SchedulingContext.current(), **spec).job


def reschedule_job(
    job: ScheduledJob,
    when: When,
    callable: Target | None = None,  # noqa: A002
    content_object: models.Model | Unset | None = UNSET,
    expires: When | Unset | None = UNSET,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    **options: Unpack[Options],
) -> ScheduledJob:
    """Schedule a new job with the attributes of `job`, but for those that are given.

    An offset in `when` counts from now. The new job expires as long after its time as the old one.
    It is unique only if `unique` is given: the old one may be running, and has its key until it has
    ended.
    """
    _check_signature(job)
    given = _given(options)
    chosen = _options_of_copy(job, given)
    new = ScheduledJob(
        callable_name=job.callable_name,
        content_type_id=job.content_type_id,
        object_id=job.object_id,
        object_database=job.object_database,
        **chosen.columns,
    )
    alias = jobs_database(instance=job)
    new._state.db = jobs_database(options.get("using"), instance=job)
    is_moved = new._state.db != alias and job.object_id is not None
    handler = None
    is_other = callable is not None or content_object is not UNSET or is_moved
    if is_other:
        bound = job.content_object if content_object is UNSET else content_object
        check_object(bound)
        new.callable_name, handler = handlers.identify(callable or job.callable_name, bound)
        bind(new, bound)
    name = new.callable_name
    new.args = _carried(job, "args", name) if args is None else encoded_args(args, name)
    new.kwargs = _carried(job, "kwargs", name) if kwargs is None else encoded_kwargs(kwargs, name)
    new.options = (
        _kept({**own_options(job), **given}, name) if given else _carried(job, "options", name)
    )
    if is_other or args is not None or kwargs is not None:
        check_copy(new, handler or loaded_handler(job))
    set_times(new, SchedulingContext.current(), when, job.lifetime if expires is UNSET else expires)
    if chosen.unique:
        new.unique_key = _key_of_copy(new, chosen)
    return _add(_Draft(new, chosen.unique_replace))


class _Draft(NamedTuple):
    """A job that is not written yet, and whether the one that has its key is moved instead."""

    job: ScheduledJob
    is_replacing: bool


def _add(draft: _Draft) -> ScheduledJob:
    job, is_replacing = draft
    store = store_for(_alias_of(job))
    if job.unique_key is not None:
        return add_unique(store, job, is_replacing=is_replacing)
    store.add([job])
    return job


def _add_all(drafts: list[_Draft]) -> list[ScheduledJob]:
    jobs = [job for job, _ in drafts]
    keys = [(job.unique_key, index) for index, job in enumerate(jobs) if job.unique_key is not None]
    others = [job for job in jobs if job.unique_key is None]
    # In the order of their keys: if two transactions took the same in two orders, they would
    # deadlock.
    for _, index in sorted(keys):
        jobs[index] = _add(drafts[index])
    for alias, group in groupby(sorted(others, key=_alias_of), key=_alias_of):
        store_for(alias).add(list(group))
    return jobs


def _draft(
    moment: SchedulingContext,
    /,
    when: When,
    callable: Target,  # noqa: A002
    content_object: models.Model | None = None,
    expires: When | Unset | None = UNSET,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    **options: Unpack[Options],
) -> _Draft:
    callable_name, handler = _identified(when, callable, content_object)
    given, usual = _given(options), handlers.options_of(handler)
    chosen = replace(usual, **given) if given else usual
    kwargs = kwargs or {}
    alias = jobs_database(options.get("using"), instance=content_object)
    try:
        values = _blank() | {
            "callable_name": callable_name,
            "args": encoded_args(args, callable_name),
            "kwargs": encoded_kwargs(kwargs, callable_name),
            "options": _kept(given, callable_name),
            **chosen.columns,
        }
        leading = handlers.leading(callable_name, handler, is_bound=content_object is not None)
        check_arguments(callable_name, handler, leading, args, kwargs)
        job = ScheduledJob.from_values(values, alias, is_new=True)
        if content_object is not None:
            bind(job, content_object)
        if chosen.unique:
            job.unique_key = unique_key(job, chosen.unique, handler, content_object, args, kwargs)
    except SchedulingError as error:
        if usual.sensitive_arguments:
            raise error from None  # what caused it may quote an argument
        raise
    try:
        set_times(job, moment, when, chosen.expires if expires is UNSET else expires)
    except InvalidTime:
        check_order(when, **dict(zip(["the first argument"], args, strict=False)))
        raise
    return _Draft(job, chosen.unique_replace)


def _identified(when: When, target: Target, bound: models.Model | None) -> tuple[str, Handler]:
    try:
        check_object(bound)
        return handlers.identify(target, bound)
    except SchedulingError:
        check_order(when, callable=target, content_object=bound)
        raise


@cache
def _blank() -> dict[str, Any]:
    return {field.attname: field.get_default() for field in ScheduledJob._meta.concrete_fields}


_KNOWN = get_type_hints(Options).keys()


def _given(options: Options) -> AnyOptions:
    if not options:
        return {}
    if unknown := options.keys() - _KNOWN:
        remedy = f" An argument of the callable goes into kwargs={{{min(unknown)!r}: ...}}."
        raise InvalidOption(f"For a job {unknown_option_message(unknown, Options, remedy)}")
    given: Any = {name: value for name, value in options.items() if name != "using"}
    return cast("AnyOptions", given)


def _check_signature(job: ScheduledJob) -> None:
    # A copy is signed, so it must not be one of what SQL wrote.
    if not job.is_signed:
        signatures.check({**signed_columns(job), "signature": job.signature})


def _carried(job: ScheduledJob, name: str, callable_name: str) -> Any:
    """Return the stored value `name` of `job`, for a copy that calls `callable_name`."""
    value = raw_value(job, name)
    if type(value) is not Stored or callable_name == job.callable_name:
        return value
    return moved(value, (name, job.callable_name), (name, callable_name))


def _options_of_copy(job: ScheduledJob, given: AnyOptions) -> JobOptions:
    old: Any = {
        "queue_name": job.queue_name,
        "priority": job.priority,
        "max_attempts": job.max_attempts,
        "rescue": job.is_rescuable,
    }
    return JobOptions(**(old | given))


def _key_of_copy(new: ScheduledJob, options: JobOptions) -> str:
    content_object = new.content_object
    _, handler = handlers.identify(new.callable_name, content_object)
    return unique_key(new, options.unique, handler, content_object, new.args, new.kwargs)


def _kept(given: AnyOptions, callable_name: str) -> Stored | None:
    """Return what the job keeps, to be read when it runs."""
    if not given:
        return None
    kept = {name: value for name, value in given.items() if name in RUN_OPTIONS}
    return encode(kept, ("options", callable_name)) if kept else None


def _alias_of(job: ScheduledJob) -> str:
    return job._state.db or jobs_database(instance=job)
