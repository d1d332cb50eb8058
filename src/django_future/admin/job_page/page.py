"""What the page of a job shows, and the addresses that belong to it."""

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path
from django.utils.translation import gettext as _

from django_future import clock
from django_future.admin import display
from django_future.admin.addresses import address
from django_future.admin.job_page import (
    acting,
    buttons,
    live,
    related,
    timeline,
    tracebacks,
    values,
)
from django_future.models import FailureNote, ScheduledJob
from django_future.status import Status
from django_future.store.failure_notes import MAX_NOTE_LENGTH
from django_future.when import MAX_TEXT_LENGTH

if TYPE_CHECKING:
    from django_future.admin.jobs import ScheduledJobAdmin


def urls(model_admin: Any) -> list[URLPattern]:
    """Return the addresses of the actions and of the part that refreshes."""

    def pattern(name: str, view: Any) -> URLPattern:
        own = model_admin.admin_site.admin_view(model_admin.readable(view))
        found: URLPattern = path(
            f"<int:job_id>/{name}/", own, name=f"django_future_scheduledjob_{name}"
        )
        return found

    return [pattern("act", acting.view), pattern("progress", live.view)]


def rows(jobs: "QuerySet[Any]") -> "QuerySet[Any]":
    """Return the jobs with what their pages show, in one query."""
    related_jobs = jobs.select_related("current_progress", "failure_note")
    # Under another name, because the attribute is decoded when the sensitive names are read.
    found: QuerySet[Any] = related_jobs.annotate(
        recurring_name=F("recurring__name"), stored_options=F("options")
    )
    return found


def found(jobs: "QuerySet[Any]", object_id: str) -> Any:
    """Return the job with this id; None if there is none, or the id is not valid."""
    try:
        pk = ScheduledJob._meta.pk.to_python(object_id)
        return next(iter(jobs.filter(pk=pk)), None)
    except (ValidationError, ValueError):
        return None


def context(
    model_admin: "ScheduledJobAdmin", request: HttpRequest, job: ScheduledJob
) -> dict[str, Any]:
    """Return the variables of the template for the page of `job`."""
    site, at = model_admin.admin_site, clock.now()
    may_operate = model_admin.has_operate_permission(request)
    attempts = timeline.attempts_of(job)
    is_trace = job.status == Status.FAILED or bool(job.error and job.attempts)
    return {
        "job": job,
        "status": display.status(job.status),
        "call": values.call(job),
        "live": live.live(job),
        "live_url": live.url(job, site.name),
        "live_seconds": live.refresh_seconds(job),
        "buttons": buttons.buttons_for(job) if may_operate else [],
        "dealt_with_url": buttons.dealt_with_url(job, site) if may_operate else "",
        "duplicate_url": (
            address(site, "django_future_scheduledjob_duplicate", job.pk)
            if model_admin.has_add_permission(request)
            else ""
        ),
        "max_note_length": MAX_NOTE_LENGTH,
        "max_time_length": MAX_TEXT_LENGTH,
        "may_delete": model_admin.has_delete_permission(request, job),
        "dealt_with": _dealt_with(job.failure_note),
        "errors": tracebacks.parse(job.error) if is_trace else [],
        "arguments": values.arguments(job),
        "raw_arguments": values.raw_arguments(job),
        "events": timeline.events(job, attempts, at),
        "others": related.others(job, model_admin.get_queryset(request), site),
        "links": related.links(job, site),
    }


def _dealt_with(note: FailureNote | None) -> str:
    """Return who has dealt with the failure, and why."""
    if note is None:
        return ""
    given = {"author": note.author, "text": note.text, "note": note.text}
    if note.author and note.text:
        return _("Dealt with by %(author)s: %(text)s") % given
    if note.author:
        return _("Dealt with by %(author)s.") % given
    return _("Dealt with: %(note)s") % given if note.text else _("Dealt with.")
