"""Runs an act on the jobs that match, one short transaction for each batch."""

import time
from collections.abc import Sequence

from django.db import transaction

from django_future.admin.bulk.acts import ACTS, Act
from django_future.admin.bulk.matching import Matching
from django_future.admin.bulk.progress import Progress, locked, log_database, record
from django_future.store import Store
from django_future.store.contention import retry_on_contention

SECONDS = 1.0  # of one request
MAX_READ = 5000  # ids at once


def advance(store: Store, matching: Matching, entry_id: int, progress: Progress) -> Progress:
    """Act on batches for about `SECONDS`, and return the progress after them.

    It acts in the order of the ids. So it comes to an end, and acts at most once on each job.
    """
    act = ACTS[progress.act]
    until = time.monotonic() + SECONDS
    rows: list[tuple[int, str]] = []
    while not progress.has_ended:
        rows = rows or matching.after(progress.last, MAX_READ)
        batch, rows = rows[: act.batch_size], rows[act.batch_size :]
        expected = batch[-1][0] if batch else progress.last
        progress = _perform(store, act, entry_id, progress.last, batch)
        if progress.last != expected:
            rows = []  # another request of the same act was first
        if time.monotonic() >= until:
            break
    return progress


@retry_on_contention
def _perform(
    store: Store, act: Act, entry_id: int, last: int, batch: Sequence[tuple[int, str]]
) -> Progress:
    """Act on one batch and record it, unless another request has passed it."""
    with transaction.atomic(using=log_database()), transaction.atomic(using=store.alias):
        store.take_write_lock()
        progress = locked(entry_id)
        if progress is None:
            raise EntryGone
        if progress.last != last or progress.has_ended:
            return progress
        if batch:
            _count(store, act, progress, batch)
        else:
            progress.has_ended = True
        record(entry_id, progress, str(act.done % {"count": progress.done}))
    return progress


class EntryGone(Exception):
    """The entry of the log that records an act was deleted."""


def _count(store: Store, act: Act, progress: Progress, batch: Sequence[tuple[int, str]]) -> None:
    fitting = [pk for pk, status in batch if status in act.states]
    refused = progress.refused
    done = act.apply(store.jobs.filter(pk__in=fitting).order_by("pk"), progress) if fitting else 0
    for _pk, status in batch:
        if status not in act.states:
            progress.count_untouched(status)
    progress.done += done
    progress.changed += len(fitting) - done - (progress.refused - refused)
    progress.last = batch[-1][0]
