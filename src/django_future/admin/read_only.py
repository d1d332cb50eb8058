"""An admin in which nobody adds or changes rows: what happens to them is all that changes them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.admin import ModelAdmin
from django.db import connections
from django.http import HttpRequest, HttpResponseBase

from django_future.store.unreadable import escaped, texts_read_as


def may_operate(request: HttpRequest) -> bool:
    """Tell whether the user may do something to jobs and queues, and not look at them only."""
    return request.user.has_perm("django_future.operate_scheduledjob")


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[type-arg]
    """Shows rows to whoever may view them.

    `filters` are the columns by whose whole value an address may choose rows.
    """

    filters: frozenset[str] = frozenset()

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Refuse everybody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Refuse everybody."""
        return False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:  # noqa: ARG002
        """Allow no lookup that would tell whether a guess at what is hidden is right."""
        return lookup.removesuffix("__exact") in self.filters and "\0" not in value

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Return the row of an address, or None if no row can have such a primary key."""
        return None if "\0" in object_id else super().get_object(request, object_id, from_field)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Show the list, also of rows with texts that are not UTF-8."""
        return self._readably(super().changelist_view, request, *args, **kwargs)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Show a row, also if it has texts that are not UTF-8."""
        return self._readably(super().changeform_view, request, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Delete a row, also if it has texts that are not UTF-8."""
        return self._readably(super().delete_view, request, *args, **kwargs)

    def _readably(
        self, view: Callable[..., HttpResponseBase], *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        with _escaping(self.get_queryset(args[0]).db) as is_escaping:
            response = view(*args, **kwargs)
            if is_escaping and hasattr(response, "render"):
                response.render()  # it asks the database, too
            return response


@contextmanager
def _escaping(alias: str) -> Iterator[bool]:
    """Let texts be read that are not UTF-8, which only SQLite holds; tell whether that is so."""
    connection = connections[alias]
    if connection.vendor != "sqlite":
        yield False
        return
    connection.ensure_connection()
    with texts_read_as(connection.connection, escaped):
        yield True
