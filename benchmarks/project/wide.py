"""A model with the columns of a job, but with Django's own field classes."""

from django.db import models

from django_future.models import ScheduledJob
from django_future.models.fields import InstantField, SignatureField, StoredField


def like_a_job() -> dict:
    """Return the attributes of a model with the columns, indexes and constraints of a job."""
    jobs = ScheduledJob._meta
    fields = {field.name: _plain(field) for field in jobs.local_fields if not field.primary_key}
    meta = {
        "indexes": [_renamed(index) for index in jobs.indexes],
        "constraints": [_renamed(constraint) for constraint in jobs.constraints],
    }
    return {**fields, "Meta": type("Meta", (), meta)}


def _plain(field: models.Field) -> models.Field:
    if isinstance(field, StoredField):
        return models.TextField(null=field.null, default=None if field.null else "")
    if isinstance(field, SignatureField):
        return models.CharField(max_length=field.max_length, default="", blank=True)
    if isinstance(field, InstantField):
        return models.DateTimeField(null=field.null, auto_now_add=field.auto_now_add)
    if isinstance(field, models.ForeignKey):
        # A foreign key cannot be cloned before all models are loaded. It is null and has no
        # constraint, because the migrations create its table after this one.
        return models.ForeignKey(
            field.remote_field.model,
            models.CASCADE,
            null=field.null,
            db_index=field.db_index,
            db_constraint=False,
            related_name="+",
        )
    return field.clone()


def _renamed(index):
    copy = index.clone()
    copy.name = copy.name.replace("future", "wide")
    return copy
