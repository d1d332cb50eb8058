"""The rows that a claim returns, turned into jobs."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django_future import clock
from django_future.models import ScheduledJob, Worker
from django_future.serialization import Stored
from django_future.status import Status

if TYPE_CHECKING:
    from django_future.store.base import Store

# The columns that the execution of a job needs. The others have a known value in a claimed job, or
# are loaded on access.
CLAIM_COLUMNS = (
    "id", "callable_name", "args", "kwargs", "content_type_id", "object_id", "object_database",
    "scheduled_at", "expires_at", "queue_name", "priority", "attempts", "max_attempts", "rescues",
    "is_rescuable", "options", "signature", "lease", "task_backend", "created_at", "run_after",
)  # fmt: skip
COLUMNS = ", ".join(CLAIM_COLUMNS)

# A counter does not overflow: the error would fail all jobs of the same claim. So the attempts stay
# at their maximum, and the lease starts again at 1.
MAX_ATTEMPTS_COUNTED, MAX_LEASE = 2**31 - 1, 2**63 - 1


def claim_assignments(worker: str, started_at: str) -> str:
    """Return the assignments of the UPDATE that claims jobs, with placeholders for two values."""
    # A job that was rescued before, or must not be rescued, gets its start when its handler starts.
    return f"""
        status = 'running', worker = {worker},
        lease = CASE WHEN lease < {MAX_LEASE} THEN lease + 1 ELSE 1 END,
        attempts = CASE WHEN attempts < {MAX_ATTEMPTS_COUNTED} THEN attempts + 1 ELSE attempts END,
        started_at = CASE WHEN rescues = 0 AND is_rescuable THEN {started_at} END
    """


def count_claim(job: ScheduledJob) -> None:
    """Raise the lease and the attempts of `job` as `claim_assignments` does in the database."""
    job.lease = job.lease + 1 if job.lease < MAX_LEASE else 1
    job.attempts += int(job.attempts < MAX_ATTEMPTS_COUNTED)


def jobs_from_rows(
    rows: Iterable[Sequence[Any]], store: "Store", worker: Worker, started_at: datetime
) -> list[ScheduledJob]:
    """Return the jobs of rows that `worker` has just claimed, in the order in which they start."""
    to_instant = store.instant_reader()
    alias, claimed_at, name = store.alias, clock.to_row(started_at), worker.name
    jobs = []
    # The columns of `CLAIM_COLUMNS`, unpacked by hand. A loop over names and values, with a method
    # call for each, takes as long as the execution of a small job.
    for (pk, callable_name, args, kwargs, content_type_id, object_id, object_database, scheduled_at,
         expires_at, queue_name, priority, attempts, max_attempts, rescues, is_rescuable, options,
         signature, lease, task_backend, created_at, run_after) in rows:  # fmt: skip
        jobs.append(ScheduledJob.from_values({
            "id": pk, "callable_name": callable_name, "args": Stored(args),
            "kwargs": Stored(kwargs), "content_type_id": content_type_id, "object_id": object_id,
            "object_database": object_database,
            "scheduled_at": clock.to_row(to_instant(scheduled_at)),
            "expires_at": None if expires_at is None else clock.to_row(to_instant(expires_at)),
            "queue_name": queue_name, "priority": priority, "attempts": attempts,
            "max_attempts": max_attempts, "rescues": rescues, "is_rescuable": bool(is_rescuable),
            "options": None if options is None else Stored(options), "signature": signature,
            "lease": lease, "task_backend": task_backend,
            "created_at": clock.to_row(to_instant(created_at)),
            "run_after": None if run_after is None else clock.to_row(to_instant(run_after)),
            "status": Status.RUNNING, "worker": name,
            "started_at": claimed_at if is_rescuable and not rescues else None,
            "finished_at": None, "return_value": None, "error": "",
        }, alias))  # fmt: skip
    if len(jobs) > 1:
        jobs.sort(key=_start_order)
    return jobs


def _start_order(job: ScheduledJob) -> tuple[int, datetime, int]:
    return -job.priority, job.scheduled_at, job.pk
