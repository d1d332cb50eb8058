"""The overview as a part of a page, which refreshes by itself."""

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils import formats
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from django_future import clock
from django_future.admin import display, times
from django_future.admin.display import short_name
from django_future.admin.failures.groups import shown_group
from django_future.admin.overview.charts import coming_charts, ended_charts
from django_future.admin.overview.problems import Problem, problems
from django_future.admin.overview.snapshot import MAX_GROUPS, QueueLine, Snapshot, snapshot
from django_future.admin.permissions import may_pause_queues
from django_future.models import PausedQueue, RecurringJob, ScheduledJob, Worker
from django_future.store import store_for
from django_future.store.backlog import MAX_QUEUES
from django_future.store.current import CurrentJob

TEMPLATE = "admin/django_future/overview/overview.html"
REFRESH_SECONDS = 5
MAX_ROWS = 10  # of running jobs and of the next ones
_MODELS = {
    "scheduledjob": ScheduledJob,
    "pausedqueue": PausedQueue,
    "worker": Worker,
    "recurringjob": RecurringJob,
}


def urls(model_admin: Any) -> list[URLPattern]:
    """Return the address of the part that refreshes."""

    def with_admin(request: HttpRequest) -> HttpResponseBase:
        found: HttpResponseBase = model_admin._with_readable_text(
            lambda request: _fragment(model_admin, request), request
        )
        return found

    view = model_admin.admin_site.admin_view(with_admin)
    view.model_admin = model_admin  # for the tag, which knows only the address
    return [path("overview/", view, name="django_future_overview")]


def context(model_admin: Any, request: HttpRequest) -> dict[str, Any]:
    """Return the variables of the template."""
    state = snapshot(store_for(model_admin.get_queryset(request).db))
    address = Addresses(model_admin.admin_site, request)
    hour_and_day = ended_charts(state)
    groups = state.failures[:MAX_GROUPS]
    return {
        "state": state,
        "shown_at": f"{state.at.astimezone(clock.current_zone()):%H:%M:%S}",
        "problems": [_problem(one, address) for one in problems(state)],
        "well": _("Nothing is late, and no failure is open: %(summary)s in the last hour.")
        % {"summary": hour_and_day[0].summary},
        "charts": [*hour_and_day, *coming_charts(state)],
        "queues": [_queue(queue, state, address) for queue in state.queues],
        "running": [_running(job, state, address) for job in state.started[:MAX_ROWS]],
        "more_running": max(len(state.started) - MAX_ROWS, 0),
        "more_shown": _at_least(len(state.started) - MAX_ROWS, state),
        "max_queues": MAX_QUEUES,
        "coming": list(_coming(state, address)),
        "workers": [_worker(worker, state) for worker in state.workers],
        "groups": [shown_group(group, state.at, address.list("scheduledjob")) for group in groups],
        "has_more_groups": len(state.failures) > MAX_GROUPS,
        "may_pause": may_pause_queues(request),
        "pause_url": address.of("pausedqueue_add"),
        "resume_url": address.list("pausedqueue"),
        "failures_url": address.of("failures"),
        "jobs_url": address.list("scheduledjob"),
    }


class Addresses:
    """The addresses of pages of the admin that the user may view."""

    def __init__(self, site: Any, request: HttpRequest) -> None:
        self._site = site
        self._request = request

    def of(self, name: str, *arguments: Any) -> str:
        """Return the address of a page; "" if the site does not have it."""
        try:
            return reverse(
                f"admin:django_future_{name}", args=arguments, current_app=self._site.name
            )
        except NoReverseMatch:
            return ""

    def list(self, kind: str, filters: str = "") -> str:
        """Return the address of a list; "" if the user may not view it."""
        registered = self._site._registry.get(_MODELS[kind])
        if registered is None or not registered.has_view_permission(self._request):
            return ""
        return self.of(f"{kind}_changelist") + (f"?{filters}" if filters else "")

    def row(self, kind: str, pk: Any) -> str:
        """Return the address of a row; "" if the user may not view it."""
        return self.of(f"{kind}_change", pk) if self.list(kind) else ""


