"""How the admin shows the object of a job."""

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext as _

from django_future.admin.addresses import address
from django_future.admin.display import NOTHING
from django_future.admin.job_form.objects import listed_object_of, object_of
from django_future.content_objects import content_type
from django_future.models import ScheduledJob


def label(job: ScheduledJob) -> str:
    """Return the name of the object, such as 'shop.order 17', without a query for the object."""
    if job.object_id is None:
        return NOTHING
    found = content_type(job)
    kind = "?" if found is None else ".".join(found.natural_key())
    return f"{kind} {job.object_id}"


def link(job: ScheduledJob, request: HttpRequest, site: AdminSite) -> str:
    """Return a link to the object's admin page, or only its label if the user may not view it."""
    kind = content_type(job)
    model = None if kind is None else kind.model_class()
    if job.object_id is None or model is None:
        return label(job)
    found = listed_object_of(job, model, request, site)
    if found is None and object_of(job) is not None:
        return label(job)
    if found is None:
        return _("%(object)s (deleted)") % {"object": label(job)}
    page = f"{model._meta.app_label}_{model._meta.model_name}_change"
    url = address(site, page, quote(found.pk))
    return format_html('<a href="{}">{}</a> ({})', url, found, label(job)) if url else label(job)
