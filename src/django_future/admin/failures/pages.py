"""The views of the page of failures, and the action of the list of jobs."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.contrib.admin import action
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from django_future import clock
from django_future.admin.after_login import acting_view, nothing_done
from django_future.admin.bulk import or_on_all
from django_future.admin.failures import acts
from django_future.admin.failures.groups import number, shown_groups, shown_notes
from django_future.admin.logged_acts import LoggedAct, perform
from django_future.models import ScheduledJob
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.status import Status
from django_future.store import Store, store_for
from django_future.store.backlog import force_index_plan
from django_future.store.failure_notes import MAX_NOTE_LENGTH
from django_future.store.failures import jobs_of, jobs_of_all

MAX_ACTED = 10_000  # jobs in one request
MAX_ID_DIGITS = 18
TEMPLATES = "admin/django_future/failures"


def urls(model_admin: Any) -> list[URLPattern]:
    """Return the addresses of the page of failures and of its acts."""

    def route(address: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
        restricted = require_safe if view is show_failures else acting_view
        own = model_admin.admin_site.admin_view(restricted(model_admin.readable(view)))
        pattern: URLPattern = path(address, own, name=name)
        return pattern

    return [
        route("failures/", show_failures, "django_future_failures"),
        route("failures/act/", act_on_failures, "django_future_failures_act"),
        route("failures/reopen/", reopen_failures, "django_future_failures_reopen"),
        route(
            "<path:object_id>/dealt-with/",
            deal_with_job,
            "django_future_scheduledjob_dealt_with",
        ),
    ]


def show_failures(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """Show the open failures in groups, and the notes on those that are dealt with."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    store = _store(model_admin, request)
    list_url = _url(model_admin, "scheduledjob_changelist")
    return _page(
        model_admin,
        request,
        "page.html",
        {
            "title": gettext("Failures"),
            **shown_groups(store, list_url),
            "notes": shown_notes(store, list_url),
            "may_operate": model_admin.has_operate_permission(request),
            "act_url": _url(model_admin, "failures_act"),
            "reopen_url": _url(model_admin, "failures_reopen"),
        },
    )


