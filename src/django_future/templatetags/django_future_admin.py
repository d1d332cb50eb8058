"""The tag that shows the overview on the first page of the app in the admin."""

from typing import Any

from django import template
from django.contrib.admin.sites import all_sites
from django.template import Context
from django.urls import reverse

from django_future.admin.overview import page
from django_future.models import ScheduledJob

register = template.Library()


@register.inclusion_tag("admin/django_future/overview/part.html", takes_context=True)
def future_overview(context: Context) -> dict[str, Any]:
    """Show the overview, if the user may view jobs."""
    request = context["request"]
    name = getattr(request, "current_app", "admin")
    site = next((site for site in all_sites if site.name == name), None)
    model_admin: Any = site and site._registry.get(ScheduledJob)
    if model_admin is None or not model_admin.has_view_permission(request):
        return {}
    shown = model_admin._with_readable_text(
        lambda request: page.context(model_admin, request), request
    )
    return {
        **shown,
        "request": request,
        "csrf_token": context.get("csrf_token"),
        "refresh_url": reverse("admin:django_future_overview", current_app=name),
        "refresh_seconds": page.REFRESH_SECONDS,
    }
