"""The tag that shows the overview on the first page of the app in the admin."""

from typing import Any

from django import template
from django.template import Context
from django.urls import NoReverseMatch, resolve, reverse

from django_future.admin.overview import page

register = template.Library()


@register.inclusion_tag("admin/django_future/overview/part.html", takes_context=True)
def future_overview(context: Context) -> dict[str, Any]:
    """Show the overview, if the site of the page has it and the user may view jobs."""
    request = context["request"]
    try:
        address = reverse(
            "admin:django_future_overview", current_app=getattr(request, "current_app", None)
        )
    except NoReverseMatch:
        return {}
    # By the address, because several sites may have the same name.
    model_admin: Any = resolve(address).func.model_admin  # type: ignore[attr-defined]
    if not model_admin.has_view_permission(request):
        return {}
    shown = model_admin._with_readable_text(
        lambda request: page.context(model_admin, request), request
    )
    return {
        **shown,
        "request": request,
        "csrf_token": context.get("csrf_token"),
        "refresh_url": address,
        "refresh_seconds": page.REFRESH_SECONDS,
    }
