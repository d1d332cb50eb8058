"""Schedules jobs: `schedule_job`, `schedule_jobs`, `reschedule_job`."""

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
from django_future.task_signals import send_all_finished
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

    An offset in `when` counts from now, and one in `expires` from the scheduled time.
    `expires=None` means never, and the default is one week. The callable gets the job if it is
    decorated with `job_as_parameter`, then the content object, then `args` and `kwargs`. The
    callable can also be a dotted path, or the name of a method of the content object. The options
    are those of `@job`, and override those of the handler.

    The job is one row, written in the open transaction of its database, which is `using` or the
    choice of the router. If it is `unique` and a job with its key exists, that job is returned.

    Raises a `SchedulingError`. In that case nothing is written.
    """
    context = SchedulingContext.current()
    draft = build(context, when, callable, content_object, expires, args, kwargs, **options)
    return add_draft(draft)


aschedule_job = sync_to_async(schedule_job)


def schedule_jobs(specs: Iterable[JobSpec]) -> list[ScheduledJob]:
    """Schedule many jobs in few statements. Each spec contains the arguments of `schedule_job`.

    All specs are checked before the first job is written. Unique jobs are written one by one,
    before the others.
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
            error.add_note(f"The error is in the spec at index {index}.")
            raise
    return add_drafts(drafts)


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
    """Schedule a copy of `job`, in which the passed arguments replace those of `job`.

    An offset in `when` counts from now. By default, the copy has as much time until it expires as
    `job` had. It is unique only if `unique` is passed, because `job` has its key until it ends.

    Raises a `SchedulingError`.
    """
    context = SchedulingContext.current()
    draft = build_copy(
        context, job, when, callable, content_object, expires, args, kwargs, **options
    )
    return add_draft(draft)


def add_draft(draft: Draft) -> ScheduledJob:
    """Insert a new job and return it, or the job that has its unique key."""
    job, is_replacing = draft
    store = store_for(_alias_of(job))
    if job.unique_key is not None:
        return add_unique(store, job, is_replacing=is_replacing, on_expired=send_all_finished)
    store.add([job])
    return job


def add_drafts(drafts: list[Draft]) -> list[ScheduledJob]:
    """Insert many new jobs; in place of a unique one, return the job that has its key."""
    jobs = [job for job, _ in drafts]
    keys = [(job.unique_key, index) for index, job in enumerate(jobs) if job.unique_key is not None]
    others = [job for job in jobs if job.unique_key is None]
    # In the order of the keys, because two transactions that insert the same keys in different
    # orders deadlock.
    for _, index in sorted(keys):
        jobs[index] = add_draft(drafts[index])
    for alias, group in groupby(sorted(others, key=_alias_of), key=_alias_of):
        store_for(alias).add(list(group))
    return jobs


def _alias_of(job: ScheduledJob) -> str:
    return job._state.db or jobs_database(instance=job)
