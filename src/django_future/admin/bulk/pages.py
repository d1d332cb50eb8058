"""The confirmation of an act on all jobs that match, and the page that shows its progress."""

import uuid
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db import connections, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext, ngettext

from django_future import clock
from django_future.admin.after_login import acting_view, nothing_done
from django_future.admin.bulk.acts import ACTS, Act
from django_future.admin.bulk.matching import Matching, filter_of
from django_future.admin.bulk.progress import Progress, begin, newest_entry, recorded
from django_future.admin.bulk.result import report, sentences
from django_future.admin.bulk.running import EntryGone, advance
from django_future.admin.changelist import MAX_COUNTED
from django_future.admin.reports import report_missing
from django_future.models import ScheduledJob
from django_future.store import store_for
from django_future.store.due import newest_id
from django_future.store.failure_notes import MAX_NOTE_LENGTH
from django_future.text import storable

SESSION_KEY = "django_future_bulk"
MAX_REMEMBERED = 5  # acts of one session
TEMPLATES = "admin/django_future/bulk"

Action = Callable[[Any, HttpRequest, QuerySet[Any]], Any]


def or_on_all(name: str) -> Callable[[Action], Action]:
    """Let an action of the list ask for a confirmation if the user has selected all that match."""

    def decorate(action: Action) -> Action:
        @wraps(action)
        def act(model_admin: Any, request: HttpRequest, queryset: QuerySet[ScheduledJob]) -> Any:
            across = forms.BooleanField(required=False).clean(request.POST.get("select_across"))
            if across:
                return _confirm(model_admin, request, ACTS[name])
            report_missing(model_admin, request, queryset)
            return action(model_admin, request, queryset)

        return act

    return decorate


def urls(model_admin: Any) -> list[URLPattern]:
    """Return the URL to which the confirmation and the page of the progress post."""
    view = acting_view(model_admin.readable(_run))
    for alias in connections:  # each batch is a transaction of its own
        view = transaction.non_atomic_requests(using=alias)(view)
    pattern: URLPattern = path(
        "bulk/", model_admin.admin_site.admin_view(view), name="django_future_scheduledjob_bulk"
    )
    return [pattern]


def _confirm(model_admin: Any, request: HttpRequest, act: Act) -> HttpResponse:
    """Show how many jobs match and what will be done to them, and remember it."""
    _require(model_admin, request, act)
    at = clock.now()
    store = store_for(model_admin.get_queryset(request).db)
    up_to = newest_id(store)
    query = filter_of(request)
    matching = Matching(model_admin, request, query, at, up_to)
    count = matching.count()
    key = uuid.uuid4().hex
    if count:
        progress = Progress(key, newest_entry(), act.name, query, at.isoformat(), up_to)
        _remember(request, key, progress.to_text())
    text = ngettext(
        "%(number)s job matches the filter.", "%(number)s jobs match the filter.", count
    )
    return _page(
        model_admin,
        request,
        "confirm.html",
        {
            "title": act.title,
            "act": act,
            "matches": text % {"number": count},
            "count": int(count),
            "filters": matching.words(),
            "key": key,
            "max_note_length": MAX_NOTE_LENGTH,
            "list_url": _list_url(model_admin, query),
        },
    )


def _run(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """Act for about one second, and show the progress, or the result in the list."""
    if not any(_may(model_admin, request, act) for act in ACTS.values()):
        raise PermissionDenied
    if request.method != "POST":
        return nothing_done(model_admin, request, _list_url(model_admin, ""))
    key = request.POST.get("bulk", "")
    remembered = request.session.get(SESSION_KEY, {}).get(key)
    is_confirmation = isinstance(remembered, str)  # later it is the id of the entry
    entry_id = _confirmed(model_admin, request, remembered) if is_confirmation else remembered
    progress = None if entry_id is None else recorded(entry_id, request.user.pk)
    if progress is None:
        return _lost(model_admin, request)
    act = ACTS[progress.act]
    _require(model_admin, request, act)
    at, up_to = datetime.fromisoformat(progress.at), progress.up_to
    store = store_for(model_admin.get_queryset(request).db)
    try:
        matching = Matching(model_admin, request, progress.filter, at, up_to)
        progress = advance(store, matching, entry_id, progress)
    except (EntryGone, IncorrectLookupParameters):
        return _lost(model_admin, request)
    if progress.has_ended:
        report(model_admin, request, act, progress)
        return HttpResponseRedirect(_list_url(model_admin, progress.filter))
    return _show(model_admin, request, act, progress, matching.count(progress.last), key)


def _confirmed(model_admin: Any, request: HttpRequest, remembered: str) -> int:
    """Return the id of the entry of the log for an act that this request confirms."""
    progress = Progress.from_text(remembered)
    act = ACTS[progress.act]
    _require(model_admin, request, act)
    if act.has_note:
        progress.author = request.user.get_username()
        progress.note = storable(request.POST.get("note", "")).strip()[:MAX_NOTE_LENGTH]
    entry_id = begin(progress, request.user.pk, str(act.done % {"count": 0}))
    _remember(request, progress.key, entry_id)
    return entry_id


def _show(
    model_admin: Any,
    request: HttpRequest,
    act: Act,
    progress: Progress,
    remaining: int,
    key: str,
) -> HttpResponse:
    passed = progress.done + progress.total_untouched + progress.refused
    text = ngettext("%(number)s job remains.", "%(number)s jobs remain.", remaining)
    return _page(
        model_admin,
        request,
        "progress.html",
        {
            "title": act.title,
            "sentences": sentences(act, progress),
            "remaining": text % {"number": remaining},
            "passed": passed,
            "total": passed + remaining if remaining <= MAX_COUNTED else None,
            "key": key,
            "list_url": _list_url(model_admin, progress.filter),
        },
    )


def _remember(request: HttpRequest, key: str, act: str | int) -> None:
    """Remember the progress of an act to confirm, or the id of the entry of a confirmed one.

    With an id, a form that is sent again after the entry was deleted does not repeat the act.
    """
    acts = {**request.session.get(SESSION_KEY, {}), key: act}
    request.session[SESSION_KEY] = dict(list(acts.items())[-MAX_REMEMBERED:])


def _lost(model_admin: Any, request: HttpRequest) -> HttpResponse:
    text = gettext("This action is no longer known. Select the jobs again to act on the rest.")
    model_admin.message_user(request, text, messages.ERROR)
    return HttpResponseRedirect(_list_url(model_admin, ""))


def _may(model_admin: Any, request: HttpRequest, act: Act) -> bool:
    is_visible = model_admin.has_view_permission(request)
    may_act = getattr(model_admin, f"has_{act.permission}_permission")
    return bool(is_visible and may_act(request))


def _require(model_admin: Any, request: HttpRequest, act: Act) -> None:
    if not _may(model_admin, request, act):
        raise PermissionDenied


def _list_url(model_admin: Any, query: str) -> str:
    site = model_admin.admin_site.name
    url = reverse("admin:django_future_scheduledjob_changelist", current_app=site)
    return f"{url}?{query}" if query else url


def _page(
    model_admin: Any, request: HttpRequest, name: str, context: dict[str, Any]
) -> HttpResponse:
    site = model_admin.admin_site
    request.current_app = site.name
    bulk_url = reverse("admin:django_future_scheduledjob_bulk", current_app=site.name)
    shared = {"opts": model_admin.opts, "bulk_url": bulk_url}
    response: HttpResponse = TemplateResponse(
        request, f"{TEMPLATES}/{name}", {**site.each_context(request), **shared, **context}
    )
    return response
