"""A list of jobs whose cost does not grow with the table, unless a search finds little in it."""

from typing import Any

from django.conf import settings
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.db.models.functions import Left
from django.http import HttpRequest
from django.utils.functional import cached_property

MAX_COUNTED = 10_000
START = 1000  # characters of the arguments, which may be many megabytes


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than to the first row past ten thousand, where its pages end."""

    @cached_property
    def count(self) -> int:
        """The number of rows, or one that says it is not all of them."""
        rows: Any = self.object_list
        counted: int = rows.order_by().values("pk")[: MAX_COUNTED + 1].count()
        return counted if counted <= MAX_COUNTED else _MoreThan(counted)


class JobList(ChangeList):
    """The newest jobs first, in an order that an index has, without their largest columns."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:  # noqa: ARG002
        """Return the one order there is, whatever the address says."""
        return ["-pk"]

    def get_queryset(
        self, request: HttpRequest, exclude_parameters: list[str | None] | None = None
    ) -> QuerySet[Any]:
        """Read of the arguments only as much as a line can show."""
        jobs: QuerySet[Any] = super().get_queryset(request, exclude_parameters)
        jobs = jobs.annotate(args_start=Left("args", START), kwargs_start=Left("kwargs", START))
        return jobs.defer("args", "kwargs", "return_value", "error", "current_progress__log")


class _MoreThan(int):
    """A count that stopped one past what it stands for."""

    def __str__(self) -> str:
        # With separators Django would group the characters of this text, the sign among them.
        return str(int(self)) if settings.USE_THOUSAND_SEPARATOR else f"{int(self) - 1}+"
