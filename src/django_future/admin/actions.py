"""Actions on the jobs that are selected in the admin, or on all jobs that match its filter."""

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.contrib.admin import action
from django.contrib.admin.actions import delete_selected as delete_after_confirmation
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_future.admin import reports
from django_future.admin.bulk import or_on_all
from django_future.admin.bulk.acts import try_to_sign
from django_future.admin.read_only import ReadOnlyAdmin
from django_future.exceptions import SchedulingError
from django_future.models import ScheduledJob
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.scheduling.cancel import cancel_jobs
from django_future.scheduling.move import run_jobs_now
from django_future.scheduling.retry import retry_jobs
from django_future.scheduling.signing import jobs_to_sign
from django_future.status import Status

BATCH_SIZE = 500
MAX_DELETED = 500  # jobs; the confirmation page has one form field for each
_TOO_MANY = _("No more than %(count)s jobs can be deleted at once. Nothing was deleted.")


@action(permissions=["operate"], description=_("Run selected %(verbose_name_plural)s now"))
@or_on_all("run_now")
def run_selected_now(
    model_admin: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[ScheduledJob]
) -> None:
    """Make the selected jobs that are scheduled due now, and report how many were not."""
    ids = _ids(queryset)
    moved = sum(_run_now(jobs, request) for jobs in _batches(ids, queryset))
    if moved:
        model_admin.message_user(request, reports.NOW % {"count": moved}, messages.SUCCESS)
    if skipped := len(ids) - moved:
        model_admin.message_user(request, reports.NOT_NOW % {"count": skipped}, messages.WARNING)


@action(permissions=["operate"], description=_("Cancel selected %(verbose_name_plural)s"))
@or_on_all("cancel")
def cancel_selected(
    model_admin: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[ScheduledJob]
) -> None:
    """Cancel the selected jobs that are still scheduled, and report how many were not."""
    skipped = _cancel_all(queryset, model_admin, request, running=False)
    if skipped:
        model_admin.message_user(
            request, reports.NOT_CANCELLED % {"count": skipped}, messages.WARNING
        )


@action(
    permissions=["operate"],
    description=_("Cancel selected %(verbose_name_plural)s, including running ones"),
)
@or_on_all("cancel_running")
def cancel_running(
    model_admin: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[ScheduledJob]
) -> None:
    """Cancel the selected jobs that have not ended, and report how many had."""
    skipped = _cancel_all(queryset, model_admin, request, running=True)
    if skipped:
        model_admin.message_user(request, reports.ENDED % {"count": skipped}, messages.WARNING)


@action(permissions=["operate"], description=_("Retry selected %(verbose_name_plural)s"))
@or_on_all("retry")
def retry_selected(
    model_admin: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[ScheduledJob]
) -> None:
    """Retry the selected jobs that ended without success, and report how many did not."""
    ids = _ids(queryset)
    retried = sum(_retry(jobs, request) for jobs in _batches(ids, queryset))
    if retried:
        model_admin.message_user(request, reports.RETRIED % {"count": retried}, messages.SUCCESS)
    if skipped := len(ids) - retried:
        model_admin.message_user(
            request, reports.NOT_RETRIED % {"count": skipped}, messages.WARNING
        )


@action(permissions=["operate"], description=_("Run selected %(verbose_name_plural)s again"))
@or_on_all("run_again")
def run_again(
    model_admin: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[ScheduledJob]
) -> None:
    """Schedule a copy of each selected job that has ended, due at once.

    Report how many had not ended, and why a copy was refused.
    """
    ids = _ids(queryset)
    errors = [
        _run_again(job, model_admin, request)
        for jobs in _batches(ids, queryset)
        for job in jobs.finished().defer("return_value", "error")
    ]
    refusals = [error for error in errors if error]
    if copied := len(errors) - len(refusals):
        model_admin.message_user(request, reports.AGAIN % {"count": copied}, messages.SUCCESS)
    if skipped := len(ids) - len(errors):
        model_admin.message_user(request, reports.NOT_ENDED % {"count": skipped}, messages.WARNING)
    if refusals:
        details = {"count": len(refusals), "reason": refusals[0]}
        model_admin.message_user(request, reports.REFUSED % details, messages.ERROR)


@action(permissions=["sign"], description=_("Sign selected %(verbose_name_plural)s"))
@or_on_all("sign")
def sign_selected(
    model_admin: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[ScheduledJob]
) -> None:
    """Sign the selected jobs that are parked, and report how many were not."""
    ids = _ids(queryset)
    signed = sum(_sign(jobs, request) for jobs in _batches(ids, queryset))
    if signed:
        model_admin.message_user(request, reports.SIGNED % {"count": signed}, messages.SUCCESS)
    if skipped := len(ids) - signed:
        model_admin.message_user(request, reports.NOT_SIGNED % {"count": skipped}, messages.WARNING)


