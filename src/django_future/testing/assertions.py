"""What waits, and whether it is what a test says of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypedDict, Unpack

from django.db.models import Model

from django_future import clock, handlers
from django_future.databases import jobs_database
from django_future.handlers import Target
from django_future.models import ScheduledJob
from django_future.parameters import check_arguments
from django_future.when import When, parse_duration, parse_when

DEFAULT_TOLERANCE = "1s"
MAX_NAMED = 10  # jobs in a message


class Description(TypedDict, total=False):
    """What a test may say of a job beside its handler."""

    args: Sequence[Any] | None
    kwargs: Mapping[str, Any] | None
    content_object: Model | None
    at: When | None
    within: timedelta | str
    using: str | None


def assert_scheduled(
    handler: Target,
    *,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    content_object: Model | None = None,
    at: When | None = None,
    within: timedelta | str = DEFAULT_TOLERANCE,
    count: int | None = None,
    using: str | None = None,
) -> list[ScheduledJob]:
    """Return the jobs that wait and are as described: at least one, or with `count` so many.

    What is not given may be anything. A job is at the time `at` if it is scheduled for `within`
    before or after it; an offset counts from now.

    Raises `AssertionError`, which says of the jobs that wait what is different, and
    `InvalidArguments` if the handler takes no such arguments.
    """
    wanted = _Description(handler, args, kwargs, content_object, at, parse_duration(within))
    waiting = _waiting(using)
    found = [job for job in waiting if not any(wanted.misses(job))]
    if len(found) != count if count is not None else not found:
        should = "at least one should" if count is None else f"{count} should"
        raise AssertionError(
            f"{len(found)} jobs wait as described, and {should}: {wanted}.{wanted.compare(waiting)}"
        )
    return found


def assert_not_scheduled(handler: Target, **description: Unpack[Description]) -> None:
    """Make sure that no job waits which is as described; see `assert_scheduled`."""
    assert_scheduled(handler, **description, count=0)


def assert_none_left(*, using: str | None = None) -> None:
    """Make sure that no job waits at all."""
    if waiting := _waiting(using):
        raise AssertionError(f"{len(waiting)} jobs still wait:{_listed(map(str, waiting))}")


def _waiting(using: str | None) -> list[ScheduledJob]:
    alias = jobs_database(using)
    return list(ScheduledJob.objects.using(alias).scheduled().order_by("scheduled_at", "pk"))


class _Description:
    """What a test says of a job."""

    def __init__(
        self,
        handler: Target,
        args: Sequence[Any] | None,
        kwargs: Mapping[str, Any] | None,
        content_object: Model | None,
        at: When | None,
        within: timedelta,
    ) -> None:
        self._name, found = handlers.identify(handler, content_object)
        leading = handlers.leading(self._name, found, is_bound=content_object is not None)
        # What is not given may be anything, an object to which the job is bound included.
        is_partial = args is None or kwargs is None or content_object is None
        check_arguments(self._name, found, leading, args or (), kwargs or {}, is_partial=is_partial)
        self._wanted = {
            "args": None if args is None else list(args),
            "kwargs": None if kwargs is None else dict(kwargs),
            "content_object": content_object,
        }
        moment = clock.now()
        self._at = at and parse_when(at, now=moment, zone=clock.current_zone())
        self._within = within

    def __str__(self) -> str:
        wanted = [f"{name} {value!r}" for name, value in self._wanted.items() if value is not None]
        when = [f"at {self._at} (within {self._within})"] if self._at else []
        return ", ".join([self._name, *wanted, *when])

    def misses(self, job: ScheduledJob) -> Iterator[str]:
        """Say what is different about `job`."""
        if job.callable_name != self._name:
            yield f"calls {job.callable_name}"
        for name, value in self._wanted.items():
            if value is not None and getattr(job, name) != value:
                yield f"{name} {getattr(job, name)!r}"
        scheduled_at = clock.from_row(job.scheduled_at)
        if self._at and abs(scheduled_at - self._at) > self._within:
            yield f"at {scheduled_at}"

    def compare(self, waiting: Sequence[ScheduledJob]) -> str:
        """Say of the jobs that wait what is different, the nearest first."""
        nearest = sorted(waiting, key=lambda job: job.callable_name != self._name)
        return _listed(
            f"job {job.pk}: {', '.join(self.misses(job)) or 'as described'}" for job in nearest
        )


def _listed(lines: Iterable[str]) -> str:
    lines = list(lines)
    more = [f"and {len(lines) - MAX_NAMED} more"] if len(lines) > MAX_NAMED else []
    shown = [*lines[:MAX_NAMED], *more] or ["no job waits at all"]
    return "".join(f"\n  {line}" for line in shown)
