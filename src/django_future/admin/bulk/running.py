"""Runs an act on the jobs that match, one short transaction for each batch."""

import time
from collections.abc import Sequence
from typing import Any

from django.db import transaction

from django_future.admin.bulk.acts import ACTS, Act
from django_future.admin.bulk.matching import COLUMNS, Matching
from django_future.admin.bulk.progress import Progress, locked, log_database, record
from django_future.store import Store
from django_future.store.contention import retry_on_contention

SECONDS = 1.0  # of one request
MAX_READ = 5000  # jobs at once

Row = tuple[Any, ...]  # the `COLUMNS` of a job


def advance(store: Store, matching: Matching, entry_id: int, progress: Progress) -> Progress:
    """Act on batches for about `SECONDS`, and return the progress after them.

    It acts in the order of the ids. So it comes to an end, and acts at most once on each job.
    """
    act = ACTS[progress.act]
    until = time.monotonic() + SECONDS
    rows: list[Row] = []
    while not progress.has_ended:
        rows = rows or matching.after(progress.last, MAX_READ)
        batch, rows = rows[: act.batch_size], rows[act.batch_size :]
        expected = batch[-1][0] if batch else progress.last
        progress = _perform(store, matching, entry_id, progress.last, batch)
        if progress.last != expected:
            rows = []  # another request of the same act was first
        if time.monotonic() >= until:
            break
    return progress


@retry_on_contention
def _perform(
    store: Store, matching: Matching, entry_id: int, last: int, batch: Sequence[Row]
) -> Progress:
    """Act on one batch and record it, unless another request has passed it."""
    with transaction.atomic(using=log_database()), transaction.atomic(using=store.alias):
        store.take_write_lock()
        progress = locked(entry_id)
        if progress is None:
            raise EntryGone
        if progress.last != last or progress.has_ended:
            return progress
        act = ACTS[progress.act]
        if batch:
            _count(store, matching, act, progress, batch)
        else:
            progress.has_ended = True
        record(entry_id, progress, str(act.done % {"count": progress.done}))
    return progress


class EntryGone(Exception):
    """The entry of the log that records an act was deleted."""


def _count(
    store: Store, matching: Matching, act: Act, progress: Progress, batch: Sequence[Row]
) -> None:
    fitting = [row for row in batch if row[1] in act.states]
    ids = _still_matching(store, matching, fitting)
    refused = progress.refused
    done = act.apply(store.jobs.filter(pk__in=ids).order_by("pk"), progress) if ids else 0
    for _pk, status, *_others in batch:
        if status not in act.states:
            progress.count_untouched(status)
    progress.done += done
    progress.changed += len(fitting) - done - (progress.refused - refused)
    progress.last = batch[-1][0]


def _still_matching(store: Store, matching: Matching, batch: Sequence[Row]) -> list[int]:
    """Return the ids of the jobs that still match, and lock them."""
    # By primary key only. With the conditions of the filter, a server may read all jobs of a status
    # for each batch. So only the few jobs that have changed are compared with the filter again.
    ids = [row[0] for row in batch]
    locked = store.jobs.filter(pk__in=ids).select_for_update().order_by("pk")
    found = set(locked.values_list(*COLUMNS))
    unchanged = {row[0] for row in batch if row in found}
    changed = [pk for pk, *_others in found if pk not in unchanged]
    return sorted(unchanged.union(matching.among(changed) if changed else ()))
