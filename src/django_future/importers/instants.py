"""Instants that the importers have in common."""

from datetime import datetime, timedelta
from typing import Any

from django_future import clock
from django_future.importers.entry import NotCarriedOver


def once(at: datetime) -> dict[str, Any]:
    """Return the arguments of `schedule_recurring` for a single run.

    Raises `NotCarriedOver` if its time has passed.
    """
    if at <= clock.now():
        raise NotCarriedOver(
            f"It was due once, at {shown(at)}, which has passed. If it has not run, call "
            "schedule_job."
        )
    # The interval has no effect, because the end is the start.
    return {"every": timedelta(days=1), "starts_at": at, "ends_at": at, "max_runs": 1}


def shown(instant: datetime) -> str:
    """Return an instant in local time, such as '2030-01-31 09:00:00'."""
    return f"{instant.astimezone(clock.current_zone()):%Y-%m-%d %H:%M:%S}"
