"""The list of jobs. Its cost grows with the table only if a search finds few jobs."""

from typing import Any

from django.conf import settings
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.db.models.functions import Left
from django.http import HttpRequest
from django.utils.functional import cached_property

from django_future.admin.job_list.search import near_names
from django_future.admin.job_list.time_filters import order_of, past_range
from django_future.admin.job_list.time_order import TimeOrder, ids_of, in_order

MAX_COUNTED = 10_000
MAX_PREVIEW_LENGTH = 1000  # characters of the arguments, which may be many megabytes


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts at most `MAX_COUNTED` rows, and one more if there are more; the pages end there."""

    @cached_property
    def count(self) -> int:
        """The number of rows; it shows as "10000+" if there are more."""
        rows: Any = self.object_list
        counted: int = rows.order_by().values("pk")[: MAX_COUNTED + 1].count()
        return counted if counted <= MAX_COUNTED else _MoreThan(counted)


class JobList(ChangeList):
    """The newest jobs first, in the order of the primary key, without their largest columns.

    A filter by time has an order of its own.
    """

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:  # noqa: ARG002
        """Return the only order, without regard to the URL."""
        return ["-pk"]

    def get_queryset(
        self, request: HttpRequest, exclude_parameters: list[str | None] | None = None
    ) -> QuerySet[Any]:
        """Return the jobs that match, in the order of the primary key."""
        jobs: QuerySet[Any] = super().get_queryset(request, exclude_parameters)
        self._of_all_times = jobs
        within = past_range(request, jobs.db)
        return _without_large_columns(jobs if within is None else jobs.filter(within))

    def get_results(self, request: HttpRequest) -> None:
        """Read the jobs of the page; in the order of a filter by time if there is one."""
        super().get_results(request)
        order = order_of(request, self.queryset.db)
        if order is not None:
            is_whole = self.show_all and self.can_show_all
            count = int(self.result_count) if is_whole else self.list_per_page
            first = 0 if is_whole else (self.page_num - 1) * self.list_per_page
            has_range = order.has_range or past_range(request, self.queryset.db) is None
            jobs = self._of_all_times if has_range else self.queryset
            self.result_list = self._page_of(jobs, order, first, count)

    @cached_property
    def near_names(self) -> list[str]:
        """The names of handlers that the search may mean, if it finds nothing."""
        return near_names(self.query) if self.query and not self.result_count else []

    def _page_of(self, jobs: QuerySet[Any], order: TimeOrder, first: int, count: int) -> list[Any]:
        ids = ids_of(jobs, order, first, count)
        if ids is None or not self.result_count:
            return []
        # By primary key only. With other conditions, PostgreSQL may choose another index.
        rows = self.root_queryset.filter(pk__in=ids).select_related("current_progress")
        return in_order(_without_large_columns(rows).order_by(), order)


def _without_large_columns(jobs: QuerySet[Any]) -> QuerySet[Any]:
    """Read only the beginning of the arguments, because a line shows no more."""
    jobs = jobs.annotate(
        args_start=Left("args", MAX_PREVIEW_LENGTH), kwargs_start=Left("kwargs", MAX_PREVIEW_LENGTH)
    )
    return jobs.defer("args", "kwargs", "return_value", "error", "current_progress__log")


class _MoreThan(int):
    """A count that stopped at one more than the number that it shows, such as "10000+"."""

    def __str__(self) -> str:
        # Django groups the characters of this text by thousands, and would count "+" as a digit.
        return str(int(self)) if settings.USE_THOUSAND_SEPARATOR else f"{int(self) - 1}+"
