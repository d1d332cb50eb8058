"""The search of the list of jobs. Each kind of term uses an index, or exact names."""

from contextlib import suppress
from difflib import get_close_matches
from typing import Any

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db.models import Q, QuerySet

from django_future.admin.display import short_name
from django_future.admin.job_form.catalogue import known_handlers
from django_future.admin.sensitive import has_sensitive
from django_future.handlers import MAX_NAME_LENGTH
from django_future.models import ScheduledJob
from django_future.options import MAX_KEY_LENGTH
from django_future.store import store_for
from django_future.store.handler_names import handler_names

MAX_ID_DIGITS = 18  # a number with more digits may be larger than any primary key
MAX_TERM_LENGTH = 500
MAX_WITH_KEY = 20  # jobs with the same unique key, each with its own callable
MAX_NEAR = 5


def found(jobs: QuerySet[Any], term: str) -> QuerySet[Any]:
    """Return the jobs that a term names.

    It is the id of a job, a part of the name of its handler, an object such as "shop.order 17" or
    "order 17", or a unique key.
    """
    term = term.strip()
    if not term or "\0" in term or len(term) > MAX_TERM_LENGTH:
        return jobs.none()
    if term.isdecimal():
        by_id = Q(pk=term) if len(term) <= MAX_ID_DIGITS else Q(pk__in=[])
        return jobs.filter(by_id | _with_key(jobs.db, term))
    if bound := _bound(jobs.db, term):
        return jobs.filter(bound | _with_key(jobs.db, term))
    names = _stored_names(jobs.db, term)
    named = Q(callable_name__by_index=names[0]) if len(names) == 1 else Q(callable_name__in=names)
    return jobs.filter(named | _with_key(jobs.db, term))


def near_names(term: str) -> list[str]:
    """Return names of handlers that are similar to a term; none if a name contains the term."""
    term = term.strip()
    if not term or " " in term or len(term) > MAX_NAME_LENGTH or term.isdecimal() or _names(term):
        return []
    by_short: dict[str, list[str]] = {}
    for name in known_handlers():
        by_short.setdefault(short_name(name).lower(), []).append(name)
    near = get_close_matches(short_name(term).lower(), by_short, MAX_NEAR)
    return [name for short in near for name in by_short[short]][:MAX_NEAR]


def _names(term: str) -> list[str]:
    return [name for name in known_handlers() if term.lower() in name.lower()]


def _stored_names(alias: str, term: str) -> list[str]:
    names = handler_names(store_for(alias))
    return [name for name in names if term.lower() in name.lower()]


def _with_key(alias: str, key: str) -> Q:
    """Return the condition of the jobs with a unique key, except those with hidden arguments.

    A key is often made from the arguments, so a search for such a key would let a user guess them.
    """
    if len(key) > MAX_KEY_LENGTH:
        return Q()
    rows = ScheduledJob.objects.using(alias).filter(unique_key=key).order_by()[:MAX_WITH_KEY]
    ids = [job.pk for job in rows if not has_sensitive(job)]
    return Q(pk__in=ids) if ids else Q()


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
