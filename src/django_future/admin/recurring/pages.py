"""Pages that pause, resume, trigger and backfill one recurring job, and the preview of a form."""

from datetime import datetime
from functools import partial
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from django_future import clock
from django_future.admin.after_login import acting_view, nothing_done
from django_future.admin.recurring import actions, display, preview
from django_future.admin.recurring.pause import PauseForm, pause_page
from django_future.exceptions import FutureError
from django_future.models import RecurringJob
from django_future.scheduling.recurring import missing_instants
from django_future.store import Store, store_for
from django_future.store.contention import retry_on_contention, write_transaction

_TEMPLATES = "admin/django_future/recurringjob"


class BackfillForm(forms.Form):
    """A period whose instants get a run."""

    start = forms.DateTimeField(label=_("Start"))
    end = forms.DateTimeField(label=_("End"), help_text=_("Inclusive, and not in the future."))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        text = _("Such as 2026-03-27 00:00 in the zone %(zone)s.")
        self.fields["start"].help_text = text % {"zone": clock.current_zone()}

    @property
    def period(self) -> tuple[datetime, datetime]:
        """The first and the last instant, after validation."""
        start, end = (self.cleaned_data[name] for name in ("start", "end"))
        return _aware(start), _aware(end)


def urls(model_admin: Any) -> list[Any]:
    """Return the URLs of these pages."""
    views = {"pause": _pause, "resume": _resume, "trigger": _trigger, "backfill": _backfill}

    def pattern(name: str, view: Any) -> Any:
        def checked(request: HttpRequest, pk: int) -> HttpResponseBase:
            recurring = _operable(model_admin, request, pk)
            if request.method != "POST" and name in {"resume", "trigger"}:
                return nothing_done(model_admin, request, _address(model_admin, recurring))
            response: HttpResponseBase = view(model_admin, request, recurring)
            return response

        readable = acting_view(partial(model_admin._with_readable_text, checked))
        return path(
            f"<int:pk>/{name}/",
            model_admin.admin_site.admin_view(readable),
            name=f"django_future_recurringjob_{name}",
        )

    fragment = partial(preview.fragment, model_admin)
    previewed = model_admin.admin_site.admin_view(
        require_safe(partial(model_admin._with_readable_text, fragment))
    )
    return [
        path("preview/", previewed, name="django_future_recurringjob_preview"),
        *(pattern(name, view) for name, view in views.items()),
    ]


def _operable(model_admin: Any, request: HttpRequest, pk: int) -> RecurringJob:
    if not model_admin.has_operate_permission(request):
        raise PermissionDenied
    recurring: RecurringJob | None = model_admin.get_object(request, str(pk))
    if recurring is None:
        raise Http404
    if not model_admin.has_view_permission(request, recurring):
        raise PermissionDenied
    return recurring


def _pause(model_admin: Any, request: HttpRequest, recurring: RecurringJob) -> HttpResponseBase:
    form = PauseForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        actions.pause(model_admin, request, [recurring], form.cleaned_data["reason"])
        return _to_page(model_admin, recurring)
    return pause_page(model_admin, request, [recurring], form, _address(model_admin, recurring))


def _resume(model_admin: Any, request: HttpRequest, recurring: RecurringJob) -> HttpResponseBase:
    actions.resume(model_admin, request, [recurring])
    return _to_page(model_admin, recurring)


def _trigger(model_admin: Any, request: HttpRequest, recurring: RecurringJob) -> HttpResponseBase:
    actions.trigger(model_admin, request, [recurring])
    return _to_page(model_admin, recurring)


def _backfill(model_admin: Any, request: HttpRequest, recurring: RecurringJob) -> HttpResponseBase:
    form = BackfillForm(request.POST if request.method == "POST" else None)
    found: dict[str, Any] = {}
    if form.is_valid():
        try:
            # Only a period whose runs were counted.
            if request.POST.get("_confirm") == _text_of(form.period):
                return _backfilled(model_admin, request, recurring, form.period)
            found = _found(recurring, form.period)
        except FutureError as error:
            form.add_error(None, str(error))
        except (ValueError, OverflowError, TypeError) as error:  # of a row that SQL wrote
            form.add_error(None, str(error) or type(error).__name__)
    return _page(
        model_admin, request, recurring, "backfill", title=_("Backfill"), form=form, **found
    )


def _found(recurring: RecurringJob, period: tuple[datetime, datetime]) -> dict[str, Any]:
    instants, missing = missing_instants(recurring, *period)
    text = ngettext(
        "%(missing)s of %(count)s instant will get a run.",
        "%(missing)s of %(count)s instants will get a run.",
        len(instants),
    )
    shown = {"summary": text % {"missing": len(missing), "count": len(instants)}}
    if not missing:
        return shown
    first, last = (display.with_zone(instant) for instant in (missing[0], missing[-1]))
    return {**shown, "first": first, "last": last, "counted": _text_of(period)}


def _backfilled(
    model_admin: Any,
    request: HttpRequest,
    recurring: RecurringJob,
    period: tuple[datetime, datetime],
) -> HttpResponseBase:
    count = _backfill_and_log(
        store_for(recurring._state.db), model_admin, request, recurring, period
    )
    report = ngettext("%(count)s run was scheduled.", "%(count)s runs were scheduled.", count)
    model_admin.message_user(request, report % {"count": count}, messages.SUCCESS)
    return _to_page(model_admin, recurring)


@retry_on_contention
def _backfill_and_log(
    store: Store,
    model_admin: Any,
    request: HttpRequest,
    recurring: RecurringJob,
    period: tuple[datetime, datetime],
) -> int:
    with write_transaction(store):
        if count := len(recurring.backfill(*period)):
            zone = clock.current_zone()
            start, end = (f"{value.astimezone(zone):%Y-%m-%d %H:%M}" for value in period)
            text = ngettext(
                "Backfilled %(count)s run from %(start)s to %(end)s.",
                "Backfilled %(count)s runs from %(start)s to %(end)s.",
                count,
            )
            details = {"count": count, "start": start, "end": end}
            model_admin.log_change(request, recurring, text % details)
    return count


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo is not None else value.replace(tzinfo=clock.current_zone())


def _text_of(period: tuple[datetime, datetime]) -> str:
    return "/".join(instant.isoformat() for instant in period)


def _page(
    model_admin: Any, request: HttpRequest, recurring: RecurringJob, template: str, **context: Any
) -> HttpResponseBase:
    site = model_admin.admin_site
    request.current_app = site.name
    context = {
        **site.each_context(request), "opts": RecurringJob._meta, "recurring": recurring,
        "subtitle": str(recurring), **context,
    }  # fmt: skip
    return TemplateResponse(request, f"{_TEMPLATES}/{template}.html", context)


def _to_page(model_admin: Any, recurring: RecurringJob) -> HttpResponseRedirect:
    return HttpResponseRedirect(_address(model_admin, recurring))


def _address(model_admin: Any, recurring: RecurringJob) -> str:
    name = "admin:django_future_recurringjob_change"
    return reverse(name, args=[recurring.pk], current_app=model_admin.admin_site.name)
