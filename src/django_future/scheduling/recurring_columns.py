"""Builds an unsaved recurring job from a call of `schedule_recurring`, and checks it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from itertools import islice, pairwise
from typing import Any, Literal, TypedDict, Unpack

from django.db import models
from django.utils import timezone as django_timezone

from django_future import clock
from django_future.databases import jobs_database
from django_future.exceptions import InvalidOption, InvalidTime
from django_future.handlers import Target
from django_future.models import RecurringJob
from django_future.models.recurring import MAX_RECURRING_NAME_LENGTH, NEVER, Overlap
from django_future.options import UNSET, Unset, unknown_option_message
from django_future.recurrence.cron import parse_cron
from django_future.recurrence.missed import Missed
from django_future.recurrence.timing import MIN_INTERVAL, describe_duration, zone_of
from django_future.remedies import did_you_mean
from django_future.retries import Backoff
from django_future.scheduling.builder import SchedulingContext, build
from django_future.serialization import encode
from django_future.when import When, parse_duration, parse_when

CALL_COLUMNS = frozenset({
    "callable_name", "args", "kwargs", "options", "content_type_id", "object_id", "object_database",
    "task_backend",
})  # fmt: skip
# A change of these begins the rhythm again.
TIMING_COLUMNS = frozenset({"cron", "every", "timezone", "starts_at"})
COLUMNS = CALL_COLUMNS | TIMING_COLUMNS | {
    "ends_at", "max_runs", "jitter", "missed", "catch_up_window", "overlap", "queue_name",
    "priority", "expires", "is_declared",
}  # fmt: skip
INTERVALS_CHECKED = 100  # of a cron expression, for the jitter
MAX_RUNS_LIMIT = 2**31 - 1


class RunOptions(TypedDict, total=False):
    """The options of a handler that a recurring job can override for its runs."""

    max_attempts: int
    backoff: Backoff
    timeout: timedelta | str | None
    unique: bool | str
    unique_replace: bool
    atomic: bool
    rescue: bool
    on_delete: Literal["cancel", "fail"]


class DeclaredArguments(RunOptions, total=False):
    """The keyword arguments of `@recurring`, except `name`."""

    cron: str | None
    every: timedelta | str | None
    timezone: str | tzinfo | None
    args: Sequence[Any]
    kwargs: Mapping[str, Any] | None
    starts_at: When | None
    ends_at: When | None
    max_runs: int | None
    jitter: timedelta | str | None
    missed: Literal["once", "skip", "all"]
    catch_up_window: timedelta | str | None
    overlap: Literal["allow", "skip", "queue_one"]
    expires: timedelta | str | Unset | None
    queue_name: str | None
    priority: int | None
    using: str | None


class RecurringArguments(DeclaredArguments, total=False):
    """The keyword arguments of `schedule_recurring`."""

    content_object: models.Model | None


def build_recurring(
    name: str,
    callable: Target,  # noqa: A002
    *,
    is_declared: bool = False,
    **arguments: Unpack[RecurringArguments],
) -> RecurringJob:
    """Build the unsaved row of one call of `schedule_recurring`, without its next run.

    Raises a `SchedulingError`.
    """
    if unknown := arguments.keys() - RecurringArguments.__annotations__.keys():
        remedy = f" Pass an argument of the callable as kwargs={{{min(unknown)!r}: ...}}."
        raise InvalidOption(
            f"For a recurring job {unknown_option_message(unknown, RecurringArguments, remedy)}"
        )
    given: Any = arguments
    row = build_rhythm(_checked_name(name), **given)
    row.missed = _choice("missed", given.get("missed", Missed.ONCE), Missed)
    row.catch_up_window = _positive("catch_up_window", given.get("catch_up_window"))
    row.overlap = _choice("overlap", given.get("overlap", Overlap.ALLOW), Overlap)
    row.queue_name, row.priority = given.get("queue_name"), given.get("priority")
    row.expires = _expires(given.get("expires", UNSET))
    row.is_declared = is_declared
    row._state.db = jobs_database(given.get("using"), instance=given.get("content_object"))
    options = {name: value for name, value in given.items() if name in RunOptions.__annotations__}
    _set_call(
        row, callable, given.get("args", ()), given.get("kwargs"), given.get("content_object"),
        options,
    )  # fmt: skip
    return row


def build_rhythm(name: str, **given: Any) -> RecurringJob:
    """Build an unsaved row with only a name and the instants, which count from now.

    Raises a `SchedulingError`.
    """
    now, zone_name = clock.now(), _zone_name(given.get("timezone"))
    row = RecurringJob(
        name=name,
        cron=_checked_cron(given.get("cron"), given.get("every")),
        every=_checked_interval(given.get("every")),
        timezone=zone_name,
        starts_at=_instant("starts_at", given.get("starts_at"), now, zone_name),
        ends_at=_instant("ends_at", given.get("ends_at"), now, zone_name),
        max_runs=_checked_max_runs(given.get("max_runs")),
    )
    _set_anchor(row, now)
    row.jitter = _checked_jitter(given.get("jitter"), row)
    return row


def _set_call(
    row: RecurringJob,
    target: Target,
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None,
    content_object: models.Model | None,
    options: dict[str, Any],
) -> None:
    if callable(options.get("unique")):
        raise InvalidOption(
            "unique is a function, which a row cannot store. Give it to @job of the handler."
        )
    own = {
        name: value
        for name in ("queue_name", "priority")
        if (value := getattr(row, name)) is not None
    }
    lifetime = {"": UNSET, NEVER: None}.get(row.expires, row.expires)
    # A job with the same call, which is not saved, is checked in every respect.
    job, _ = build(
        SchedulingContext.current(), "0s", target, content_object, lifetime, args, kwargs,
        using=row._state.db, **own, **options,
    )  # fmt: skip
    for name in CALL_COLUMNS - {"options"}:
        setattr(row, name, vars(job)[name])
    row.options = encode(options, ("options", row.callable_name)) if options else None


def _set_anchor(row: RecurringJob, now: datetime) -> None:
    """Set where the intervals begin, and check the bounds."""
    starts_at = row.starts_at and clock.from_row(row.starts_at)
    ends_at = row.ends_at and clock.from_row(row.ends_at)
    if starts_at and ends_at and ends_at < starts_at:
        zone = clock.current_zone()
        raise InvalidTime(
            f"ends_at is {ends_at.astimezone(zone)}, which is before starts_at "
            f"{starts_at.astimezone(zone)}. Give a later one."
        )
    anchor_at = starts_at or now + (row.every or timedelta())
    row.anchor_at = clock.to_row(anchor_at)


def _checked_name(name: str) -> str:
    if (
        not isinstance(name, str)
        or not 0 < len(name) <= MAX_RECURRING_NAME_LENGTH
        or not name.isprintable()
        or name.strip() != name
    ):
        raise InvalidOption(
            f"name is {name!r}. Give a text of 1 to {MAX_RECURRING_NAME_LENGTH} printable "
            "characters that neither begins nor ends with a space."
        )
    return name


def _checked_cron(cron: str | None, every: object) -> str:
    if (cron is None) == (every is None):
        given = "neither of them was given" if cron is None else "both of them were given"
        raise InvalidTime(
            f"cron is {cron!r} and every is {every!r}: {given}. Give one, such as cron='0 9 * * "
            "mon-fri' or every='90m'."
        )
    if cron is None:
        return ""
    try:
        return parse_cron(cron).text
    except InvalidTime as error:
        raise InvalidTime(f"cron: {error}") from error


def _checked_interval(every: timedelta | str | None) -> timedelta | None:
    if every is None:
        return None
    interval = _duration("every", every)
    if interval < MIN_INTERVAL:
        raise InvalidTime(f"every is {every!r}. Give at least '1s'.")
    return interval


def _zone_name(zone: Any) -> str:
    if zone is None:
        zone = django_timezone.get_default_timezone_name()
    name = zone if isinstance(zone, str) else getattr(zone, "key", None) or str(zone)
    return zone_of(name).key


def _instant(name: str, value: When | None, now: datetime, zone_name: str) -> datetime | None:
    if value is None:
        return None
    try:
        instant = parse_when(value, now=now, zone=zone_of(zone_name))
    except InvalidTime as error:
        raise InvalidTime(f"{name}: {error}") from error
    return clock.to_row(instant)


def _checked_max_runs(max_runs: int | None) -> int | None:
    if max_runs is None:
        return None
    if type(max_runs) is not int or not 1 <= max_runs <= MAX_RUNS_LIMIT:
        raise InvalidOption(f"max_runs is {max_runs!r}. Give a whole number from 1, or None.")
    return max_runs


def _choice(name: str, value: str, choices: type[models.TextChoices]) -> str:
    if value not in choices.values:
        raise InvalidOption(
            f"{name} is {value!r}. Give one of {', '.join(map(repr, choices.values))}."
            f"{did_you_mean(value, choices.values)}"
        )
    return str(value)


def _checked_jitter(jitter: timedelta | str | None, row: RecurringJob) -> timedelta | None:
    limit = _positive("jitter", jitter)
    if limit is None:
        return None
    # The shortest of the next intervals. Those of an expression differ.
    instants = islice(row.timing.after(clock.now()), INTERVALS_CHECKED)
    shortest = min((after - before for before, after in pairwise(instants)), default=limit)
    if limit > shortest:
        raise InvalidTime(
            f"jitter is {jitter!r}, which is longer than the interval of {shortest} between two "
            "runs. Give a shorter one."
        )
    return limit


def _expires(expires: timedelta | str | Unset | None) -> str:
    if expires is UNSET:
        return ""
    if expires is None or expires == NEVER:
        return NEVER
    lifetime = _positive("expires", expires)
    return "" if lifetime is None else describe_duration(lifetime)


def _positive(name: str, value: Any) -> timedelta | None:
    if value is None:
        return None
    duration = _duration(name, value)
    if duration <= timedelta():
        raise InvalidTime(f"{name} is {value!r}. Give a positive duration, or None.")
    return duration


def _duration(name: str, value: Any) -> timedelta:
    try:
        return parse_duration(value)
    except InvalidTime as error:
        raise InvalidTime(f"{name}: {error}") from error
