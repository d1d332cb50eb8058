"""The calls that schedule jobs."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Unpack

from asgiref.sync import sync_to_async
from django.db import models

from django_future.databases import jobs_database
from django_future.exceptions import InvalidOption, SchedulingError
from django_future.handlers import Target
from django_future.models import ScheduledJob
from django_future.options import UNSET, Unset
from django_future.remedies import kind_of
from django_future.scheduling.builder import (
    Draft,
    JobSpec,
    Options,
    SchedulingContext,
    build,
    build_copy,
)
from django_future.scheduling.validation import describe_fault
from django_future.store import store_for
from django_future.store.unique import add_unique
from django_future.when import When


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
    context = SchedulingContext.current()
    draft = build(context, when, callable, content_object, expires, args, kwargs, **options)
    return _add(draft)


aschedule_job = sync_to_async(schedule_job)


def schedule_jobs(specs: Iterable[JobSpec]) -> list[ScheduledJob]:
    """Schedule many jobs in few statements; each spec holds the arguments of a `schedule_job`.

    Every spec is checked before the first is written. Those that are `unique` are written one by
    one, before the others.
    """
    if isinstance(specs, Mapping | str) or not isinstance(specs, Iterable):
        raise InvalidOption(f"specs is of type {kind_of(specs)}. Give a list of dictionaries.")
    drafts, context = [], SchedulingContext.current()
    for index, spec in enumerate(specs):
        try:
            drafts.append(build(context, **spec))
        except TypeError as error:
            raise InvalidOption(
                f"The spec at index {index} {describe_fault(spec, error)}"
            ) from error
        except SchedulingError as error:
            error.add_note(f"This is the spec at index {index}.")
            raise
    return _add_all(drafts)


def unsaved_job(**spec: Unpack[JobSpec]) -> ScheduledJob:
    """Return the job that `schedule_job` would save."""
    return build(SchedulingContext.current(), **spec).job


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
    context = SchedulingContext.current()
    draft = build_copy(
        context, job, when, callable, content_object, expires, args, kwargs, **options
    )
    return _add(draft)


def _add(draft: Draft) -> ScheduledJob:
    job, is_replacing = draft
    store = store_for(_alias_of(job))
    if job.unique_key is not None:
        return add_unique(store, job, is_replacing=is_replacing)
    store.add([job])
    return job


def _add_all(drafts: list[Draft]) -> list[ScheduledJob]:
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


def _alias_of(job: ScheduledJob) -> str:
    return job._state.db or jobs_database(instance=job)
