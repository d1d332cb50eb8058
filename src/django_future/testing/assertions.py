"""Assertions about the jobs that wait."""

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
MAX_NAMED = 10  # jobs in an error message


class Description(TypedDict, total=False):
    """The properties by which an assertion can describe a job."""

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
    """Return the waiting jobs that match the description: at least one, or exactly `count`.

    Arguments that you omit match anything. `at` matches if the scheduled time differs from it by
    at most `within`; an offset counts from now.

    Raises `AssertionError` with the waiting jobs and their differences, and `InvalidArguments` if
    the handler does not accept the arguments.
    """
    wanted = _Description(handler, args, kwargs, content_object, at, parse_duration(within))
    waiting = _waiting(using)
    found = [job for job in waiting if not any(wanted.differences(job))]
    if len(found) != count if count is not None else not found:
        expected = "at least one should" if count is None else f"{count} should"
        raise AssertionError(
            f"{len(found)} jobs wait as described, and {expected}: "
            f"{wanted}.{wanted.compare(waiting)}"
        )
    return found


def assert_not_scheduled(handler: Target, **description: Unpack[Description]) -> None:
    """Check that no waiting job matches the description; see `assert_scheduled`."""
    assert_scheduled(handler, **description, count=0)


def assert_none_left(*, using: str | None = None) -> None:
    """Check that no job waits."""
    if waiting := _waiting(using):
        raise AssertionError(f"{len(waiting)} jobs still wait:{_listed(map(str, waiting))}")


def _waiting(using: str | None) -> list[ScheduledJob]:
    alias = jobs_database(using)
    return list(ScheduledJob.objects.using(alias).scheduled().order_by("scheduled_at", "pk"))


class _Description:
    """The handler and the properties that a test expects of a job."""

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
        is_bound = content_object is not None
        leading = handlers.leading_arguments(self._name, found, is_bound=is_bound)
        # An omitted argument matches anything. An omitted object matches a bound job too, whose
        # handler gets the object as its first argument.
        is_partial = args is None or kwargs is None or content_object is None
        check_arguments(self._name, found, leading, args or (), kwargs or {}, is_partial=is_partial)
        self._wanted = {
            "args": None if args is None else list(args),
            "kwargs": None if kwargs is None else dict(kwargs),
            "content_object": content_object,
        }
        self._at = at and parse_when(at, now=clock.now(), zone=clock.current_zone())
        self._within = within

    def __str__(self) -> str:
        wanted = [f"{name} {value!r}" for name, value in self._wanted.items() if value is not None]
        when = [f"at {self._at} (within {self._within})"] if self._at else []
        return ", ".join([self._name, *wanted, *when])

    def differences(self, job: ScheduledJob) -> Iterator[str]:
        """Yield what differs in `job`."""
        if job.callable_name != self._name:
            yield f"calls {job.callable_name}"
        for name, value in self._wanted.items():
            if value is not None and getattr(job, name) != value:
                yield f"{name} {getattr(job, name)!r}"
        scheduled_at = clock.from_row(job.scheduled_at)
        if self._at and abs(scheduled_at - self._at) > self._within:
            yield f"at {scheduled_at}"

    def compare(self, waiting: Sequence[ScheduledJob]) -> str:
        """Return what differs in each waiting job, those with the same handler first."""
        ordered = sorted(waiting, key=lambda job: job.callable_name != self._name)
        return _listed(
            f"job {job.pk}: {', '.join(self.differences(job)) or 'as described'}" for job in ordered
        )


def _listed(lines: Iterable[str]) -> str:
    lines = list(lines)
    more = [f"and {len(lines) - MAX_NAMED} more"] if len(lines) > MAX_NAMED else []
    shown = [*lines[:MAX_NAMED], *more] or ["no job waits at all"]
    return "".join(f"\n  {line}" for line in shown)
