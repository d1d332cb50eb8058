"""Assertions about the jobs that wait, and about recurring jobs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta, tzinfo
from typing import Any, TypedDict, Unpack

from django.db.models import Model

from django_future import clock, handlers
from django_future.databases import jobs_database
from django_future.exceptions import InvalidTime
from django_future.handlers import Target
from django_future.models import RecurringJob, ScheduledJob
from django_future.parameters import check_arguments
from django_future.plural import agreeing, counted
from django_future.recurrence.cron import parse_cron
from django_future.recurrence.timing import describe_duration, zone_of
from django_future.scheduling.declared import foreseen
from django_future.scheduling.validation import check_object
from django_future.when import When, parse_duration, parse_when

DEFAULT_TOLERANCE = "1s"
MAX_NAMED = 10  # jobs in an error message


class Description(TypedDict, total=False):
    """The properties by which an assertion can describe a job."""

    args: Sequence[Any] | None
    kwargs: Mapping[str, Any] | None
    at: When | None
    within: timedelta | str
    using: str | None


def assert_scheduled(
    handler: Target,
    content_object: Model | None = None,
    *,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    at: When | None = None,
    within: timedelta | str = DEFAULT_TOLERANCE,
    count: int | None = None,
    using: str | None = None,
) -> list[ScheduledJob]:
    """Return the waiting jobs that match the description: at least one, or exactly `count`.

    Arguments that you omit match anything. `at` matches if the scheduled time differs from it by
    at most `within`; an offset counts from now.

    Raises `AssertionError` with the waiting jobs and their differences, and a `SchedulingError` if
    no such job can be scheduled.
    """
    wanted = _Description(handler, args, kwargs, content_object, at, parse_duration(within))
    waiting = _waiting(using)
    found = [job for job in waiting if not any(wanted.differences(job))]
    if len(found) != count if count is not None else not found:
        expected = "at least one should" if count is None else f"{count} should"
        raise AssertionError(
            f"{_jobs_that_wait(len(found))} as described, and {expected}: "
            f"{wanted}.{wanted.compare(waiting)}"
        )
    return found


def assert_not_scheduled(
    handler: Target, content_object: Model | None = None, **description: Unpack[Description]
) -> None:
    """Check that no waiting job matches the description; see `assert_scheduled`."""
    assert_scheduled(handler, content_object, **description, count=0)


def assert_none_left(*, using: str | None = None) -> None:
    """Check that no job waits."""
    if waiting := _waiting(using):
        jobs = _jobs_that_wait(len(waiting), "still ")
        raise AssertionError(f"{jobs}:{_listed(map(str, waiting))}")


def assert_recurs(
    handler: Target,
    *,
    cron: str | None = None,
    every: timedelta | str | None = None,
    timezone: str | tzinfo | None = None,
    name: str | None = None,
    using: str | None = None,
) -> RecurringJob:
    """Return the recurring job that calls `handler` as described: a row, or one that code declares.

    What you omit matches anything. Rhythms with the same meaning match, such as "90m" and "1h30m".
    Declarations need not be synchronised. The recurring job that is returned is then not saved.

    Raises `AssertionError` with the recurring jobs of the handler and their differences,
    `InvalidCallable` if there is no such handler, and `InvalidTime`.
    """
    wanted = _Rhythm(handler, cron, every, timezone, name)
    own, faults = foreseen(wanted.callable_name, using)
    found = next((row for row in own if not any(wanted.differences(row))), None)
    if found is None:
        lines = [f"{row.name!r}: {', '.join(wanted.differences(row))}" for row in own]
        listed = _listed([*lines, *faults], "no recurring job calls it")
        raise AssertionError(f"No recurring job is as described: {wanted}.{listed}")
    return found


def _jobs_that_wait(number: int, adverb: str = "") -> str:
    return f"{counted(number, 'job')} {adverb}{agreeing(number, 'waits', 'wait')}"


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
        check_object(content_object)
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
        now, zone = clock.now(), clock.current_zone()
        self._at = None if at is None else parse_when(at, now=now, zone=zone)
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


class _Rhythm:
    """The handler and the rhythm that a test expects of a recurring job."""

    def __init__(
        self,
        handler: Target,
        cron: str | None,
        every: timedelta | str | None,
        timezone: str | tzinfo | None,
        name: str | None,
    ) -> None:
        self.callable_name, _ = handlers.identify(handler, None)
        if cron is not None and every is not None:
            raise InvalidTime(
                f"cron is {cron!r} and every is {every!r}, but a recurring job has only one of "
                "them. Give one."
            )
        self._cron = None if cron is None else parse_cron(cron).text
        self._every = None if every is None else parse_duration(every)
        # A name, a ZoneInfo, or datetime.UTC.
        zone = getattr(timezone, "key", None) or str(timezone)
        self._zone = None if timezone is None else zone_of(zone).key
        self._name = name

    def __str__(self) -> str:
        rhythm = _rhythm(self._cron or "", self._every)
        zone = [f"timezone {self._zone!r}"] if self._zone else []
        name = [f"name {self._name!r}"] if self._name is not None else []
        return ", ".join([self.callable_name, *rhythm, *zone, *name])

    def differences(self, row: RecurringJob) -> Iterator[str]:
        """Yield what differs in `row`."""
        if self._name not in {row.name, None}:
            yield "has another name"
        is_other_cron = self._cron and (not row.cron or _fields(self._cron) != _fields(row.cron))
        if is_other_cron or (self._every is not None and self._every != row.every):
            yield from _rhythm(row.cron, row.every)
        if self._zone not in {row.timezone, None}:
            yield f"timezone {row.timezone!r}"
        if row.error:
            yield f"does not run: {row.error}"


def _rhythm(cron: str, every: timedelta | None) -> list[str]:
    if cron:
        return [f"cron {cron!r}"]
    return [] if every is None else [f"every {describe_duration(every)!r}"]


def _fields(cron: str) -> list[object]:
    """Return what a cron expression matches, which is the same for '@daily' and '0 0 * * *'."""
    expression = parse_cron(cron)
    sim = expression._sim
    weekdays = {day % 7 if isinstance(day, int) else day for day in sim.weekdays}
    both = sim.day_and
    return [expression.is_fixed, sim.minutes, sim.hours, sim.days, sim.months, weekdays, both]


def _listed(lines: Iterable[str], otherwise: str = "no job waits at all") -> str:
    lines = list(lines)
    more = [f"and {len(lines) - MAX_NAMED} more"] if len(lines) > MAX_NAMED else []
    shown = [*lines[:MAX_NAMED], *more] or [otherwise]
    return "".join(f"\n  {line}" for line in shown)
