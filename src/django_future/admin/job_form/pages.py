"""The pages that schedule a job by a form."""

from typing import Any

from django.contrib import messages
from django.contrib.admin import helpers
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from django_future import clock
from django_future.admin.job_form.form import FIELDSETS, JobForm
from django_future.admin.job_form.objects import may_view, object_of, visible_object_of
from django_future.admin.job_form.original import initial_values
from django_future.content_objects import content_type
from django_future.databases import jobs_database
from django_future.exceptions import SchedulingError
from django_future.models import ScheduledJob
from django_future.scheduling.builder import Draft
from django_future.scheduling.jobs import add_draft
from django_future.status import Status

_FROM_URL = ("handler", "arguments", "content_type", "object_id", "when", "queue_name", "priority")


def urls(model_admin: Any) -> list[URLPattern]:
    """Return the URL of the page that duplicates a job."""
    view = model_admin.admin_site.admin_view(model_admin.readable(_duplicate_page))
    name = "django_future_scheduledjob_duplicate"
    return [path("<path:object_id>/duplicate/", view, name=name)]


def add_page(model_admin: Any, request: HttpRequest) -> HttpResponseBase:
    """Show the form of a new job, whose values the URL may contain, or schedule the job."""
    _check_permission(model_admin, request)
    initial = {name: request.GET[name] for name in _FROM_URL if name in request.GET}
    return _form_page(model_admin, request, initial, None)


def _duplicate_page(model_admin: Any, request: HttpRequest, object_id: str) -> HttpResponseBase:
    _check_permission(model_admin, request)
    job: ScheduledJob | None = model_admin.get_object(request, object_id)
    if job is None:
        missing: HttpResponseBase = model_admin._get_obj_does_not_exist_redirect(
            request, model_admin.opts, object_id
        )
        return missing
    if not model_admin.has_view_permission(request, job):
        raise PermissionDenied
    refusal = _why_not(job, model_admin, request)
    if refusal:
        model_admin.message_user(request, refusal, messages.ERROR)
        return HttpResponseRedirect(_page_of(job, model_admin))
    return _form_page(model_admin, request, initial_values(job), job)


def _check_permission(model_admin: Any, request: HttpRequest) -> None:
    if not model_admin.has_add_permission(request):
        raise PermissionDenied


def _why_not(job: ScheduledJob, model_admin: Any, request: HttpRequest) -> str:
    if not job.is_signed:
        return _("The signature of this job is not valid, so it cannot be duplicated.")
    if job.object_id is None:
        return ""
    kind = content_type(job)
    model, site = None if kind is None else kind.model_class(), model_admin.admin_site
    is_visible = model is not None and may_view(model, request, site)
    # If the object is gone, the user can choose another one.
    is_hidden = object_of(job) is not None and visible_object_of(job, request, site) is None
    if not is_visible or is_hidden:
        return _("You may not view the object of this job, so you cannot duplicate the job.")
    return ""


def _form_page(
    model_admin: Any, request: HttpRequest, initial: dict[str, Any], original: ScheduledJob | None
) -> HttpResponseBase:
    given: Any = {"request": request, "site": model_admin.admin_site, "original": original}
    form = JobForm(request.POST if request.method == "POST" else None, initial=initial, **given)
    if form.is_valid():
        try:
            job = _schedule(form, model_admin, request, original)
        except SchedulingError as error:
            form.add_error(None, str(error))
        else:
            return HttpResponseRedirect(_page_of(job, model_admin))
    return _rendered(form, model_admin, request, original)


def _schedule(
    form: JobForm, model_admin: Any, request: HttpRequest, original: ScheduledJob | None
) -> ScheduledJob:
    new, is_replacing = form.draft
    may_move = is_replacing and model_admin.has_operate_permission(request)
    with transaction.atomic(using=new._state.db or jobs_database(instance=new)):
        job = add_draft(Draft(new, is_replacing=may_move))
        if job is not new:
            has_moved = is_replacing and job.status == Status.SCHEDULED
            if has_moved and not may_move:
                text = _("Job %(number)s has the same unique key, and you may not move it.")
                raise SchedulingError(text % {"number": job.pk})
            _report_holder(job, model_admin, request, has_moved=has_moved)
            return job
        message: Any = [{"added": {}}]
        if original is not None:
            message = _("Added as a duplicate of job %(number)s.") % {"number": original.pk}
        model_admin.log_addition(request, job, message)
    link = format_html('<a href="{}">{}</a>', _page_of(job, model_admin), job)
    done = format_html(_("The job “{}” was scheduled."), link)
    model_admin.message_user(request, done, messages.SUCCESS)
    return job


def _report_holder(
    job: ScheduledJob, model_admin: Any, request: HttpRequest, *, has_moved: bool
) -> None:
    """Log and show that `job` has the unique key, and whether it has moved to the new time."""
    text = _("No job was added, because job %(number)s has the same unique key.")
    text %= {"number": job.pk}
    if has_moved:
        at = clock.from_row(job.scheduled_at).astimezone(clock.current_zone())
        moved = _("Job %(number)s was moved to %(time)s.")
        text += " " + moved % {"number": job.pk, "time": f"{at:%Y-%m-%d %H:%M:%S %Z}"}
    model_admin.log_change(request, job, text)
    model_admin.message_user(request, text, messages.WARNING)


def _page_of(job: ScheduledJob, model_admin: Any) -> str:
    pages, site = "admin:django_future_scheduledjob", model_admin.admin_site.name
    if jobs_database(instance=job) != jobs_database():  # the admin shows those of one database
        return reverse(f"{pages}_changelist", current_app=site)
    return reverse(f"{pages}_change", args=[job.pk], current_app=site)


def _rendered(
    form: JobForm, model_admin: Any, request: HttpRequest, original: ScheduledJob | None
) -> HttpResponseBase:
    admin_form = helpers.AdminForm(form, FIELDSETS, {}, (), model_admin=model_admin)
    title = _("Schedule a job")
    if original is not None:
        title = _("Schedule a job like job %(number)s") % {"number": original.pk}
    context = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "subtitle": None,
        "adminform": admin_form,
        "object_id": None,
        "original": None,
        "is_popup": False,
        "to_field": None,
        "media": model_admin.media + admin_form.media,
        "inline_admin_formsets": [],
        "errors": helpers.AdminErrorList(form, []),
        "preserved_filters": model_admin.get_preserved_filters(request),
        "show_save_and_add_another": False,
        "show_save_and_continue": False,
    }
    response: HttpResponseBase = model_admin.render_change_form(request, context, add=True)
    return response