@action(permissions=["delete"], description=_("Delete selected %(verbose_name_plural)s"))
@or_on_all("delete")
def delete_selected(
    model_admin: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[ScheduledJob]
) -> HttpResponseBase | None:
    """Delete the selected jobs after a confirmation."""
    return delete_few(model_admin, request, queryset)


def delete_few(
    model_admin: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[Any]
) -> HttpResponseBase | None:
    """Delete rows after a confirmation, unless they are too many for its page."""
    if len(queryset.values_list("pk")[: MAX_DELETED + 1]) > MAX_DELETED:
        details = {"count": MAX_DELETED}
        model_admin.message_user(request, _TOO_MANY % details, messages.ERROR)
        return None
    return delete_after_confirmation(model_admin, request, queryset)


def _ids(queryset: QuerySet[ScheduledJob]) -> list[int]:
    # Read all ids first, because the action may move jobs in or out of the queryset. Oldest first,
    # because copies run in the order in which they are scheduled.
    return sorted(queryset.values_list("pk", flat=True))


def _batches(ids: list[int], queryset: QuerySet[ScheduledJob]) -> Iterator[ScheduledJobQuerySet]:
    for start in range(0, len(ids), BATCH_SIZE):
        batch = ids[start : start + BATCH_SIZE]
        yield ScheduledJob.objects.using(queryset.db).filter(pk__in=batch).order_by("pk")


def _cancel_all(
    queryset: QuerySet[ScheduledJob],
    model_admin: ReadOnlyAdmin,
    request: HttpRequest,
    *,
    running: bool,
) -> int:
    """Cancel jobs, report how many, and return how many were not cancelled."""
    ids = _ids(queryset)
    batches = _batches(ids, queryset)
    cancelled = sum(_cancel(jobs, request, running=running) for jobs in batches)
    if cancelled:
        model_admin.message_user(
            request, reports.CANCELLED % {"count": cancelled}, messages.SUCCESS
        )
    return len(ids) - cancelled


def _cancel(jobs: ScheduledJobQuerySet, request: HttpRequest, *, running: bool) -> int:
    ids = list(jobs.cancellable(running=running).values_list("pk", flat=True))
    user_id: Any = request.user.pk
    with transaction.atomic(using=jobs.db):
        count = cancel_jobs(jobs.filter(pk__in=ids), running=running)
        cancelled = jobs.filter(pk__in=ids, status=Status.CANCELLED)
        LogEntry.objects.log_actions(
            user_id,
            cancelled.only("callable_name", "scheduled_at"),
            CHANGE,
            change_message=gettext("Cancelled."),
        )
    return count


def _run_now(jobs: ScheduledJobQuerySet, request: HttpRequest) -> int:
    waiting = list(jobs.scheduled().values_list("pk", flat=True))
    user_id: Any = request.user.pk
    with transaction.atomic(using=jobs.db):
        count = run_jobs_now(jobs.filter(pk__in=waiting))
        LogEntry.objects.log_actions(
            user_id,
            jobs.scheduled().filter(pk__in=waiting).only("callable_name", "scheduled_at"),
            CHANGE,
            change_message=gettext("Moved to now."),
        )
    return count


def _retry(jobs: ScheduledJobQuerySet, request: HttpRequest) -> int:
    ended = list(jobs.filter(status__in=Status.retryable()).values_list("pk", flat=True))
    user_id: Any = request.user.pk
    with transaction.atomic(using=jobs.db):
        count = retry_jobs(jobs.filter(pk__in=ended))
        LogEntry.objects.log_actions(
            user_id,
            jobs.scheduled().filter(pk__in=ended).only("callable_name", "scheduled_at"),
            CHANGE,
            change_message=gettext("Retried."),
        )
    return count


def _sign(jobs: ScheduledJobQuerySet, request: HttpRequest) -> int:
    user_id: Any = request.user.pk
    with transaction.atomic(using=jobs.db):
        signed = [job for job in jobs_to_sign(jobs.parked()) if try_to_sign(job)]
        LogEntry.objects.log_actions(user_id, signed, CHANGE, change_message=gettext("Signed."))
    return len(signed)


def _run_again(
    job: ScheduledJob, model_admin: ReadOnlyAdmin, request: HttpRequest
) -> SchedulingError | None:
    with transaction.atomic(using=job._state.db):
        try:
            copy = job.reschedule("0s")
        except SchedulingError as error:
            return error
        message = gettext("Run again as job %(number)s.") % {"number": copy.pk}
        model_admin.log_change(request, job, message)
    return None
