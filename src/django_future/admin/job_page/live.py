"""The part of the page of a job that refreshes: why it waits, its progress and its log."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse

from django_future import clock
from django_future.admin import columns, display
from django_future.databases import jobs_database
from django_future.diagnosis import Reason, diagnose
from django_future.models import JobProgress, ScheduledJob
from django_future.status import Status
from django_future.store import store_for

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

TEMPLATE = "admin/django_future/scheduledjob/live.html"
RUNNING_SECONDS, WAITING_SECONDS = 2, 5  # between two refreshes
MAX_WAIT = timedelta(minutes=10)  # a job that is due later is not refreshed
MAX_LOG_LENGTH = 20_000  # characters; the end of a longer log is shown
_BIG = ("args", "kwargs", "return_value", "options")


@dataclass(frozen=True)
class Live:
    """What the part shows. `shown_status` is the status for which the page was made."""

    job: ScheduledJob
    shown_status: str
    reasons: list[Reason]
    report: JobProgress | None

    @property
    def status(self) -> str:
        """The status as a sign and a word."""
        return display.status(self.job.status)

    @property
    def has_changed(self) -> bool:
        """Whether the page shows another status."""
        return self.job.status != self.shown_status

    @property
    def has_ended(self) -> bool:
        """Whether nothing changes by itself any more."""
        return self.job.status in {*Status.final(), Status.PARKED}

    @property
    def progress(self) -> str:
        """The last progress that the handler reported, in words."""
        return "" if self.report is None else display.progress(self.report)

    @property
    def has_bar(self) -> bool:
        """Whether the progress has an end."""
        report = self.report
        return report is not None and report.done is not None and (report.total or 0) > 0

    @property
    def log(self) -> str:
        """The log, without its beginning if it is long."""
        log = "" if self.report is None else self.report.log
        if len(log) > MAX_LOG_LENGTH:
            log = f"…\n{log[-MAX_LOG_LENGTH:].partition(chr(10))[2]}"
        return display.text(log) if log else ""


def live(job: ScheduledJob, shown_status: str | None = None) -> Live:
    """Return what the part shows of a job."""
    report = job.current_progress if columns.has_progress(job) else None
    return Live(job, shown_status or job.status, _reasons(job), report)


def refresh_seconds(job: ScheduledJob) -> int | None:
    """Return how often the part refreshes, or None if it does not change soon."""
    if job.status == Status.RUNNING:
        return RUNNING_SECONDS
    is_near = clock.from_row(job.scheduled_at) - clock.now() < MAX_WAIT
    return WAITING_SECONDS if job.status == Status.SCHEDULED and is_near else None


def url(job: ScheduledJob, site_name: str) -> str:
    """Return the address of the part, for a page that shows the status of `job`."""
    name = "admin:django_future_scheduledjob_progress"
    return f"{reverse(name, args=[job.pk], current_app=site_name)}?shown={job.status}"


def view(model_admin: "ModelAdmin[Any]", request: HttpRequest, job_id: int) -> HttpResponseBase:
    """Return the part as HTML; 204 if it is the one that the page shows, and does not change."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    shown_status = request.GET.get("shown", "")
    jobs = model_admin.get_queryset(request).select_related("current_progress").defer(*_BIG)
    job = next(iter(jobs.filter(pk=job_id)), None)
    if job is not None:
        if not model_admin.has_view_permission(request, job):
            raise PermissionDenied
        found = live(job, shown_status)
        if found.has_ended and not found.has_changed:
            return HttpResponse(status=204)
    context = {"live": None if job is None else found, "job_id": job_id}
    response = TemplateResponse(request, TEMPLATE, context)
    response.headers["Cache-Control"] = "no-store"
    return response.render()


def _reasons(job: ScheduledJob) -> list[Reason]:
    try:
        return diagnose(job, store_for(jobs_database(instance=job)))
    except (OverflowError, ValueError):  # SQL wrote a time that has no text
        return []
