"""Marks failed jobs as dealt with, so that new failures are seen."""

from django_future.databases import database_of_jobs
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.store import failure_notes, store_for


def deal_with_failures(queryset: ScheduledJobQuerySet, *, note: str = "", author: str = "") -> int:
    """Mark the failed jobs of `queryset` as dealt with, and return their number.

    They stay failed and get one common note, which says who decided this and why. Jobs that are
    already dealt with, and jobs that have not failed, do not change. A retry removes the note.

    Raises `InvalidJobs`.
    """
    alias = database_of_jobs(queryset)
    store = store_for(alias)
    common = failure_notes.new_note(store, note, author)
    return failure_notes.deal_with(store, queryset.using(alias), common)


def reopen_failures(queryset: ScheduledJobQuerySet) -> int:
    """Remove the note from the jobs of `queryset` that are dealt with, and return their number.

    Raises `InvalidJobs`.
    """
    alias = database_of_jobs(queryset)
    return failure_notes.reopen(store_for(alias), queryset.using(alias))
