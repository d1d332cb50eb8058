"""Checks that a database has the tables and columns of this version."""

from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models import Model


def describe_missing(connection: BaseDatabaseWrapper) -> str:
    """Return which tables or columns a database lacks, as a predicate, or '' if none."""
    models = list(apps.get_app_config("django_future").get_models())
    with connection.cursor() as cursor:
        existing = set(connection.introspection.table_names(cursor))
        tables = [model._meta.db_table for model in models if model._meta.db_table not in existing]
        if len(tables) == len(models):
            return "has no tables of django-future"
        if tables:
            return f"lacks the tables {', '.join(tables)}"
        outdated = [model._meta.db_table for model in models if _lacks_columns(model, cursor)]
    return f"lacks columns of {', '.join(outdated)}" if outdated else ""


def remedy(alias: str) -> str:
    """Return the command that creates the missing tables of the database `alias`."""
    return "manage.py migrate" if alias == "default" else f"manage.py migrate --database {alias}"


def _lacks_columns(model: type[Model], cursor: CursorWrapper) -> bool:
    # Not by introspection: Django's introspection of SQLite fails for some constraints.
    cursor.execute(f"SELECT * FROM {model._meta.db_table} WHERE 1 = 0")  # noqa: S608 - our own table
    existing = {column[0] for column in cursor.description}
    return any(field.column not in existing for field in model._meta.local_concrete_fields)
