"""Whether a database has the tables that this version of django-future needs."""

from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models import Model


def what_is_missing(connection: BaseDatabaseWrapper) -> str:
    """Return which tables, or columns of this version, a database lacks, in words; '' if none."""
    models = list(apps.get_app_config("django_future").get_models())
    with connection.cursor() as cursor:
        there = set(connection.introspection.table_names(cursor))
        tables = [model._meta.db_table for model in models if model._meta.db_table not in there]
        if len(tables) == len(models):
            return "has no tables of django-future"
        if tables:
            return f"lacks the tables {', '.join(tables)}"
        outdated = [model._meta.db_table for model in models if _lacks_columns(model, cursor)]
    return f"lacks columns of {', '.join(outdated)}" if outdated else ""


def remedy(alias: str) -> str:
    """Return how to create what is missing in the database `alias`."""
    return "manage.py migrate" if alias == "default" else f"manage.py migrate --database {alias}"


def _lacks_columns(model: type[Model], cursor: CursorWrapper) -> bool:
    # Django's introspection of SQLite stumbles over some constraints.
    cursor.execute(f"SELECT * FROM {model._meta.db_table} WHERE 1 = 0")  # noqa: S608 - our own table
    there = {column[0] for column in cursor.description}
    return any(field.column not in there for field in model._meta.local_concrete_fields)
