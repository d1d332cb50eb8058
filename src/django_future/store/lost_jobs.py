"""The running jobs whose worker does not live."""

import logging
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from django.db import transaction

from django_future import clock
from django_future.models import ScheduledJob
from django_future.status import Status
from django_future.store.base import Store
from django_future.store.contention import retry_on_contention
from django_future.store.postgresql.prepared import Prepared
from django_future.store.workers import living_from, living_until
from django_future.text import storable

logger = logging.getLogger("django_future")

BATCH = 100
MAX_ID = 2**63 - 1  # no id is greater

# One statement sees a job and its worker at the same instant. A worker is registered before it
# claims, so one that is not found is gone, not new.
_QUERY = """
    SELECT id, lease, worker FROM django_future_scheduledjob {hint}
    WHERE {is_running} AND id < {below} AND worker NOT IN (
        SELECT name FROM django_future_worker WHERE seen_at >= {since} AND seen_at <= {until}
    )
    ORDER BY {order} LIMIT {most}
"""
# The range of states, and the order by state, leave the planner one index, whatever it believes of
# the table.
_PREPARED = Prepared(
    _QUERY.format(
        hint="",
        is_running="status >= 'running' AND status <= 'running'",
        order="status, id DESC",
        **{name: f"%({name})s" for name in ("below", "since", "until", "most")},
    ),
    below="bigint",
    since="timestamptz",
    until="timestamptz",
    most="bigint",
)


class _Found(NamedTuple):
    """A running job, by its id and its claim."""

    id: int
    lease: int
    worker: str


def lost_jobs(store: Store, at: datetime) -> Iterator[ScheduledJob]:
    """Yield the running jobs whose worker does not live at the instant `at`, the newest first.

    Leaves out those whose rows a rival has locked. It may be the very handler of the lost worker,
    and who waits for it may soon seem lost, too.
    """
    below = MAX_ID
    while found := _find(store, at, below):
        below = found[-1].id
        yield from _load(store, found)


def _find(store: Store, at: datetime, below: int) -> list[_Found]:
    since, until = living_from(at), living_until(at)
    if store.connection.vendor == "postgresql":
        values = {"below": below, "since": since, "until": until, "most": BATCH}
        return [_Found(*row) for row in _PREPARED.rows(store.connection, values)]
    query = _QUERY.format(
        hint=store.index_hint.format("future_job_status"),
        is_running="status = 'running'",
        order="id DESC",
        **dict.fromkeys(("below", "since", "until", "most"), "%s"),
    )
    with store.connection.cursor() as cursor:
        cursor.execute(query, [below, store.parameter(since), store.parameter(until), BATCH])
        return [_Found(*row) for row in cursor.fetchall()]


def _load(store: Store, found: list[_Found]) -> Iterator[ScheduledJob]:
    try:
        jobs = _free(store, found)
    except Exception:  # noqa: BLE001 - what a driver raises for a value that it cannot read
        jobs = [job for one in found for job in _load_alone(store, one)]
    # Claimed anew meanwhile, a job is no longer the lost worker's.
    claims = {(one.id, one.lease, one.worker) for one in found}
    yield from (job for job in jobs if (job.pk, job.lease, job.worker) in claims)


def _load_alone(store: Store, found: _Found) -> list[ScheduledJob]:
    try:
        return _free(store, [found])
    except Exception:  # noqa: BLE001 - of the row, or of the connection
        # Raises what is not of the row. By then a connection that broke was opened again.
        list(store.jobs.filter(pk=found.id).values_list("pk"))
    try:
        return _free(store, [found])
    except Exception as error:
        logger.exception("Job %s of a lost worker cannot be read", found.id)
        _fail_unread(store, found, error)
        return []


@retry_on_contention
def _fail_unread(store: Store, found: _Found, error: Exception) -> None:
    # Without the object there is nothing to run again, and nothing to tell a signal of.
    store.jobs.running().filter(pk=found.id, lease=found.lease, worker=found.worker).update(
        status=Status.FAILED,
        finished_at=clock.to_row(store.now()),
        error=storable(f"The worker {found.worker} was lost, and its job cannot be read: {error}"),
        unique_key=None,
    )


def _free(store: Store, found: list[_Found]) -> list[ScheduledJob]:
    # Locks the rows for the length of this one query.
    rows = store.jobs.filter(pk__in=[one.id for one in found])
    if not store.connection.features.has_select_for_update_skip_locked:
        return list(rows)
    with transaction.atomic(using=store.alias):
        return list(rows.select_for_update(skip_locked=True))
