"""The jobs that match the filter of the list, relative to when an act began."""

from collections.abc import Iterator, Sequence
from copy import copy
from datetime import datetime
from typing import Any

from django.contrib.admin.views.main import (
    ALL_VAR,
    ERROR_FLAG,
    ORDER_VAR,
    PAGE_VAR,
    ChangeList,
)
from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext

from django_future.admin.changelist import CappedPaginator
from django_future.admin.job_list.time_filters import set_now

# What a job may match by, and what may change. The id and the status come first.
COLUMNS = ("pk", "status", "scheduled_at", "started_at", "finished_at", "attempts",
           "failure_note_id")  # fmt: skip
_OF_THE_PAGE = (PAGE_VAR, ORDER_VAR, ALL_VAR, ERROR_FLAG)  # parameters that select no jobs


def filter_of(request: HttpRequest) -> str:
    """Return the part of the address of the list that selects jobs."""
    query = request.GET.copy()
    for name in _OF_THE_PAGE:
        query.pop(name, None)
    return query.urlencode()


class Matching:
    """The jobs that match a filter of the list now, with an id of at most `up_to`.

    Filters by time count from `at`. The queryset is that of the list itself, so it has only jobs
    that the user may see.
    """

    def __init__(
        self, model_admin: Any, request: HttpRequest, query: str, at: datetime, up_to: int
    ) -> None:
        filtered: Any = copy(request)
        filtered.GET = QueryDict(query)
        set_now(filtered, at)
        self._up_to = up_to
        self._list: ChangeList = model_admin.get_changelist_instance(filtered)
        self._jobs: QuerySet[Any] = self._list.queryset.order_by("pk")

    def after(self, last: int, limit: int) -> list[tuple[Any, ...]]:
        """Return the `COLUMNS` of the first jobs after the id `last`, in order."""
        return list(self._rest(last).values_list(*COLUMNS)[:limit])

    def among(self, ids: Sequence[int]) -> list[int]:
        """Return those of these ids whose jobs match now, and lock the jobs."""
        jobs = self._rest(0).filter(pk__in=ids).select_for_update()
        return list(jobs.values_list("pk", flat=True))

    def count(self, last: int = 0) -> int:
        """Return how many jobs are after the id `last`, capped like the count of the list."""
        return CappedPaginator(self._rest(last), 1).count

    def words(self) -> list[tuple[str, str]]:
        """Return the title and the choice of each active filter."""
        return [*self._chosen(), *self._other()]

    def _rest(self, last: int) -> QuerySet[Any]:
        return self._jobs.filter(pk__gt=last, pk__lte=self._up_to)

    def _chosen(self) -> Iterator[tuple[str, str]]:
        for spec in self._list.filter_specs:
            if spec.used_parameters:
                chosen = [one["display"] for one in spec.choices(self._list) if one["selected"]]
                yield str(spec.title), ", ".join(map(str, chosen))

    def _other(self) -> Iterator[tuple[str, str]]:
        shown = {name for spec in self._list.filter_specs for name in spec.expected_parameters()}
        for name, values in self._list.get_filters_params().items():
            if name not in shown:
                yield name, ", ".join(map(str, values))
        if self._list.query:
            yield gettext("search"), str(self._list.query)
