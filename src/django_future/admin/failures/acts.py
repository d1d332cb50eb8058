"""Acts on failed jobs in batches, with an entry in the history of each job."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext_lazy

from django_future.admin import reports
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.scheduling.dealt_with import reopen_failures
from django_future.scheduling.retry import retry_jobs
from django_future.status import Status
from django_future.store import Store, failure_notes, store_for
from django_future.store.contention import retry_on_contention

BATCH_SIZE = 500


class Act(NamedTuple):
    """Something that can be done to failed jobs, and what a user reads about it."""

    apply: Callable[[ScheduledJobQuerySet], int]
    logged: str
    done: Any
    skipped: Any
    has_note: bool = False  # whether it is for jobs that are dealt with


def retry() -> Act:
    """Return the act that retries failed jobs."""
    return Act(
        retry_jobs,
        gettext("Retried."),
        ngettext_lazy("%(count)s job will be retried.", "%(count)s jobs will be retried.", "count"),
        ngettext_lazy(
            "%(count)s job was not touched: it has not failed, or is dealt with.",
            "%(count)s jobs were not touched: they have not failed, or are dealt with.",
            "count",
        ),
    )


def deal_with(text: str, author: str, database: str) -> Act:
    """Return the act that marks failed jobs as dealt with, all with one note."""
    store = store_for(database)
    note = failure_notes.new_note(store, text, author)  # one for all batches
    return Act(
        lambda jobs: failure_notes.deal_with(store, jobs, note),
        gettext("Dealt with: %(note)s") % {"note": text} if text else gettext("Dealt with."),
        reports.DEALT_WITH,
        reports.NOT_DEALT_WITH,
    )


def reopen() -> Act:
    """Return the act that makes failures open again."""
    return Act(
        reopen_failures,
        gettext("Reopened."),
        ngettext_lazy(
            "%(count)s failure is open again.", "%(count)s failures are open again.", "count"
        ),
        ngettext_lazy(
            "%(count)s job was not touched: it has not failed, or is not dealt with.",
            "%(count)s jobs were not touched: they have not failed, or are not dealt with.",
            "count",
        ),
        has_note=True,
    )


def perform(
    act: Act, ids: Sequence[int], request: HttpRequest, database: str, *, is_all: bool = True
) -> None:
    """Act on the jobs with these ids, and show how many were touched, and whether more remain."""
    store = store_for(database)
    batches = [ids[start : start + BATCH_SIZE] for start in range(0, len(ids), BATCH_SIZE)]
    count = sum(_perform_on_batch(store, batch, act, request) for batch in batches)
    if count:
        messages.success(request, act.done % {"count": count})
    if skipped := len(ids) - count:
        messages.warning(request, act.skipped % {"count": skipped})
    if not is_all:
        messages.warning(request, gettext("There are more jobs. Do it again for the rest."))
    if not ids:
        messages.warning(request, gettext("No job was found. Nothing was changed."))


@retry_on_contention
def _perform_on_batch(store: Store, ids: Sequence[int], act: Act, request: HttpRequest) -> int:
    user_id: Any = request.user.pk
    # Locks the rows in the order of their keys, so that the history names exactly the jobs that
    # change. A rival waits, and then finds that they have changed.
    with transaction.atomic(using=store.alias):
        store.take_write_lock()
        # By primary key only. With the status in the condition, PostgreSQL may read all failures.
        rows = store.jobs.filter(pk__in=ids).select_for_update().order_by("pk")
        jobs = [
            job
            for job in rows.only("callable_name", "scheduled_at", "status", "failure_note")
            if job.status == Status.FAILED and (job.failure_note_id is not None) == act.has_note
        ]
        if not jobs:
            return 0
        count = act.apply(store.jobs.filter(pk__in=[job.pk for job in jobs]))
        LogEntry.objects.log_actions(user_id, jobs, CHANGE, change_message=act.logged)
    return count
