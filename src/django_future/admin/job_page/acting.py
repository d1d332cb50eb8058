"""Acts on one job. The server checks permission, job and state again."""

from typing import TYPE_CHECKING

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _

from django_future.admin.after_login import nothing_done
from django_future.admin.job_page.buttons import BUTTONS_BY_NAME, Button, Done, Refused
from django_future.exceptions import (
    InvalidTime,
    NotCancellable,
    NotMovable,
    NotRetryable,
    SchedulingError,
)
from django_future.models import ScheduledJob
from django_future.status import Status
from django_future.store import Store, store_for
from django_future.store.contention import retry_on_contention, write_transaction

if TYPE_CHECKING:
    from django_future.admin.jobs import ScheduledJobAdmin

_WRONG_STATE = (NotCancellable, NotMovable, NotRetryable)


def view(model_admin: "ScheduledJobAdmin", request: HttpRequest, job_id: int) -> HttpResponseBase:
    """Act on a job as the button that was clicked says, and show its page again."""
    if not model_admin.has_operate_permission(request):
        raise PermissionDenied
    site = model_admin.admin_site.name
    job = model_admin.get_object(request, str(job_id))
    if job is None:
        return _gone(model_admin, request, job_id)
    if not model_admin.has_view_permission(request, job):
        raise PermissionDenied
    page = reverse("admin:django_future_scheduledjob_change", args=[job.pk], current_app=site)
    if request.method != "POST":
        return nothing_done(model_admin, request, page)
    try:
        _act(model_admin, request, job, BUTTONS_BY_NAME.get(request.POST.get("action", "")))
    except ScheduledJob.DoesNotExist:  # deleted since it was read
        return _gone(model_admin, request, job_id)
    return HttpResponseRedirect(page)


def _gone(
    model_admin: "ScheduledJobAdmin", request: HttpRequest, job_id: int
) -> HttpResponseRedirect:
    text = _("Job %(number)s does not exist any more.") % {"number": job_id}
    model_admin.message_user(request, text, messages.WARNING)
    site = model_admin.admin_site.name
    page = reverse("admin:django_future_scheduledjob_changelist", current_app=site)
    return HttpResponseRedirect(page)


def _act(
    model_admin: "ScheduledJobAdmin", request: HttpRequest, job: ScheduledJob, button: Button | None
) -> None:
    if button is None:
        model_admin.message_user(request, _("The page sent an unknown action."), messages.ERROR)
        return
    try:
        done = _done(model_admin, request, job, button)
    except Refused as refusal:
        text = _("Nothing was changed: %(reason)s.") % {"reason": refusal}
        model_admin.message_user(request, text, messages.ERROR)
    else:
        model_admin.message_user(request, done.message, messages.SUCCESS)


def _done(
    model_admin: "ScheduledJobAdmin", request: HttpRequest, job: ScheduledJob, button: Button
) -> Done:
    try:
        return _logged(store_for(job._state.db), model_admin, request, job, button)
    except _WRONG_STATE as error:
        details = {"status": Status.label_of(job.status)}
        raise Refused(_("the status of the job is “%(status)s” now") % details) from error
    except InvalidTime as error:
        raise Refused(_("the time is out of range")) from error
    except SchedulingError as error:
        raise Refused(str(error).removesuffix(".")) from error


@retry_on_contention
def _logged(
    store: Store,
    model_admin: "ScheduledJobAdmin",
    request: HttpRequest,
    job: ScheduledJob,
    button: Button,
) -> Done:
    with write_transaction(store):
        done = button.act(job, request, model_admin.admin_site)
        model_admin.log_change(request, job, done.entry)
    return done
