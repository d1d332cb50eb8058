"""Actions on the jobs that are selected in the admin, or on all jobs that match its filter."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.admin import action
from django.contrib.admin.actions import delete_selected as delete_after_confirmation
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_future.admin import reports
from django_future.admin.bulk import or_on_all
from django_future.admin.bulk.acts import try_to_sign
from django_future.admin.logged_acts import LoggedAct, batches, log_changes, perform
from django_future.admin.read_only import ReadOnlyAdmin
from django_future.exceptions import SchedulingError
from django_future.models import ScheduledJob
from django_future.scheduling.cancel import cancel_jobs
from django_future.scheduling.move import run_jobs_now
from django_future.scheduling.retry import retry_jobs
from django_future.scheduling.signing import jobs_to_sign
from django_future.status import Status
from django_future.store import Store, store_for
from django_future.store.contention import retry_on_contention, write_transaction

MAX_DELETED = 500  # jobs; the confirmation page has one form field for each
_TOO_MANY = _("No more than %(count)s jobs can be deleted at once. Nothing was deleted.")
_WAITING = frozenset({Status.SCHEDULED, Status.PARKED})

RUN_NOW = LoggedAct(
    run_jobs_now,
    lambda job: job.status == Status.SCHEDULED,
    _("Made due now."),
    reports.NOW,
    reports.NOT_NOW,
)
CANCEL = LoggedAct(
    cancel_jobs,
    lambda job: job.status in _WAITING,
    _("Cancelled."),
    reports.CANCELLED,
    reports.NOT_CANCELLED,
)
CANCEL_RUNNING = LoggedAct(
    partial(cancel_jobs, running=True),
    lambda job: job.status in _WAITING | {Status.RUNNING},
    _("Cancelled."),
    reports.CANCELLED,
    reports.ENDED,
)
RETRY = LoggedAct(
    retry_jobs,
    lambda job: job.status in Status.retryable(),
    _("Retried."),
    reports.RETRIED,
    reports.NOT_RETRIED,
)


@action(permissions=["operate"], description=_("Run selected %(verbose_name_plural)s now"))
@or_on_all("run_now")
def run_selected_now(
    _model_admin: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[ScheduledJob]
) -> None:
    """Make the selected jobs that are scheduled due now, and report how many were not."""
    perform(RUN_NOW, _ids(queryset), request, queryset.db)


@action(permissions=["operate"], description=_("Cancel selected %(verbose_name_plural)s"))
@or_on_all("cancel")
def cancel_selected(
    _model_admin: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[ScheduledJob]
) -> None:
    """Cancel the selected jobs that are still scheduled, and report how many were not."""
    perform(CANCEL, _ids(queryset), request, queryset.db)


@action(
    permissions=["operate"],
    description=_("Cancel selected %(verbose_name_plural)s, including running ones"),
)
@or_on_all("cancel_running")
def cancel_running(
    _model_admin: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[ScheduledJob]
) -> None:
    """Cancel the selected jobs that have not ended, and report how many had."""
    perform(CANCEL_RUNNING, _ids(queryset), request, queryset.db)


@action(permissions=["operate"], description=_("Retry selected %(verbose_name_plural)s"))
@or_on_all("retry")
def retry_selected(
    _model_admin: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[ScheduledJob]
) -> None:
    """Retry the selected jobs that ended without success, and report how many did not."""
    perform(RETRY, _ids(queryset), request, queryset.db)


@action(permissions=["operate"], description=_("Run selected %(verbose_name_plural)s again"))
@or_on_all("run_again")
def run_again(
    model_admin: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[ScheduledJob]
) -> None:
    """Schedule a copy of each selected job that has ended, due at once.

    Report how many had not ended, and why a copy was refused.
    """
    ids, store = _ids(queryset), store_for(queryset.db)
    errors = [
        _run_again(store, job, model_admin, request)
        for batch in batches(ids)
        for job in store.jobs.filter(pk__in=batch)
        .finished()
        .order_by("pk")
        .defer("return_value", "error")
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
    ids, store = _ids(queryset), store_for(queryset.db)
    signed = sum(_sign(store, batch, request) for batch in batches(ids))
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


@retry_on_contention
def _run_again(
    store: Store, job: ScheduledJob, model_admin: ReadOnlyAdmin, request: HttpRequest
) -> SchedulingError | None:
    try:
        with write_transaction(store):
            copy = job.reschedule("0s")
            message = gettext("Run again as job %(number)s.") % {"number": copy.pk}
            model_admin.log_change(request, job, message)
    except SchedulingError as error:
        return error
    return None


@retry_on_contention
def _sign(store: Store, ids: Sequence[int], request: HttpRequest) -> int:
    with write_transaction(store):
        parked = store.jobs.filter(pk__in=ids).parked()
        signed = [job for job in jobs_to_sign(parked) if try_to_sign(job)]
        log_changes(request, signed, _("Signed."))
    return len(signed)
