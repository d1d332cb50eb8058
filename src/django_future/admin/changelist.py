"""The list of jobs. Its cost grows with the table only if a filter or a search finds few jobs."""

from typing import Any

from django.conf import settings
from django.contrib.admin.views.main import ALL_VAR, PAGE_VAR, ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.db.models.functions import Left
from django.http import HttpRequest
from django.utils.functional import cached_property

from django_future.admin.job_list.merged_order import MergedOrder, page_of
from django_future.admin.job_list.search import near_names
from django_future.admin.job_list.time_filters import past_range

MAX_COUNTED = 10_000
SELECTIVE = frozenset({"id", "object_id", "recurring", "unique_key"})
MAX_PREVIEW_LENGTH = 1000  # characters of the arguments, which may be many megabytes


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts at most `MAX_COUNTED` rows, and one more if there are more; the pages end there."""

    @cached_property
    def count(self) -> int:
        """The number of rows; it shows as "10000+" if there are more."""
        rows: Any = self.object_list
        counted: int = rows.order_by().values("pk")[: MAX_COUNTED + 1].count()
        return counted if counted <= MAX_COUNTED else _MoreThan(counted)


def has_own_index(jobs: QuerySet[Any]) -> bool:
    """Return whether a condition on `jobs` has an index that finds few of them."""
    columns: list[Any] = [getattr(lookup, "lhs", None) for lookup in jobs.query.where.leaves()]
    names = {column.target.name for column in columns if hasattr(column, "target")}
    return bool(names & SELECTIVE)


class IdPaginator(CappedPaginator):
    """Counts jobs, and reads the ids of one page, in one statement.

    They are in the order of the primary key, or in an order by time. Without statistics, PostgreSQL
    would read and sort the whole table for a filter by a column that has no index of its own.

    `start` and `length` are those of the page that the request is about.
    """

    def __init__(
        self, jobs: Any, *args: Any, order: MergedOrder, start: int, length: int, **kwargs: Any
    ) -> None:
        super().__init__(jobs, *args, **kwargs)
        self._order = order
        self._start = start
        self._length = length

    @cached_property
    def count(self) -> int:
        """The number of jobs; it shows as "10000+" if there are more."""
        counted, _ = self._page
        if not counted and self._start:  # the list ends before the page
            counted, _ = self._read(0, 1)
        return counted if counted <= MAX_COUNTED else _MoreThan(counted)

    def ids(self, start: int, length: int) -> list[int]:
        """Return the ids of up to `length` jobs from `start` on."""
        is_read = start == self._start and length <= self._length
        _, found = self._page if is_read else self._read(start, length)
        return found[:length]

    @cached_property
    def _page(self) -> tuple[int, list[int]]:
        return self._read(self._start, self._length)

    def _read(self, start: int, length: int) -> tuple[int, list[int]]:
        jobs: Any = self.object_list
        return page_of(jobs, self._order, start, length, max_count=MAX_COUNTED + 1)


def requested_page(request: HttpRequest, model_admin: Any) -> tuple[int, int]:
    """Return where the requested page of a list starts, and its length."""
    if ALL_VAR in request.GET:
        return 0, model_admin.list_max_show_all
    try:
        number = int(request.GET.get(PAGE_VAR, 1))
    except ValueError:
        number = 1
    length = model_admin.list_per_page
    return min(max(number - 1, 0) * length, MAX_COUNTED + 1), length


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
        self._in_any_range = jobs = _without_large_columns(jobs)
        within = past_range(request, jobs.db)
        return jobs if within is None else jobs.filter(within)

    def get_results(self, request: HttpRequest) -> None:
        """Read the jobs of the page; in the order of a filter by time if there is one."""
        # The order has the range as a condition of each index. The same condition for the whole
        # list would take a tenth of the time of the page.
        matching, self.queryset = self.queryset, self._in_any_range
        super().get_results(request)
        self.queryset = matching
        if isinstance(self.paginator, IdPaginator):
            is_whole = not self.multi_page or (self.show_all and self.can_show_all)
            first = 0 if is_whole else (self.page_num - 1) * self.list_per_page
            count = int(self.result_count) if is_whole else self.list_per_page
            self.result_list = self._rows(self.paginator.ids(first, count))

    @cached_property
    def near_names(self) -> list[str]:
        """The names of handlers that the search may mean, if it finds nothing."""
        return near_names(self.query) if self.query and not self.result_count else []

    def _rows(self, ids: list[int]) -> list[Any]:
        if not ids:
            return []
        # By primary key only. With other conditions, PostgreSQL may choose another index.
        rows = self.root_queryset.filter(pk__in=ids).select_related("current_progress")
        places = {pk: place for place, pk in enumerate(ids)}
        found = list(_without_large_columns(rows).order_by())
        return sorted(found, key=lambda job: places[job.pk])


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
