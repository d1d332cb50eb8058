"""What can be done to all jobs that match the filter."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from django_future.admin import reports
from django_future.admin.bulk.progress import Progress
from django_future.exceptions import SchedulingError, TamperedArguments
from django_future.models import FailureNote, ScheduledJob
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.scheduling.cancel import cancel_jobs
from django_future.scheduling.move import run_jobs_now
from django_future.scheduling.retry import retry_jobs
from django_future.scheduling.signing import jobs_to_sign, sign_job
from django_future.status import Status
from django_future.store import failure_notes, store_for

BATCH_SIZE = 500  # jobs in one transaction
MAX_COPIES = 100  # in one transaction, because each copy is built and written by itself


@dataclass(frozen=True)
class Act:
    """Something that can be done to jobs in some states, and what a user reads about it.

    `permission` is one of the names that `@action` accepts, such as "operate". `apply` acts on a
    batch, and returns how many jobs it changed.
    """

    name: str
    permission: str
    title: str | Promise
    effect: str | Promise
    states: Sequence[str]
    apply: Callable[[ScheduledJobQuerySet, Progress], int]
    done: Any
    untouched: Any
    batch_size: int = BATCH_SIZE
    has_note: bool = False
    is_dangerous: bool = False


def try_to_sign(job: ScheduledJob) -> bool:
    """Sign a parked job, and return whether it was signed. An unsigned pickle prevents it."""
    try:
        return sign_job(job)
    except TamperedArguments:
        return False


def _run_now(jobs: ScheduledJobQuerySet, _progress: Progress) -> int:
    return run_jobs_now(jobs)


def _cancel(jobs: ScheduledJobQuerySet, _progress: Progress) -> int:
    return cancel_jobs(jobs)


def _cancel_running(jobs: ScheduledJobQuerySet, _progress: Progress) -> int:
    return cancel_jobs(jobs, running=True)


def _retry(jobs: ScheduledJobQuerySet, _progress: Progress) -> int:
    return retry_jobs(jobs)


def _deal_with(jobs: ScheduledJobQuerySet, progress: Progress) -> int:
    store = store_for(jobs.db)
    notes = FailureNote.objects.using(store.alias).filter(pk=progress.note_id or 0)
    # One note for all batches.
    note = notes.first() or failure_notes.new_note(store, progress.note, progress.author)
    count = failure_notes.deal_with(store, jobs, note)
    progress.note_id = note.pk
    return count


def _run_again(jobs: ScheduledJobQuerySet, progress: Progress) -> int:
    count = 0
    for job in jobs.finished().defer("return_value", "error"):
        try:
            with transaction.atomic(using=jobs.db):
                job.reschedule("0s")
        except SchedulingError as error:
            progress.refused += 1
            progress.reason = progress.reason or str(error)
        else:
            count += 1
    return count


def _sign(jobs: ScheduledJobQuerySet, _progress: Progress) -> int:
    return sum(try_to_sign(job) for job in jobs_to_sign(jobs.parked()))


def _delete(jobs: ScheduledJobQuerySet, _progress: Progress) -> int:
    _total, by_model = jobs.order_by().delete()
    return by_model.get(ScheduledJob._meta.label, 0)


_WAITING = [Status.SCHEDULED, Status.PARKED]
_ACTS = [
    Act(
        "run_now",
        "operate",
        _("Run all that match now"),
        _("Those that are scheduled become due now. The others do not change."),
        [Status.SCHEDULED],
        _run_now,
        reports.NOW,
        reports.NOT_NOW,
    ),
    Act(
        "cancel",
        "operate",
        _("Cancel all that match"),
        _("Those that are scheduled or parked will be cancelled. The others do not change."),
        _WAITING,
        _cancel,
        reports.CANCELLED,
        reports.NOT_CANCELLED,
        is_dangerous=True,
    ),
    Act(
        "cancel_running",
        "operate",
        _("Cancel all that match, including running ones"),
        _(
            "Those that have not ended will be cancelled, and the handlers of running ones are "
            "interrupted. The others do not change."
        ),
        [*_WAITING, Status.RUNNING],
        _cancel_running,
        reports.CANCELLED,
        reports.ENDED,
        is_dangerous=True,
    ),
    Act(
        "retry",
        "operate",
        _("Retry all that match"),
        _(
            "Those that failed, expired or were cancelled will be retried. They will be due now. "
            "The others do not change."
        ),
        Status.retryable(),
        _retry,
        reports.RETRIED,
        reports.NOT_RETRIED,
    ),
    Act(
        "deal_with",
        "operate",
        _("Mark all that match as dealt with"),
        _(
            "Those that have failed will be marked as dealt with. They stay failed, and you can "
            "reopen them. The others do not change."
        ),
        [Status.FAILED],
        _deal_with,
        reports.DEALT_WITH,
        reports.NOT_DEALT_WITH,
        has_note=True,
    ),
    Act(
        "run_again",
        "operate",
        _("Run all that match again"),
        _("A copy of each one that has ended will be due now."),
        Status.final(),
        _run_again,
        reports.AGAIN,
        reports.NOT_ENDED,
        batch_size=MAX_COPIES,
    ),
    Act(
        "sign",
        "sign",
        _("Sign all that match"),
        _("Those that are parked will be signed, and then run. The others do not change."),
        [Status.PARKED],
        _sign,
        reports.SIGNED,
        reports.NOT_SIGNED,
    ),
    Act(
        "delete",
        "delete",
        _("Delete all that match"),
        _("All of them will be deleted, in each status. You cannot undo this."),
        list(Status),
        _delete,
        reports.DELETED,
        reports.NOT_DELETED,
        is_dangerous=True,
    ),
]
ACTS = {act.name: act for act in _ACTS}
