"""The pause of one recurring job or of those selected in the list, after a page for the reason."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib.admin import action, helpers
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _

from django_future.admin.read_only import ReadOnlyAdmin
from django_future.admin.recurring import actions
from django_future.admin.reports import report_missing
from django_future.models import RecurringJob

MAX_LISTED = 50  # names on the page
_CONFIRMED = "post"  # as on the page of Django that confirms a deletion
_TEMPLATE = "admin/django_future/recurringjob/pause.html"


class PauseForm(forms.Form):
    """The reason of a pause."""

    reason = forms.CharField(label=_("Reason"), max_length=255, required=False)


@action(permissions=["operate"], description=_("Pause selected %(verbose_name_plural)s"))
def pause_selected(
    model_admin: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[RecurringJob]
) -> HttpResponseBase | None:
    """Pause the selected recurring jobs after a confirmation, and report how many were paused."""
    report_missing(model_admin, request, queryset)
    rows = list(queryset)
    form = PauseForm(request.POST if _CONFIRMED in request.POST else None)
    if form.is_valid():
        actions.pause(model_admin, request, rows, form.cleaned_data["reason"])
        return None
    names = helpers.ACTION_CHECKBOX_NAME, "action", "select_across"
    hidden = [(name, value) for name in names for value in request.POST.getlist(name)]
    hidden.append((_CONFIRMED, "yes"))
    return pause_page(model_admin, request, rows, form, request.get_full_path(), hidden)


def pause_page(
    model_admin: Any,
    request: HttpRequest,
    rows: list[RecurringJob],
    form: PauseForm,
    back_url: str,
    hidden: Sequence[tuple[str, str]] = (),
) -> HttpResponseBase:
    """Show the form for the reason, with the names of what it pauses."""
    active = [row for row in rows if not row.is_paused]
    request.current_app = model_admin.admin_site.name
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": RecurringJob._meta,
        "title": _("Pause"),
        "subtitle": str(rows[0]) if len(rows) == 1 else None,
        "form": form,
        "hidden": hidden,
        "back_url": back_url,
        "active": active[:MAX_LISTED],
        "more": len(active[MAX_LISTED:]),
        "paused": len(rows) - len(active),
        "media": model_admin.media,
    }
    return TemplateResponse(request, _TEMPLATE, context)
