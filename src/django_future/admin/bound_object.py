"""How the admin shows the object of a job."""

from contextlib import suppress

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import quote
from django.db.models import Model
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext as _

from django_future.admin.addresses import address
from django_future.admin.display import NOTHING
from django_future.admin.job_form.objects import visible_object
from django_future.content_objects import content_type, find
from django_future.exceptions import InvalidObject, ObjectGone
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
    found = _visible(job, model, request, site)
    if found is None and _exists(job, model):
        return label(job)
    if found is None:
        return _("%(object)s (deleted)") % {"object": label(job)}
    page = f"{model._meta.app_label}_{model._meta.model_name}_change"
    url = address(site, page, quote(found.pk))
    return format_html('<a href="{}">{}</a> ({})', url, found, label(job)) if url else label(job)


def _visible(
    job: ScheduledJob, model: type[Model], request: HttpRequest, site: AdminSite
) -> Model | None:
    """Return the object if its own admin shows it to the user, or None."""
    if not site.is_registered(model):
        return None
    found = visible_object(model, str(job.object_id), request, site)
    # The admin may have found an object with the same key in another database.
    is_same = found is not None and job.object_database in {None, found._state.db}
    return found if is_same else None


def _exists(job: ScheduledJob, model: type[Model]) -> bool:
    with suppress(InvalidObject, ObjectGone):
        find(job, model)
        return True
    return False
