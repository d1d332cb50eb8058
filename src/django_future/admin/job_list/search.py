"""The search of the list of jobs. Each kind of term uses an index, or exact names."""

from contextlib import suppress
from typing import Any

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db.models import Q, QuerySet

from django_future.admin.job_form.catalogue import known_handlers

MAX_ID_DIGITS = 18  # a number with more digits may be larger than any primary key
MAX_TERM_LENGTH = 500


def found(jobs: QuerySet[Any], term: str) -> QuerySet[Any]:
    """Return the jobs that a term names.

    It is the id of a job, a part of the name of a handler that the code declares, the beginning of
    the name of any callable, or an object such as "shop.order 17" or "order 17". Unique keys are
    hidden values, so no search finds them.
    """
    term = term.strip()
    if not term or "\0" in term or len(term) > MAX_TERM_LENGTH:
        return jobs.none()
    if term.isdecimal():
        return jobs.filter(pk=term) if len(term) <= MAX_ID_DIGITS else jobs.none()
    if bound := _bound(jobs.db, term):
        return jobs.filter(bound)
    names = [name for name in known_handlers() if term.lower() in name.lower()]
    return jobs.filter(Q(callable_name__in=names) | Q(callable_name__startswith=term))


def _bound(alias: str, term: str) -> Q | None:
    kind, _, object_id = term.rpartition(" ")
    if not object_id or not (kinds := _kinds(alias, kind.strip().lower())):
        return None
    return Q(content_type__in=kinds, object_id=object_id)


def _kinds(alias: str, name: str) -> list[int]:
    """Return the ids of the content types that "shop.order" or "order" names."""
    content_types = ContentType.objects.db_manager(alias)
    named = [
        model._meta
        for model in apps.get_models()
        if name in {model._meta.label_lower, model._meta.model_name}
    ]
    found = []
    for meta in named:
        with suppress(ContentType.DoesNotExist):  # the table may be older than the code
            key = (meta.app_label, str(meta.model_name))
            found.append(content_types.get_by_natural_key(*key).pk)  # from the cache
    return found
