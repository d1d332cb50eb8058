"""The rows that a claim returns, turned into jobs."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django_future import clock
from django_future.arguments import Stored
from django_future.models import ScheduledJob, Worker
from django_future.status import Status

if TYPE_CHECKING:
    from django_future.store.base import Store

# What it takes to run a job. All else is either known of a job just claimed, or loaded if somebody
# asks for it.
CLAIMED = (
    "id", "callable_name", "args", "kwargs", "content_type_id", "object_id", "object_database",
    "scheduled_at", "expires_at", "queue_name", "priority", "attempts", "max_attempts", "rescues",
    "is_rescuable", "options", "lease",
)  # fmt: skip
COLUMNS = ", ".join(CLAIMED)

# A counter that is at its end stays there or begins anew: an error would fail all that is claimed
# together.
MAX_ATTEMPTS_COUNTED, MAX_LEASE = 2**31 - 1, 2**63 - 1
COUNTED = f"""
    lease = CASE WHEN lease < {MAX_LEASE} THEN lease + 1 ELSE 1 END,
    attempts = CASE WHEN attempts < {MAX_ATTEMPTS_COUNTED} THEN attempts + 1 ELSE attempts END
"""


def count_claim(job: ScheduledJob) -> None:
    """Count a claim of `job` as the database does by `COUNTED`."""
    job.lease = job.lease + 1 if job.lease < MAX_LEASE else 1
    job.attempts += int(job.attempts < MAX_ATTEMPTS_COUNTED)


def read_claimed(
    rows: Iterable[Sequence[Any]], store: "Store", worker: Worker, started_at: datetime
) -> list[ScheduledJob]:
    """Return the jobs of rows that `worker` has just claimed, in the order in which they start."""
    instant = store.instant_reader()
    known = {
        "status": Status.RUNNING, "worker": worker.name, "started_at": clock.to_row(started_at),
        "finished_at": None, "return_value": None, "error": "",
    }  # fmt: skip
    jobs = []
    for row in rows:
        values = known | dict(zip(CLAIMED, row, strict=True))
        values["args"] = Stored(values["args"])
        values["kwargs"] = Stored(values["kwargs"])
        values["is_rescuable"] = bool(values["is_rescuable"])
        values["scheduled_at"] = clock.to_row(instant(values["scheduled_at"]))
        if values["expires_at"] is not None:
            values["expires_at"] = clock.to_row(instant(values["expires_at"]))
        if values["options"] is not None:
            values["options"] = Stored(values["options"])
        if values["rescues"] or not values["is_rescuable"]:
            values["started_at"] = None
        jobs.append(ScheduledJob.bare(values, store.alias))
    return sorted(jobs, key=lambda job: (-job.priority, job.scheduled_at, job.pk))
