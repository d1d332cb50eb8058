"""The notes on failed jobs that are dealt with."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef

from django_future import clock
from django_future.models import FailureNote, ScheduledJob
from django_future.models.failures import MAX_AUTHOR_LENGTH
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.status import Status
from django_future.store.base import Store
from django_future.store.contention import retry_on_contention
from django_future.store.failure_scan import count_limit, counts
from django_future.store.failures import open_failures
from django_future.store.transitions import batches_of_ids
from django_future.text import storable

MAX_NOTE_LENGTH = 255
MAX_COUNTED = 5000  # failed jobs, of all notes that are found
MAX_PRUNED = 500  # notes at once
KEPT = timedelta(days=1)  # a note without jobs: longer than any transaction that uses it


@dataclass(frozen=True)
class NotedFailures:
    """A note and how many failed jobs have it; a lower bound unless `is_exact`."""

    note: FailureNote
    count: int
    is_exact: bool


def new_note(store: Store, text: str, author: str) -> FailureNote:
    """Return a note that is not saved yet."""
    return FailureNote(
        text=storable(text)[:MAX_NOTE_LENGTH],
        author=storable(author)[:MAX_AUTHOR_LENGTH],
        created_at=clock.to_row(store.now()),
    )


def deal_with(store: Store, jobs: ScheduledJobQuerySet, note: FailureNote) -> int:
    """Give `note` to those of `jobs` that have failed and have no note; return how many.

    The note is saved with the first of them.
    """
    jobs = jobs if jobs.query.is_sliced else open_failures(jobs)
    return sum(_deal_with_batch(store, ids, note) for ids in batches_of_ids(jobs))


def reopen(store: Store, jobs: ScheduledJobQuerySet) -> int:
    """Take the note from those of `jobs` that have failed and have one; return how many."""
    if not jobs.query.is_sliced:
        jobs = jobs.filter(status=Status.FAILED, failure_note__isnull=False)
    return sum(_reopen_batch(store, ids) for ids in batches_of_ids(jobs))


def latest(store: Store, limit: int) -> list[NotedFailures]:
    """Return the newest notes, each with the number of failed jobs that have it."""
    notes = list(FailureNote.objects.using(store.alias).order_by("-pk")[:limit])
    if not notes:
        return []
    most = count_limit(len(notes), MAX_COUNTED)
    found = counts(store, (("failure_note_id = %s", [note.pk]) for note in notes), most + 1)
    return [
        NotedFailures(note, min(count, most), count <= most)
        for note, count in zip(notes, found, strict=True)
    ]


@retry_on_contention
def prune(store: Store) -> int:
    """Delete notes that no failed job has, once they are a day old; return how many."""
    old_at = clock.to_row(store.now() - KEPT)
    old = FailureNote.objects.using(store.alias).filter(created_at__lt=old_at)
    failed = ScheduledJob.objects.filter(status=Status.FAILED, failure_note=OuterRef("pk"))
    # Reads one entry of the index of failures for each note. A dealt-with job refers to a note that
    # is new, so no transaction can begin to use one of these.
    unused = old.filter(~Exists(failed.order_by())).order_by("pk")[:MAX_PRUNED]
    ids = list(unused.values_list("pk", flat=True))
    if ids:
        # The ORM would first read all jobs, to clear the column of those that have the note.
        marks = ", ".join(["%s"] * len(ids))
        with store.connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM django_future_failurenote WHERE id IN ({marks})", ids)
    return len(ids)


@retry_on_contention
def _deal_with_batch(store: Store, ids: Sequence[int], note: FailureNote) -> int:
    # Locks the rows by primary key, in the order of their keys, until the batch commits. A rival,
    # such as a retry, waits. If it was first, the job is not failed any more, and gets no note.
    with transaction.atomic(using=store.alias):
        store.take_write_lock()
        locked = _locked(store, ids, has_note=False)
        if not locked:
            return 0
        # The transaction that saved the note may have been rolled back.
        if not FailureNote.objects.using(store.alias).filter(pk=note.pk).exists():
            note.pk = None
            note.save(force_insert=True, using=store.alias)
        return store.jobs.filter(pk__in=locked).update(failure_note=note)


@retry_on_contention
def _reopen_batch(store: Store, ids: Sequence[int]) -> int:
    # Locks the rows as _deal_with_batch does, and for the same reason.
    with transaction.atomic(using=store.alias):
        store.take_write_lock()
        locked = _locked(store, ids, has_note=True)
        return store.jobs.filter(pk__in=locked).update(failure_note_id=None)


def _locked(store: Store, ids: Sequence[int], *, has_note: bool) -> list[int]:
    # By primary key only. With the status in the condition, PostgreSQL may read all failures.
    rows = store.jobs.select_for_update().filter(pk__in=ids).order_by("pk")
    return [
        pk
        for pk, status, note_id in rows.values_list("pk", "status", "failure_note_id")
        if status == Status.FAILED and (note_id is not None) == has_note
    ]
