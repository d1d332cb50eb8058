"""The rows that a claim returns, turned into jobs."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from django_future import clock
from django_future.arguments import Stored
from django_future.models import ScheduledJob
from django_future.status import Status

# What it takes to run a job. All else is either known of a job just claimed, or loaded if somebody
# asks for it.
CLAIMED = (
    "id", "callable_name", "args", "kwargs", "content_type_id", "object_id", "scheduled_at",
    "expires_at", "queue_name", "priority", "attempts", "rescues", "lease",
)  # fmt: skip
COLUMNS = ", ".join(CLAIMED)


def read_claimed(
    rows: Iterable[Sequence[Any]],
    *,
    alias: str,
    worker: str,
    started_at: datetime,
    instant: Callable[[Any], datetime],
) -> list[ScheduledJob]:
    """Return the jobs of `rows` in the order in which they start.

    `instant` makes an aware datetime of what the database's driver returns for one.
    """
    known = {
        "status": Status.RUNNING, "worker": worker, "started_at": clock.to_row(started_at),
        "finished_at": None, "return_value": None, "error": "",
    }  # fmt: skip
    jobs = []
    for row in rows:
        values = known | dict(zip(CLAIMED, row, strict=True))
        values["args"] = Stored(values["args"])
        values["kwargs"] = Stored(values["kwargs"])
        values["scheduled_at"] = clock.to_row(instant(values["scheduled_at"]))
        if values["expires_at"] is not None:
            values["expires_at"] = clock.to_row(instant(values["expires_at"]))
        if values["rescues"]:
            values["started_at"] = None
        jobs.append(ScheduledJob.bare(values, alias))
    return sorted(jobs, key=lambda job: (-job.priority, job.scheduled_at, job.pk))
