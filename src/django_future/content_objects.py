"""The content object of a job, which can be in another database than the job."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db.models import Model, Q

from django_future.databases import (
    jobs_database,
    object_database,
    saved_objects,
    stored_object_database,
)
from django_future.exceptions import ObjectGone

if TYPE_CHECKING:
    from django_future.models import ScheduledJob


def content_type_of(content_object: Model, alias: str) -> ContentType:
    """Return the content type of an object, from the database `alias`."""
    content_types = ContentType.objects.db_manager(alias)
    return content_types.get_for_model(content_object, for_concrete_model=False)


def content_type(job: "ScheduledJob") -> ContentType | None:
    """Return the content type of the object of `job`, from the database of the job."""
    if job.content_type_id is None:
        return None
    content_types = ContentType.objects.db_manager(jobs_database(instance=job))
    return content_types.get_for_id(job.content_type_id)


def load_label(job: "ScheduledJob") -> None:
    """Load the content type of a job, so that `known_label` contains its name."""
    with suppress(ContentType.DoesNotExist):
        content_type(job)


def known_label(job: "ScheduledJob") -> str:
    """Return the name of a job's object, such as 'shop.order 17', or '' without an object.

    It runs no query. If this process has not loaded the content type, the name shows its id.
    """
    values = job.__dict__  # an attribute would load a deferred field
    object_id, kind_id = values.get("object_id"), values.get("content_type_id")
    if object_id is None:
        return ""
    cache: dict[Any, ContentType] = ContentType.objects._cache.get(job._state.db, {})  # type: ignore[attr-defined]
    if kind_id not in cache:
        return f"object {object_id} of content type {kind_id}"
    return f"{'.'.join(cache[kind_id].natural_key())} {object_id}"


def bind(job: "ScheduledJob", content_object: Model | None) -> None:
    """Bind `job` to a saved object, or to none."""
    if content_object is None:
        job.content_type_id = job.object_id = job.object_database = None
        return
    job.content_type = content_type_of(content_object, jobs_database(instance=job))
    job.object_id = str(content_object.pk)
    job.object_database = stored_object_database(content_object)


def bound_to(content_object: Model, alias: str) -> Q:
    """Return the condition for jobs in the database `alias` that are bound to an object."""
    stored = stored_object_database(content_object)
    database = Q(object_database=stored or object_database(content_object))
    return Q(
        database if stored else database | Q(object_database=None),
        content_type=content_type_of(content_object, alias),
        object_id=str(content_object.pk),
    )


def find(job: "ScheduledJob", model: type[Model]) -> Model:
    """Load the content object of `job`, an instance of `model`, from its own database.

    Raises `ObjectGone`.
    """
    objects = saved_objects(model, job.object_database)
    try:
        return objects.get(pk=job.object_id)
    except (ObjectDoesNotExist, ValueError, ValidationError) as error:
        # The id may have another type than the primary key of the model.
        kind = content_type(job)
        raise ObjectGone(f"The content object, {kind} {job.object_id}, is gone.") from error


class ContentObjectField(GenericForeignKey):
    """A generic foreign key to an object that may be in another database than the row."""

    def contribute_to_class(self, cls: type[Model], name: str, *_: Any, **__: Any) -> None:
        super().contribute_to_class(cls, name)
        setattr(cls, name, ContentObject(self))


class ContentObject:
    """The attribute for the content object of a job; None if the object was deleted."""

    def __init__(self, field: ContentObjectField) -> None:
        self.field = field
        self.is_cached = field.is_cached

    def __get__(self, job: "ScheduledJob | None", cls: type[Model] | None = None) -> Any:
        if job is None:
            return self
        found = self.field.get_cached_value(job, default=None)
        if found is None and self.field.is_cached(job):
            return None
        if found is None or not _is_bound_to(job, found):
            found = _found(job)
            self.field.set_cached_value(job, found)
        return found

    def __set__(self, job: "ScheduledJob", content_object: Model | None) -> None:
        bind(job, content_object)
        self.field.set_cached_value(job, content_object)

    def get_prefetch_querysets(
        self, instances: Sequence["ScheduledJob"], querysets: object = None
    ) -> tuple[list[Model], Callable[..., Any], Callable[..., Any], bool, str, bool]:
        """Return the content objects of many jobs, for `prefetch_related`."""
        if querysets is not None:
            raise ValueError(
                "A content object can be of any model, so a queryset is not accepted. Remove it."
            )
        ids = defaultdict(set)
        for job in instances:
            if job.object_id is not None and (model := _model(job)) is not None:
                ids[model, job.object_database].add(job.object_id)
        objects = [
            found
            for (model, alias), pks in ids.items()
            for found in saved_objects(model, alias).filter(pk__in=pks)
        ]
        return objects, _key_of_object, _key_of_job, True, self.field.name, False


def _found(job: "ScheduledJob") -> Model | None:
    model = _model(job)
    if model is None or job.object_id is None:
        return None
    try:
        return find(job, model)
    except ObjectGone:
        return None


def _model(job: "ScheduledJob") -> type[Model] | None:
    kind = content_type(job)
    return None if kind is None else kind.model_class()


def _is_bound_to(job: "ScheduledJob", content_object: Model) -> bool:
    alias = jobs_database(instance=job)
    is_same_kind = job.content_type_id == content_type_of(content_object, alias).pk
    return is_same_kind and job.object_id == str(content_object.pk)


def _key_of_object(content_object: Model) -> tuple[type[Model], str, str | None]:
    return type(content_object), str(content_object.pk), content_object._state.db


def _key_of_job(job: "ScheduledJob") -> tuple[type[Model], str, str | None] | None:
    model = _model(job)
    if model is None:
        return None
    return model, job.object_id or "", saved_objects(model, job.object_database).db