def act_on_failures(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """Retry a group of failures or all, or deal with them, after a confirmation."""
    _require_operator(model_admin, request)
    if request.method != "POST":
        return nothing_done(model_admin, request, _url(model_admin, "failures"))
    store = _store(model_admin, request)
    operation = request.POST.get("operation")
    if operation not in {"retry", "deal"}:
        raise Http404
    ids, back_url = _ids(store, _chosen(store, request)), _url(model_admin, "failures")
    if "confirmed" not in request.POST:
        fields = ("operation", "scope", "callable_name", "error_kind", "last_id", "shown_at")
        hidden = [(name, request.POST[name]) for name in fields if name in request.POST]
        return _confirm(model_admin, request, operation, ids, hidden, back_url)
    act = acts.RETRY if operation == "retry" else _deal_with(request, store.alias)
    _perform(act, ids, request, store.alias)
    return HttpResponseRedirect(back_url)


def reopen_failures(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """Make the failures of a note open again."""
    _require_operator(model_admin, request)
    if request.method != "POST":
        return nothing_done(model_admin, request, _url(model_admin, "failures"))
    store = _store(model_admin, request)
    note_id = _number(request.POST.get("note"))
    jobs = store.jobs.filter(status=Status.FAILED, failure_note=note_id)
    ids = _ids(store, jobs) if note_id else []
    _perform(acts.REOPEN, ids, request, store.alias)
    return HttpResponseRedirect(_url(model_admin, "failures"))


def deal_with_job(model_admin: Any, request: HttpRequest, object_id: str) -> HttpResponse:
    """Mark one failed job as dealt with."""
    _require_operator(model_admin, request)
    job = model_admin.get_object(request, object_id)
    if job is None:
        raise Http404
    if not model_admin.has_view_permission(request, job):
        raise PermissionDenied
    page = _url(model_admin, "scheduledjob_change", job.pk)
    if request.method != "POST":
        return nothing_done(model_admin, request, page)
    database = _store(model_admin, request).alias
    _perform(_deal_with(request, database), [job.pk], request, database)
    return HttpResponseRedirect(page)


@action(
    permissions=["operate"], description=_("Mark selected %(verbose_name_plural)s as dealt with")
)
@or_on_all("deal_with")
def deal_with_selected(
    model_admin: Any, request: HttpRequest, queryset: QuerySet[ScheduledJob]
) -> HttpResponse | None:
    """Mark the selected failed jobs as dealt with, after a confirmation with a note."""
    ids = sorted(queryset.order_by().values_list("pk", flat=True)[: MAX_ACTED + 1])
    if "confirmed" in request.POST:
        _perform(_deal_with(request, queryset.db), ids, request, queryset.db)
        return None
    hidden = [
        (name, value)
        for name in ("action", ACTION_CHECKBOX_NAME)
        for value in request.POST.getlist(name)
    ]
    return _confirm(model_admin, request, "deal", ids, hidden, request.get_full_path())


def _require_operator(model_admin: Any, request: HttpRequest) -> None:
    if not model_admin.has_operate_permission(request):
        raise PermissionDenied


def _store(model_admin: Any, request: HttpRequest) -> Store:
    return store_for(model_admin.get_queryset(request).db)


def _chosen(store: Store, request: HttpRequest) -> ScheduledJobQuerySet:
    """Return the jobs that the form names, without those that failed after it was shown."""
    name, kind = (request.POST.get(field, "") for field in ("callable_name", "error_kind"))
    last_id = _number(request.POST.get("last_id"))
    shown_at = _row_time(request.POST.get("shown_at", ""))
    if last_id is None or shown_at is None or "\0" in name + kind:
        return store.jobs.none()
    is_group = request.POST.get("scope") != "all"
    jobs = jobs_of(store, name, kind) if is_group else jobs_of_all(store)
    # A job with a lower id may fail again. The id keeps the server from reading all newer ones.
    return jobs.filter(pk__lte=last_id).exclude(finished_at__gt=shown_at)


def _ids(store: Store, jobs: ScheduledJobQuerySet) -> list[int]:
    with force_index_plan(store):
        return list(jobs.values_list("pk", flat=True)[: MAX_ACTED + 1])


def _number(text: str | None) -> int | None:
    is_id = text is not None and text.isascii() and text.isdecimal() and len(text) <= MAX_ID_DIGITS
    return int(text) if text and is_id else None


def _row_time(text: str) -> datetime | None:
    try:
        return clock.to_row(datetime.fromisoformat(text).astimezone(UTC))
    except (OverflowError, ValueError):
        return None


def _deal_with(request: HttpRequest, database: str) -> LoggedAct:
    note = request.POST.get("note", "").strip()
    return acts.deal_with(note, request.user.get_username(), database)


def _perform(act: LoggedAct, ids: Sequence[int], request: HttpRequest, database: str) -> None:
    """Act on up to `MAX_ACTED` jobs, and show whether more remain."""
    perform(act, ids[:MAX_ACTED], request, database)
    if len(ids) > MAX_ACTED:
        messages.warning(request, gettext("There are more jobs. Do it again for the rest."))
    if not ids:
        messages.warning(request, gettext("No job was found. Nothing was changed."))


def _confirm(
    model_admin: Any,
    request: HttpRequest,
    operation: str,
    ids: Sequence[int],
    hidden: list[tuple[str, str]],
    back_url: str,
) -> HttpResponse:
    count = min(len(ids), MAX_ACTED)
    retry = ngettext("Retry this job?", "Retry these jobs?", count)
    title = retry if operation == "retry" else gettext("Mark as dealt with?")
    return _page(
        model_admin,
        request,
        "confirm.html",
        {
            "title": title,
            "operation": operation,
            "count": count,
            "count_shown": number(count),
            "is_cut": len(ids) > MAX_ACTED,
            "hidden": hidden,
            "name": request.POST.get("callable_name", ""),
            "kind": request.POST.get("error_kind", ""),
            "max_note_length": MAX_NOTE_LENGTH,
            "back_url": back_url,
        },
    )


def _page(
    model_admin: Any, request: HttpRequest, name: str, context: dict[str, Any]
) -> HttpResponse:
    request.current_app = model_admin.admin_site.name
    shared = {"opts": model_admin.opts, "failures_url": _url(model_admin, "failures")}
    context = {**model_admin.admin_site.each_context(request), **shared, **context}
    response: HttpResponse = TemplateResponse(request, f"{TEMPLATES}/{name}", context)
    return response


def _url(model_admin: Any, name: str, *arguments: Any) -> str:
    site = model_admin.admin_site.name
    return reverse(f"admin:django_future_{name}", args=arguments, current_app=site)