def _fragment(model_admin: Any, request: HttpRequest) -> HttpResponse:
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    request.current_app = model_admin.admin_site.name
    response = TemplateResponse(request, TEMPLATE, context(model_admin, request))
    response.headers["Cache-Control"] = "no-store"
    return response.render()


def _at_least(running: int, state: Snapshot) -> str:
    """Return a number of running jobs, with "+" if not all of them were read."""
    return formats.number_format(running) + ("" if state.jobs.is_complete else "+")


def _problem(problem: Problem, address: Addresses) -> dict[str, str]:
    if problem.page == "failures":
        url = address.of("failures")
    elif problem.pk is not None:
        url = address.row(problem.page, problem.pk)
    else:
        url = address.list(problem.page, problem.filters)
    return {"text": problem.text, "url": url, "remedy": problem.remedy}


def _queue(queue: QueueLine, state: Snapshot, address: Addresses) -> dict[str, Any]:
    filters = urlencode({"status__exact": "scheduled", "queue_name": queue.name})
    more = "" if queue.backlog.is_exact else "+"
    oldest_at = queue.backlog.oldest_at
    return {
        "name": queue.name,
        "url": address.list("scheduledjob", filters),
        "due": formats.number_format(queue.backlog.due) + more,
        "waiting": formats.number_format(queue.backlog.waiting) + more,
        "oldest": times.relative(clock.to_row(oldest_at), state.at) if oldest_at else "",
        "running": _at_least(queue.running, state),
        "paused": queue.paused,
        "paused_since": queue.paused and times.relative(queue.paused.paused_at, state.at),
        "workers": queue.workers,
    }


def _running(job: CurrentJob, state: Snapshot, address: Addresses) -> dict[str, Any]:
    started_at, report = job.started_at or state.at, job.progress
    has_bar = report is not None and report.done is not None and (report.total or 0) > 0
    return {
        **_job(job, address),
        "since": times.exact(clock.to_row(started_at), times.length(state.at - started_at)),
        "progress": "" if report is None else display.progress(report),
        "report": report if has_bar else None,
        "worker": job.worker,
        "is_lost": job.worker not in {worker.name for worker in state.alive},
    }


def _coming(state: Snapshot, address: Addresses) -> Iterator[dict[str, Any]]:
    """Yield the next jobs and the next runs of recurring jobs, the earliest first."""
    found: list[tuple[Any, dict[str, Any]]] = [
        (job.scheduled_at, _job(job, address)) for job in state.jobs.next[:MAX_ROWS]
    ]
    for one in state.recurring:
        if one.next_run_at is not None:
            row = {
                "name": one.name,
                "title": one.callable_name,
                "url": address.row("recurringjob", one.pk),
                "queue": one.queue_name or "",
                "is_recurring": True,
            }
            found.append((clock.from_row(one.next_run_at), row))
    for at, row in sorted(found, key=lambda pair: pair[0])[:MAX_ROWS]:
        yield {**row, "when": times.relative(clock.to_row(at), state.at)}


def _job(job: CurrentJob, address: Addresses) -> dict[str, Any]:
    return {
        "name": short_name(job.callable_name),
        "title": job.callable_name,
        "url": address.row("scheduledjob", job.id),
        "queue": job.queue_name,
    }


def _worker(worker: Worker, state: Snapshot) -> dict[str, Any]:
    return {
        "worker": worker,
        "queues": worker.describe_queues(),
        "running": _at_least(state.running_by_worker[worker.name], state),
        "seen": times.relative(worker.seen_at, state.at),
        "is_alive": worker in state.alive,
        "jobs": [
            short_name(job.callable_name) for job in state.started if job.worker == worker.name
        ][:MAX_ROWS],
    }
