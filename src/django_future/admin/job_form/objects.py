"""The object to which a new job is bound: what the user may choose, and how it is found."""

from contextlib import suppress
from typing import Any

from django.apps import apps
from django.contrib.admin import AdminSite
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import DatabaseError
from django.db.models import Model
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from django_future.content_objects import content_type
from django_future.databases import saved_objects
from django_future.exceptions import InvalidObject
from django_future.models import ScheduledJob


def offered_models(
    request: HttpRequest, site: AdminSite, original: ScheduledJob | None
) -> dict[str, type[Model]]:
    """Return the models whose objects the user may view, by labels such as 'shop.order'.

    These are the models of the site, without those of this package, and that of the object of
    `original`. Others, such as sessions, are not for people to choose.
    """
    kind = None if original is None else content_type(original)
    own = None if kind is None else kind.model_class()
    models = {model._meta.label_lower: model for model in apps.get_models()}
    return {
        label: model
        for label, model in sorted(models.items())
        if (model is own or _is_offered(model, site)) and may_view(model, request, site)
    }


def _is_offered(model: type[Model], site: AdminSite) -> bool:
    return site.is_registered(model) and model._meta.app_label != ScheduledJob._meta.app_label


def may_view(
    model: type[Model], request: HttpRequest, site: AdminSite, found: Model | None = None
) -> bool:
    """Return whether the user may view the objects of `model`, or the one that is `found`."""
    if site.is_registered(model):
        return bool(site.get_model_admin(model).has_view_permission(request, found))
    label, name = model._meta.app_label, model._meta.model_name
    return request.user.has_perms([f"{label}.view_{name}"])


def visible_object(
    model: type[Model], object_id: str, request: HttpRequest, site: AdminSite
) -> Model | None:
    """Return an object that the user may view, or None.

    If the site shows the model, its admin decides which objects the user sees.
    """
    found: Model | None = None
    # The text may not be a primary key of this model.
    with suppress(ObjectDoesNotExist, ValidationError, ValueError, OverflowError, DatabaseError):
        if site.is_registered(model):
            found = site.get_model_admin(model).get_object(request, object_id)
        else:
            found = saved_objects(model, None).get(pk=object_id)
    return found if found is not None and may_view(model, request, site, found) else None


def object_of(job: ScheduledJob) -> Model | None:
    """Return the object of a job, or None if it is gone."""
    with suppress(InvalidObject):  # its database is not in the settings any more
        found: Model | None = job.content_object
        return found
    return None


def visible_object_of(job: ScheduledJob, request: HttpRequest, site: AdminSite) -> Model | None:
    """Return the object of a job if the user may view it, or None."""
    found = object_of(job)
    if found is None:
        return None
    if site.is_registered(type(found)):
        return listed_object_of(job, type(found), request, site)
    return found if may_view(type(found), request, site) else None


def listed_object_of(
    job: ScheduledJob, model: type[Model], request: HttpRequest, site: AdminSite
) -> Model | None:
    """Return the object of a job if the admin of its model shows it to the user, or None."""
    if not site.is_registered(model):
        return None
    found = visible_object(model, str(job.object_id), request, site)
    # The admin may have found an object with the same key in another database.
    is_same = found is not None and job.object_database in {None, found._state.db}
    return found if is_same else None


def lookup_url(model: type[Model], request: HttpRequest, site: AdminSite) -> str | None:
    """Return the address of the page on which the user can choose an object, if there is one."""
    if not site.is_registered(model) or not may_view(model, request, site):
        return None
    page = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
    key: Any = model._meta.pk
    try:
        return f"{reverse(page, current_app=site.name)}?_to_field={key.name}"
    except NoReverseMatch:
        return None
