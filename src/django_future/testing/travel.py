"""Simulates a worker over a period of time."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo
from typing import Any
from unittest.mock import patch

from django.utils import timezone

from django_future import clock
from django_future.exceptions import InvalidTime
from django_future.models import ScheduledJob
from django_future.scheduling.declared import synchronise
from django_future.scheduling.runs import Materialiser
from django_future.store import recurring
from django_future.store.server_clock import ServerClock
from django_future.testing.exclusive import exclusive
from django_future.testing.running import MAX_PASSES, raise_error_of
from django_future.when import When, parse_when
from django_future.worker import maintenance
from django_future.worker.run_once import registered, run_due


def travel_to(
    target: When, *, raise_errors: bool = True, using: str | None = None
) -> list[ScheduledJob]:
    """Execute the jobs that are due from now to `target`, each at its time, and return them.

    While a job runs, the clock stands at its time. The jobs that it schedules run too, if they
    are due before `target`. Afterwards the clock is real again. It works in a `TestCase`. The
    clock stands for all threads of the process, so only one thread at a time can travel.

    Raises what a handler raises, unless `raise_errors` is false. Raises `InvalidTime` if `target`
    is in the past, and `AssertionError` if jobs schedule others for the same time without an end.
    """
    instant = clock.now()
    until = _parse_target(target, instant)
    ran: list[ScheduledJob] = []
    with exclusive("travel_to()"), registered(using) as (store, worker, watchdog):
        with stopped_clock(instant):
            synchronise(store.alias)
        passes = 1
        while passes <= MAX_PASSES:
            with stopped_clock(instant):
                for outcome in run_due(store, worker, watchdog, instant):
                    if raise_errors or not outcome.was_runnable:
                        raise_error_of(outcome)
                    ran.append(outcome.job)
                # A run that has ended may let another one start, which waited for its end.
                Materialiser(store).work(instant, timedelta())
                next_due = _earlier(store.next_due(), recurring.next_at(store))
            if next_due is None or next_due > until:
                with stopped_clock(until):
                    maintenance.expire(store, until)
                return ran
            passes = 1 if next_due > instant else passes + 1
            instant = max(instant, next_due)
    raise AssertionError(
        f"After {MAX_PASSES} passes at {instant} and {len(ran)} jobs, more jobs are due. Jobs that "
        "schedule others for the same time never end. Let them schedule for a later time."
    )


@contextmanager
def stopped_clock(instant: datetime) -> Iterator[None]:
    """Stop the clocks of Django, of the host and of the database server at `instant`."""

    class Stopped(datetime, metaclass=_AnyDatetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return instant.astimezone(tz or timezone.get_default_timezone()).replace(tzinfo=tz)

    # Patch `datetime`, which `now` calls, and not `now`: model fields hold `now` as their default.
    with (
        patch.object(clock, "datetime", Stopped),
        patch.object(timezone, "datetime", Stopped),
        patch.object(ServerClock, "now", lambda _: instant),
    ):
        yield


def _earlier(first: datetime | None, second: datetime | None) -> datetime | None:
    return min(filter(None, [first, second]), default=None)


class _AnyDatetime(type):
    # Django's templates check isinstance(value, datetime), also while `datetime` is patched.
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, datetime)


def _parse_target(target: When, now: datetime) -> datetime:
    until = parse_when(target, now=now, zone=clock.current_zone())
    if until < now:
        raise InvalidTime(
            f"{target!r} is {until}, which is in the past. Give a later time, or call "
            "run_due_jobs() for the jobs that are due now."
        )
    return until
