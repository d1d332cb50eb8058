"""The check that commands make first: the database answers and has the tables."""

from django.core.management.base import CommandError
from django.db import DatabaseError, connections

from django_future.schema import describe_missing, remedy


def check_tables(alias: str) -> None:
    """Raise `CommandError` if the database cannot be reached or has no current tables."""
    try:
        missing = describe_missing(connections[alias])
    except DatabaseError as error:
        raise CommandError(
            f"The database {alias!r} cannot be reached: {' '.join(str(error).split())}"
        ) from error
    if missing:
        raise CommandError(f"The database {alias!r} {missing}. Run `{remedy(alias)}`.")
