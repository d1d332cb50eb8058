"""The filters of the list of jobs. No choice is read from the table of jobs."""

from collections.abc import Iterable
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_future.admin.display import short_name
from django_future.admin.job_form.catalogue import known_handlers
from django_future.admin.queue_column import known_workers
from django_future.models import PausedQueue, RecurringJob
from django_future.status import Status

MAX_CHOICES = 50
MAX_ID_DIGITS = 18


class StatusFilter(SimpleListFilter):
    """Jobs of one status."""

    title = _("status")
    parameter_name = "status__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002
        """Return the statuses."""
        return list(Status.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        """Return the jobs of the status."""
        status = _text(self.value())
        return queryset if status is None else queryset.filter(status__by_index=status)


class HandlerFilter(SimpleListFilter):
    """Jobs of one handler. The choices are the handlers that the code declares."""

    title = _("handler")
    parameter_name = "callable_name"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        """Return the names; the choice of the URL is one of them, known or not."""
        names = _with_chosen(sorted(known_handlers(), key=short_name), self.value())
        return [(name, short_name(name)) for name in names]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        """Return the jobs of the handler."""
        name = _text(self.value())
        return queryset if name is None else queryset.filter(callable_name__by_index=name)


class QueueFilter(SimpleListFilter):
    """Jobs of one queue. The choices are the queues that workers serve or that are paused."""

    title = _("queue")
    parameter_name = "queue_name"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the names; the choice of the URL is one of them, known or not."""
        alias = model_admin.get_queryset(request).db
        workers = known_workers(request)[:MAX_CHOICES]
        named = [worker.queue_names or {} for worker in workers]
        paused = PausedQueue.objects.using(alias).values_list("queue_name", flat=True)
        names = {"default", *paused[:MAX_CHOICES]}
        names.update(str(name) for queues in named for name in queues.get("queues", []))
        return [(name, name) for name in _with_chosen(sorted(names), self.value())]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        """Return the jobs of the queue."""
        name = _text(self.value())
        return queryset if name is None else queryset.filter(queue_name__by_index=name)


class RecurringFilter(SimpleListFilter):
    """The runs of one recurring job. The only choice is the recurring job that the URL names."""

    title = _("recurring job")
    parameter_name = "recurring"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the chosen recurring job, by its name if it exists."""
        value = self.value()
        if value is None:
            return []
        alias = model_admin.get_queryset(request).db
        rows = RecurringJob.objects.using(alias).filter(pk=_id(value))
        name = rows.values_list("name", flat=True).first()
        return [(value, name or gettext("%(number)s (deleted)") % {"number": value})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        """Return the runs."""
        value = self.value()
        return queryset if value is None else queryset.filter(recurring=_id(value))


def _id(value: str) -> int:
    if not value.isascii() or not value.isdecimal() or len(value) > MAX_ID_DIGITS:
        raise IncorrectLookupParameters
    return int(value)


def _with_chosen(names: Iterable[str], chosen: str | None) -> list[str]:
    found = list(names)[:MAX_CHOICES]
    return found if chosen is None or chosen in found else [chosen, *found]


def _text(value: str | None) -> str | None:
    if value is not None and "\0" in value:
        raise IncorrectLookupParameters
    return value
