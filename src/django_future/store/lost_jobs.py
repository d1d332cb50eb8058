"""The running jobs whose worker was lost."""

import logging
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from django.db import InterfaceError, OperationalError, transaction

from django_future import clock
from django_future.models import ScheduledJob
from django_future.models.fields import as_parameter
from django_future.status import Status
from django_future.store.base import Store
from django_future.store.contention import retry_on_contention
from django_future.store.postgresql.prepared import Prepared
from django_future.store.unreadable import UNREADABLE, is_unreadable
from django_future.store.workers import living_from, living_until
from django_future.text import storable

logger = logging.getLogger("django_future")

BATCH_SIZE = 100  # jobs
MAX_ID = 2**63 - 1

# One statement sees a job and its worker in the same snapshot. A worker is registered before its
# first claim, so a worker without a row is lost, not new.
_QUERY = """
    SELECT id, lease, worker FROM django_future_scheduledjob {hint}
    WHERE {is_running} AND id < {below} AND worker NOT IN (
        SELECT name FROM django_future_worker WHERE seen_at >= {since} AND seen_at <= {until}
    )
    ORDER BY {order} LIMIT {limit}
"""
# With the range of statuses and the order by status, only one index fits, even with old statistics.
_PREPARED = Prepared(
    _QUERY.format(
        hint="",
        is_running="status >= 'running' AND status <= 'running'",
        order="status, id DESC",
        **{name: f"%({name})s" for name in ("below", "since", "until", "limit")},
    ),
    below="bigint",
    since="timestamptz",
    until="timestamptz",
    limit="bigint",
)


class _Claim(NamedTuple):
    """A claim of a job that is running."""

    id: int
    lease: int
    worker: str


def lost_jobs(store: Store, at: datetime) -> Iterator[ScheduledJob]:
    """Yield the running jobs whose worker is lost at `at`, the newest first.

    Leaves out the jobs whose rows another transaction has locked. That may be the transaction of
    the lost worker's handler, and a worker that waits for it may soon seem lost, too.
    """
    below = MAX_ID
    while claims := _lost_claims(store, at, below):
        below = claims[-1].id
        yield from _load(store, claims)


def _lost_claims(store: Store, at: datetime, below: int) -> list[_Claim]:
    since, until = living_from(at), living_until(at)
    if store.connection.vendor == "postgresql":
        values = {"below": below, "since": since, "until": until, "limit": BATCH_SIZE}
        return [_Claim(*row) for row in _PREPARED.rows(store.connection, values)]
    query = _QUERY.format(
        hint=store.index_hint.format("future_job_status"),
        is_running="status = 'running'",
        order="id DESC",
        **dict.fromkeys(("below", "since", "until", "limit"), "%s"),
    )
    seen = [as_parameter(instant, store.connection) for instant in (since, until)]
    with store.connection.cursor() as cursor:
        cursor.execute(query, [below, *seen, BATCH_SIZE])
        return [_Claim(*row) for row in cursor.fetchall()]


def _load(store: Store, claims: list[_Claim]) -> Iterator[ScheduledJob]:
    try:
        jobs = _load_unlocked(store, claims)
    except Exception:  # noqa: BLE001 - a driver may raise anything for a value it cannot read
        jobs = [job for claim in claims for job in _load_single(store, claim)]
    # A job may have been claimed again since.
    lost = set(claims)
    yield from (job for job in jobs if (job.pk, job.lease, job.worker) in lost)


def _load_single(store: Store, claim: _Claim) -> list[ScheduledJob]:
    try:
        return _load_unlocked(store, [claim])
    except Exception:  # noqa: BLE001 - because of the row, or of the connection
        # Raises an error that the row does not cause. Django has reopened a broken connection.
        list(store.jobs.filter(pk=claim.id).values_list("pk"))
    try:
        return _load_unlocked(store, [claim])
    except Exception as error:
        if _is_about_connection(error):
            raise
        logger.exception("Job %s of a lost worker cannot be read", claim.id)
        _fail_unreadable(store, claim, error)
        return []


def _is_about_connection(error: Exception) -> bool:
    """Return whether the connection or a rival is the cause of `error`, and not a row."""
    if isinstance(error, OperationalError):
        return not is_unreadable(error)
    return isinstance(error, InterfaceError)


@retry_on_contention
def _fail_unreadable(store: Store, claim: _Claim, error: Exception) -> None:
    # Without an instance, the job cannot be executed again, and no signal can be sent.
    store.jobs.running().filter(pk=claim.id, lease=claim.lease, worker=claim.worker).update(
        status=Status.FAILED,
        finished_at=clock.to_row(store.now()),
        error_kind=UNREADABLE,
        error=storable(f"The worker {claim.worker} was lost, and its job cannot be read: {error}"),
        unique_key=None,
    )


def _load_unlocked(store: Store, claims: list[_Claim]) -> list[ScheduledJob]:
    # Locks the rows for this one query, and skips the rows that a rival has locked.
    rows = store.jobs.filter(pk__in=[claim.id for claim in claims])
    if not store.connection.features.has_select_for_update_skip_locked:
        return list(rows)
    with transaction.atomic(using=store.alias):
        return list(rows.select_for_update(skip_locked=True))
