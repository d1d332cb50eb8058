"""The admin of workers."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.admin import display as labelled
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy as _

from django_future.admin import display
from django_future.admin.columns import column
from django_future.admin.read_only import ReadOnlyAdmin
from django_future.models import Worker
from django_future.store import store_for
from django_future.store.recent import running_by_worker


@labelled(description=_("queues"))
def queues(worker: Worker) -> str:
    """Show which queues the worker serves."""
    return worker.describe_queues()


def running_column(alias: str) -> Callable[[Any], str]:
    """Return a function that shows how many jobs a worker runs now.

    It reads the jobs once, so use it for one page only.
    """
    counted: Any = SimpleLazyObject(lambda: running_by_worker(store_for(alias)))

    @labelled(description=_("running jobs"))
    def running(worker: Worker) -> str:
        return str(counted[worker.name])

    return running


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    """Shows the workers, and when each was last seen."""

    list_display = [
        "name",
        "host",
        column(Worker, "pid", str),
        queues,
        column(Worker, "started_at", display.instant),
        column(Worker, "seen_at", display.instant),
    ]
    list_display_links = None
    ordering = ["name"]
    filters = frozenset({"name", "host"})

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Return the columns; the number of running jobs is counted now."""
        *described, started_at, seen_at = super().get_list_display(request)
        counted = running_column(self.get_queryset(request).db)
        return [*described, counted, started_at, seen_at]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Return False: the jobs of a worker without a row are rescued."""
        return False
