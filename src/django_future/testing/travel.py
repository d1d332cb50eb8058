"""A stretch of time, lived through in a moment."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, tzinfo
from typing import Any
from unittest.mock import patch

from django.utils import timezone

from django_future import clock
from django_future.exceptions import InvalidTime
from django_future.models import ScheduledJob
from django_future.store.server_clock import ServerClock
from django_future.testing.exclusive import exclusive
from django_future.testing.running import MAX_PASSES, raise_error_of
from django_future.when import When, parse_when
from django_future.worker import maintenance
from django_future.worker.run_once import registered, run_due


def travel_to(
    target: When, *, raise_errors: bool = True, using: str | None = None
) -> list[ScheduledJob]:
    """Run what is due from now to `target`, each job at its time, and return them in their order.

    While a job runs the clock stands at its time. What it schedules runs, too, if it is due on the
    way. At the end the clock is real again. A `TestCase` may call it. The clock stands for all
    threads of the process, so one thread at a time may travel.

    Raises what a handler raises unless `raise_errors` is false, `InvalidTime` if `target` has
    passed, and `AssertionError` if jobs go on scheduling more for the same instant.
    """
    instant = clock.now()
    until = _ahead(target, instant)
    ran: list[ScheduledJob] = []
    with exclusive("travel_to()"), registered(using) as (store, worker, watchdog):
        passes = 1
        while passes <= MAX_PASSES:
            with stopped_clock(instant):
                for outcome in run_due(store, worker, watchdog, instant):
                    if raise_errors or not outcome.was_called:
                        raise_error_of(outcome)
                    ran.append(outcome.job)
                next_due = store.next_due()
            if next_due is None or next_due > until:
                with stopped_clock(until):
                    maintenance.expire(store, until)
                return ran
            passes = 1 if next_due > instant else passes + 1
            instant = max(instant, next_due)
    raise AssertionError(
        f"After {MAX_PASSES} passes at {instant}, and {len(ran)} jobs, more are due: jobs that "
        "schedule others for the time that has come never end. Let them schedule for a later one."
    )


@contextmanager
def stopped_clock(instant: datetime) -> Iterator[None]:
    """Let Django's clock, the host's and the database server's stand at `instant`."""

    class Stopped(datetime, metaclass=_AnyDatetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return instant.astimezone(tz or timezone.get_default_timezone()).replace(tzinfo=tz)

    # What `now` asks, not `now` itself, which model fields hold as their default.
    with (
        patch.object(clock, "datetime", Stopped),
        patch.object(timezone, "datetime", Stopped),
        patch.object(ServerClock, "now", lambda _: instant),
    ):
        yield


class _AnyDatetime(type):
    # Django asks in its templates whether a value is a datetime.
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, datetime)


def _ahead(target: When, now: datetime) -> datetime:
    until = parse_when(target, now=now, zone=clock.current_zone())
    if until < now:
        raise InvalidTime(
            f"{target!r} is {until}, which has passed. Give a time to come, or call run_due_jobs() "
            "for what is due now."
        )
    return until
